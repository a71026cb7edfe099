"""Shards are read as one long line of ids, or not at all (rows D4 and D5)."""

from __future__ import annotations

import gc
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.canonical_json import canonical_json, parse_sealed, sealed
from groundup.errors import DataError
from groundup.text import Tokenizer, packaged, shards
from groundup.text.prepare import PrepareOptions, prepare
from groundup.text.shards import IdReader, is_shard_folder, open_shards
from groundup.text.vocabulary import Vocabulary, trained_vocabulary

TEXTS = packaged("the-verdict").train.split("\n\n")
TOKENIZER = Tokenizer.train(TEXTS, 300)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of 1,000 tokens, some of them held out."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "texts.jsonl").write_bytes(b"".join(canonical_json({"text": text}) for text in TEXTS))
    options = PrepareOptions(workers=0, shard_tokens=1000, val_fraction=0.2)
    prepare([str(folder / "texts.jsonl")], TOKENIZER, folder / "out", options)
    return folder / "out"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(prepared, tmp_path / "shards"))


def error_of(folder: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        open_shards(folder)
    return caught.value


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5), st.integers(0, 25), st.integers(0, 25))
def test_a_slice_across_shards_is_that_of_all_ids_in_a_row(arrays: list[list[int]], start: int, stop: int) -> None:
    everything = torch.tensor([i for array in arrays for i in array], dtype=torch.int64)
    ids = IdReader([np.array(array, dtype=np.uint16) for array in arrays])
    assert len(ids) == len(everything)
    assert ids[start:stop].equal(everything[start:stop]) and ids[start:stop].dtype == torch.int64
    assert ids[start:].equal(everything[start:])
    part = ids.part(min(start, len(ids)), min(stop, len(ids)))
    assert part[:].equal(everything[min(start, len(ids)) : min(stop, len(ids))])


def test_shards_hold_every_document_with_its_end_in_one_split(prepared: Path) -> None:
    found = open_shards(prepared)
    documents: dict[str, list[str]] = {"train": [], "val": []}
    for split, texts in documents.items():
        ids = found.ids(split)
        start = 0
        for end in found.document_ends(split).tolist():
            *inside, last = ids.read(start, end).tolist()
            assert last == TOKENIZER.end_of_text
            texts.append(TOKENIZER.decode(inside))
            start = end
        assert start == len(ids)
    assert sorted(documents["train"] + documents["val"]) == sorted(TEXTS)
    assert 0.05 < len(documents["val"]) / len(TEXTS) < 0.4


def test_the_index_says_what_there_is(prepared: Path) -> None:
    found = open_shards(prepared)
    entries = found.entries("train")
    assert [entry["n_tokens"] for entry in entries[:-1]] == [1000] * (len(entries) - 1)
    n_bytes = sum(entry["n_text_bytes"] for split in shards.SPLITS for entry in found.entries(split))
    assert n_bytes == sum(len(text.encode()) for text in TEXTS)
    assert [(entry["sha256"], digest) for entry, digest in found.scan("train")] == [(e["sha256"],) * 2 for e in entries]
    assert found.index["tokenizer_sha256"] == TOKENIZER.sha256 == Tokenizer.load(prepared).sha256
    assert found.index["dtype"] == "uint16"
    assert is_shard_folder(prepared) and not is_shard_folder(prepared.parent)


def test_shards_that_were_never_finished_are_no_texts_either(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    assert is_shard_folder(tmp_path)
    assert error_of(tmp_path).code == "DATA_INDEX"


def test_d4_a_cut_shard_is_refused_with_both_sizes(folder: Path) -> None:
    """At 1,000 random places, odd ones too."""
    chosen = random.Random(4)
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".documents"))
    for _ in range(1000):
        path = folder / chosen.choice(names)
        data = path.read_bytes()
        n_bytes = chosen.randrange(len(data))
        path.write_bytes(data[:n_bytes])
        error = error_of(folder)
        assert (error.code, error.status) == ("DATA_SIZE", 3)
        assert f"{len(data):,} bytes" in error.what and f"has {n_bytes:,}" in error.what and path.name in error.where
        path.write_bytes(data)
    open_shards(folder)


def test_d4_a_missing_or_longer_shard_is_refused(folder: Path) -> None:
    path = folder / "train-000001.bin"
    path.write_bytes(path.read_bytes() + b"\0")
    assert error_of(folder).code == "DATA_SIZE"
    path.unlink()
    assert "missing" in error_of(folder).what


