"""Texts of any size come in, in every form, or a sentence says why not (rows D1 and D3)."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import io
import json
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from groundup.errors import DataError, GroundupError
from groundup.text import packaged, sources
from groundup.text.sources import Reading, find_sources, pieces_of, read_documents

DOCUMENTS = ["one\ntwo", "drei 😀\u2028", "四"]


def documents(path: Path | str, **how: object) -> list[str]:
    """All documents of a path, put together from their pieces."""
    found = [""]
    for source in find_sources([str(path)]):
        for piece in pieces_of(source, Reading(**how)):
            found[-1] += piece.text
            if piece.ends:
                found.append("")
    assert found.pop() == ""
    return found


def error_of(path: Path | str, **how: object) -> GroundupError:
    with pytest.raises(GroundupError) as caught:
        documents(path, **how)
    return caught.value


def json_lines() -> bytes:
    return b"".join(json.dumps({"text": text, "id": i}).encode() + b"\n" for i, text in enumerate(DOCUMENTS))


def parquet(path: Path, column: str = "text") -> Path:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({column: [*DOCUMENTS, None], "id": [0, 1, 2, 3]}), path)
    return path


def zst(data: bytes) -> bytes:
    import zstandard

    return zstandard.compress(data)


# --- forms --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [lambda data: data, gzip.compress, zst, lambda data: zst(data) + zst(data)])
def test_json_lines_and_texts_may_be_compressed(tmp_path: Path, packed) -> None:
    times = 2 if packed(b"x") == zst(b"x") * 2 else 1
    ending = {b"\x1f\x8b": ".gz", b"\x28\xb5": ".zst"}.get(packed(b"text")[:2], "")
    (tmp_path / f"a.jsonl{ending}").write_bytes(packed(json_lines()))
    (tmp_path / f"b.txt{ending}").write_bytes(packed("é\r\n中文".encode()))
    assert documents(tmp_path / f"a.jsonl{ending}") == DOCUMENTS * times
    assert documents(tmp_path / f"b.txt{ending}") == ["é\r\n中文" * times]


def test_a_parquet_file_has_a_document_in_each_row(tmp_path: Path) -> None:
    reading = Reading()
    (source,) = find_sources([str(parquet(tmp_path / "a.parquet"))])
    assert [piece.text for piece in pieces_of(source, reading)] == DOCUMENTS
    assert reading.n_empty == 1
    assert documents(parquet(tmp_path / "b.parquet", "content"), field="content") == DOCUMENTS
    error = error_of(tmp_path / "b.parquet")
    assert (error.code, error.status) == ("DATA_FIELD", 2) and "content" in error.fix


def test_the_text_of_json_lines_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"content": "x", "text": 3}\n')
    assert documents(tmp_path / "a.jsonl", field="content") == ["x"]


def test_folders_and_patterns_give_their_files_in_alphabetical_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.txt", "b/a.txt", "a.jsonl", "picture.png", "d.txt.gz"):
        (tmp_path / name).write_bytes(b"")
    assert [source.name.removeprefix(f"{tmp_path}/") for source in find_sources([str(tmp_path)])] == [
        "a.jsonl", "b/a.txt", "c.txt", "d.txt.gz"
    ]  # fmt: skip
    assert [source.name for source in find_sources([f"{tmp_path}/**/*.txt"])] == [
        f"{tmp_path}/b/a.txt", f"{tmp_path}/c.txt"
    ]  # fmt: skip
    (tmp_path / "odd[1].txt").write_bytes(b"")  # a file of that name is no pattern
    assert [source.name for source in find_sources([f"{tmp_path}/odd[1].txt"])] == [f"{tmp_path}/odd[1].txt"]
    for nothing in ("*.nothing", "nothing.txt"):
        with pytest.raises(DataError) as caught:
            find_sources([f"{tmp_path}/{nothing}"])
        assert (caught.value.code, caught.value.status) == ("PATH", 2)


@pytest.mark.skipif(importlib.util.find_spec("s3fs") is not None, reason="s3fs is installed")
def test_an_address_that_takes_one_more_package_names_it() -> None:
    with pytest.raises(GroundupError, match="s3fs") as caught:
        find_sources(["s3://bucket/part.jsonl"])
    assert (caught.value.code, caught.value.where) == ("PACKAGE", "s3://bucket/part.jsonl")


def test_addresses_are_read_through_fsspec(tmp_path: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.pipe({"/corpus/a.jsonl": json_lines(), "/corpus/b.jsonl.gz": gzip.compress(json_lines())})
    assert documents("memory://corpus/*.jsonl*") == DOCUMENTS * 2
    assert error_of("memory://corpus/nothing.txt").code == "PATH"


def test_stdin_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json_lines())))
    (source,) = find_sources(["-"], "jsonl")
    assert [piece.text for piece in pieces_of(source, Reading())] == DOCUMENTS


def test_a_package_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt.zst").write_bytes(zst(b"x"))
    monkeypatch.setitem(sys.modules, "zstandard", None)
    error = error_of(tmp_path / "a.txt.zst")
    assert (error.code, error.status) == ("PACKAGE", 3) and "groundup[data]" in error.fix


# --- faults -------------------------------------------------------------------------------------------------------


def test_d1_a_file_without_text_is_refused(tmp_path: Path) -> None:
    for name, data in (("a.txt", b""), ("a.jsonl", b'{"text": ""}\n'), ("a.txt.gz", gzip.compress(b""))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError) as caught:
            read_documents(tmp_path / name)
        assert (caught.value.code, caught.value.status) == ("DATA_EMPTY", 3)


@pytest.mark.parametrize("place", [10, sources.BLOCK - 1, sources.BLOCK + 5])
def test_d3_bytes_that_are_no_utf8_are_refused_with_their_offset(tmp_path: Path, place: int) -> None:
    data = b"a" * place + b"\xff\xfe\x80" + b"b" * 10
    (tmp_path / "a.txt").write_bytes(data.replace(b"aa", b"a "))
    error = error_of(tmp_path / "a.txt")
    assert (error.code, error.status) == ("DATA_UTF8", 3)
    assert f"offset {place:,} is 0xff" in error.what


def test_d3_bad_bytes_are_replaced_and_counted_where_that_is_asked_for(tmp_path: Path) -> None:
    # The file's own U+FFFD is none of them, wherever a block ends.
    for shift in range(4):
        data = b"a " * (sources.BLOCK // 2 - 2) + b"a" * shift + "\ufffd é".encode() + b"\xff\xfe\x80 \xe4\xb8"
        (tmp_path / "a.txt").write_bytes(data)
        reading = Reading(replace_bad_bytes=True)
        (source,) = find_sources([str(tmp_path / "a.txt")])
        text = "".join(piece.text for piece in pieces_of(source, reading))
        assert text == data.decode("utf-8", "replace")
        assert reading.n_replaced == 4  # the last two begin one character


def test_d3_the_offset_counts_from_the_start_of_a_json_lines_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    assert "offset 24 is 0xff" in error_of(tmp_path / "a.jsonl").what


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_a_cut_or_damaged_compressed_file_is_refused(tmp_path: Path, ending: str) -> None:
    data = (gzip.compress if ending == ".gz" else zst)(packaged("the-verdict").train.encode())
    for broken in (data[:-1], data[: len(data) // 2], data[:20], b"text", data[:50] + b"\x00\xff" + data[52:]):
        (tmp_path / f"a.txt{ending}").write_bytes(broken)
        error = error_of(tmp_path / f"a.txt{ending}")
        assert (error.code, error.status) == ("DATA_READ", 3)


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    data = parquet(tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[:-3])
    assert error_of(tmp_path / "a.parquet").code == "DATA_READ"


def test_a_parquet_file_cannot_be_compressed_or_come_from_stdin(tmp_path: Path) -> None:
    (tmp_path / "a.parquet.gz").write_bytes(b"")
    for name in ("-", str(tmp_path / "a.parquet.gz")):
        with pytest.raises(DataError) as caught:
            find_sources([name], "parquet")
        assert (caught.value.code, caught.value.status) == ("PATH_KIND", 2)


def test_a_line_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LONGEST_LINE", 1000)
    monkeypatch.setattr(sources, "BLOCK", 100)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a" * 2000}))
    assert error_of(tmp_path / "a.jsonl").code == "DATA_JSON"


def zst_bomb(n_bytes: int) -> bytes:
    """A Zstandard frame that says "a" again and again: 131,072 times for each four bytes."""
    n_blocks = n_bytes // 131_072
    block = (131_072 << 3 | 0b010).to_bytes(3, "little") + b"a"  # the bits: size, kind "run of one byte", not the last
    last = (131_072 << 3 | 0b011).to_bytes(3, "little") + b"a"
    return bytes.fromhex("28b52ffd 00 58") + block * (n_blocks - 1) + last


def test_the_recipe_of_the_bomb_is_right() -> None:
    import zstandard

    assert zstandard.ZstdDecompressor().decompressobj().decompress(zst_bomb(1 << 20)) == b"a" * (1 << 20)


@pytest.mark.parametrize(("name", "code"), [("a.txt.zst", "DATA_WORD"), ("a.jsonl.zst", "DATA_JSON")])
def test_a_zst_bomb_is_refused_in_little_memory(name: str, code: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(zst_bomb(1 << 34))  # 512 KB for 16 GB
    (source,) = find_sources([str(tmp_path / name)])
    assert max(map(len, islice(sources.blocks_of(source, Reading()), 3))) <= 1 << 25
    with memory_at_most(1 << 28):
        assert error_of(tmp_path / name).code == code


@pytest.mark.parametrize(("name", "code"), [("a.txt.gz", "DATA_WORD"), ("a.jsonl.gz", "DATA_JSON")])
def test_a_gz_bomb_is_refused_in_little_memory(name: str, code: str, tmp_path: Path) -> None:
    with gzip.open(tmp_path / name, "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(b"a" * (1 << 20))
    with memory_at_most(1 << 28):
        assert error_of(tmp_path / name).code == code


@contextlib.contextmanager
def memory_at_most(n_bytes: int) -> Iterator[None]:
    """See that the block needs no more than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()