def test_d4_teeth_without_the_check_of_sizes_a_cut_shard_is_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "train-000001.bin"
    path.write_bytes(path.read_bytes()[:1000])
    monkeypatch.setattr(shards, "require_size", lambda path, n_bytes: None)
    assert open_shards(folder).entries("train")


@pytest.mark.parametrize("read_before", [False, True])
def test_w8_a_shard_that_shrinks_while_it_is_read_is_an_error_and_no_signal(folder: Path, read_before: bool) -> None:
    ids = open_shards(folder).ids("train")
    if read_before:
        ids.read(0, len(ids))
    os.truncate(folder / "train-000001.bin", 1001)
    assert len(ids.read(0, 1500)) == 1500
    for start, stop in ((0, len(ids)), (1490, 1501), (1999, 2000)):
        with pytest.raises(DataError) as caught:
            ids.read(start, stop)
        assert (caught.value.code, caught.value.status) == ("FILE_CHANGED", 3)
        assert "train-000001.bin" in caught.value.where


def test_w8_a_shard_that_is_gone_when_it_is_opened_is_an_error(folder: Path) -> None:
    ids = open_shards(folder).ids("train")
    (folder / "train-000000.bin").unlink()
    with pytest.raises(DataError) as caught:
        ids.read(0, 10)
    assert caught.value.code == "FILE_CHANGED"
    (folder / "train-000000.bin").mkdir()
    with pytest.raises(DataError) as caught:
        ids.read(0, 10)
    assert caught.value.code == "DATA_READ"


def test_w8_teeth_a_memory_map_of_the_shard_ends_the_process_by_a_signal(folder: Path) -> None:
    code = """
import os, sys
import numpy as np
path = sys.argv[1]
ids = np.memmap(path, "<u2", "r")
os.truncate(path, 0)
print(int(ids[5]))
"""
    ended = subprocess.run([sys.executable, "-c", code, str(folder / "train-000001.bin")], capture_output=True)
    assert ended.returncode == -signal.SIGBUS


def test_more_shards_than_files_that_may_be_open_are_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_OPEN", 2)
    ids = open_shards(folder).ids("train")
    gc.collect()  # what errors of other tests still hold may be closed at any moment
    n_open = len(os.listdir("/proc/self/fd"))
    assert ids.read(0, len(ids)).tolist() == [
        i for entry in open_shards(folder).entries("train") for i in np.fromfile(folder / entry["name"], "<u2").tolist()
    ]
    assert len(ids.arrays) > 3 and len(os.listdir("/proc/self/fd")) <= n_open + 2
    del ids
    assert len(os.listdir("/proc/self/fd")) == n_open


@pytest.mark.parametrize("place", [0, 999])
def test_d5_an_id_beyond_the_vocabulary_is_named(folder: Path, place: int) -> None:
    path = folder / "train-000001.bin"
    patch(path, place, 300)
    with pytest.raises(DataError) as caught:
        list(open_shards(folder).scan("train"))
    error = caught.value
    assert (error.code, error.status) == ("DATA_TOKEN", 3)
    assert f"token {place:,} is 300" in error.what and "0 to 299" in error.what and path.name in error.where


def test_d5_teeth_without_the_scan_the_id_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch(folder / "train-000001.bin", 5, 300)
    monkeypatch.setattr(shards.ShardFolder, "_require_known", lambda *_: None)
    found = open_shards(folder)
    list(found.scan("train"))
    assert int(found.ids("train").read(1005, 1006)[0]) == 300


def test_every_flipped_bit_and_every_cut_of_the_index_is_noticed(folder: Path) -> None:
    path = folder / "index.json"
    data = path.read_bytes()
    chosen = random.Random(1)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
        path.write_bytes(damaged)
        assert error_of(folder).code == "DATA_INDEX"
        path.write_bytes(data[: chosen.randrange(len(data))])
        assert error_of(folder).code == "DATA_INDEX"
    path.unlink()
    assert "never finished" in error_of(folder).what


def test_an_index_opens_nothing_outside_its_folder_and_no_newer_format(folder: Path) -> None:
    index = parse_sealed((folder / "index.json").read_bytes())
    assert index is not None
    del index["self"]
    for name in ("../train-000000.bin", "/etc/passwd", "..\\x"):
        index["splits"]["train"][0]["name"] = name
        (folder / "index.json").write_bytes(canonical_json(sealed(index)))
        assert error_of(folder).code == "DATA_INDEX"
    (folder / "index.json").write_bytes(canonical_json(sealed(index | {"version": 99})))
    assert error_of(folder).code == "DATA_VERSION"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("version", None), ("version", "1"), ("vocab_size", 0), ("vocab_size", 300.0), ("vocab_size", True),
        ("vocab_size", 2**40), ("dtype", "uint32"), ("dtype", "float64"), ("dtype", "O"), ("dtype", None),
        ("end_of_text", 300), ("end_of_text", -1), ("end_of_text", "x"), ("tokenizer_sha256", 7),
        ("tokenizer_sha256", "A" * 64), ("splits", []), ("splits", {"train": []}), ("splits.val", {}),
        ("splits.train.0", "train-000000.bin"), ("splits.train.0.documents", None),
        ("splits.train.0.name", "train-000001.bin"), ("splits.train.0.name", "../train-000000.bin"),
        ("splits.train.0.n_tokens", -1), ("splits.train.0.n_tokens", "1000"), ("splits.train.0.n_tokens", 1e3),
        ("splits.train.1.n_tokens", 999), ("splits.train.0.bytes", 1999), ("splits.train.0.bytes", None),
        ("splits.train.0.sha256", "no"), ("splits.train.0.n_text_bytes", -1),
        ("splits.train.0.documents.name", 7), ("splits.train.0.documents.count", 1001),
        ("splits.train.0.documents.bytes", 7), ("splits.train.0.documents.sha256", None),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_right_is_named_though_the_index_is_sealed(
    where: str, value: object, folder: Path
) -> None:
    index = parse_sealed((folder / "index.json").read_bytes())
    assert index is not None
    del index["self"]
    *path, name = where.split(".")
    table: Any = index
    for key in path:
        table = table[int(key) if key.isdigit() else key]
    table[int(name) if name.isdigit() else name] = value
    (folder / "index.json").write_bytes(canonical_json(sealed(index)))
    error = error_of(folder)
    shown = re.sub(r"\.([0-9])", r"[\1]", where)
    assert (error.code, error.status) == ("DATA_INDEX", 3)
    assert f"its {shown} is " in error.what and "and should be " in error.what
    assert "another folder" in error.fix


def test_an_index_that_is_missing_while_the_job_is_there_is_made_by_going_on(folder: Path) -> None:
    (folder / "index.json").unlink()
    assert "another folder" in error_of(folder).fix
    (folder / "job.json").write_text("{}")
    assert "goes on where it was stopped" in error_of(folder).fix


@pytest.mark.parametrize(
    ("n_ids", "kind", "n_bytes"), [(65_535, "uint16", 2), (65_536, "uint16", 2), (65_537, "uint32", 4)]
)
def test_the_largest_id_survives_in_shards_of_two_and_of_four_bytes(
    n_ids: int, kind: str, n_bytes: int, tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("a" * 100)
    tokenizer = Tokenizer(vocabulary_of(n_ids))
    assert (tokenizer.vocab_size, tokenizer.end_of_text) == (n_ids, n_ids - 1)
    prepare([str(tmp_path / "text.txt")], tokenizer, tmp_path / "out", PrepareOptions(workers=1, val_fraction=0))
    found = open_shards(tmp_path / "out")
    assert found.index["dtype"] == kind
    assert found.entries("train")[0]["bytes"] == 101 * n_bytes
    assert [digest for _, digest in found.scan("train")] == [found.entries("train")[0]["sha256"]]
    assert found.ids("train").read(0, 101).tolist() == [97] * 100 + [n_ids - 1]
    assert tokenizer.encode_batch(["a<|endoftext|>"], n_workers=1) == [tokenizer.encode("a<|endoftext|>")]


def vocabulary_of(n_ids: int) -> Vocabulary:
    """So many ids: bytes, pairs of bytes as no text has them, the end of a text."""
    pairs = [(left, right) for left in range(128, 256) for right in range(256)] + [
        (left, right) for left in range(128) for right in range(128, 256)
    ]
    triples = [(256 + number, 255) for number in range(n_ids)]
    return trained_vocabulary((pairs + triples)[: n_ids - 257], ["<|endoftext|>"], "gpt2")


def patch(path: Path, place: int, i: int) -> None:
    """Put another id into a shard."""
    data = bytearray(path.read_bytes())
    data[2 * place : 2 * place + 2] = i.to_bytes(2, "little")
    path.write_bytes(data)
