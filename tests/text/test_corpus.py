"""Texts come in whole or not at all (rows D1, D3, E2 and E7 of the fault matrix)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.errors import DataError
from groundup.text import packaged, read_documents, read_text
from groundup.text.corpus import N_TRAIN
from groundup.text.patterns import DATA


def error_of(path: Path | str, read=read_text) -> DataError:
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value


def written(tmp_path: Path, data: bytes, name: str = "text.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", N_TRAIN)
def test_packaged_texts_are_those_of_the_licence_file(name: str):
    corpus = packaged(name)
    digest = hashlib.sha256((corpus.train + corpus.val).encode("utf-8")).hexdigest()
    assert digest in (DATA / "LICENCES.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["shakespeare", "the-verdict"])
def test_the_last_tenth_of_an_english_text_is_held_out(name: str):
    corpus = packaged(name)
    text = corpus.train + corpus.val
    assert corpus.train == text[: int(0.9 * len(text))]


def test_two_whole_chapters_of_the_chinese_text_are_held_out():
    corpus = packaged("chinese")
    assert corpus.val.startswith("第六十回") and "\n\n第一二○回" in corpus.val
    assert corpus.train.startswith("第一回") and corpus.train.endswith("\n\n")
    assert "第六十回：" not in corpus.train and "第一二○回：" not in corpus.train


def test_an_unknown_packaged_text_is_a_wrong_request():
    error = error_of("hamlet", packaged)
    assert (error.code, error.status) == ("PATH", 2)
    assert "shakespeare" in error.fix


def test_every_character_of_a_file_is_kept(tmp_path: Path):
    text = "a\r\nb\rc\n\n\x0b\x00 é 中文 😀\u2028"
    assert read_text(written(tmp_path, text.encode("utf-8"))) == text


def test_a_byte_order_mark_is_dropped_at_the_start_only(tmp_path: Path):
    assert read_text(written(tmp_path, b"\xef\xbb\xbfa\xef\xbb\xbfb")) == "a\ufeffb"


def test_files_are_utf8_whatever_the_locale_says(tmp_path: Path):
    folder = tmp_path / "папка"
    folder.mkdir()
    written(folder, "Привет, 世界".encode(), "текст.txt")
    code = """
import sys
from pathlib import Path
from groundup.text import Tokenizer, packaged, read_text
folder = Path(sys.argv[1])
Tokenizer.train(packaged("chinese").val, 300).save(folder)
tokenizer = Tokenizer.load(folder)
print(ascii(tokenizer.decode(tokenizer.encode(read_text(next(folder.glob("*.txt")))))))
"""
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, env=os.environ | locale, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ascii("Привет, 世界")


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_named(tmp_path: Path, data: bytes):
    error = error_of(written(tmp_path, data))
    assert (error.code, error.status) == ("DATA_EMPTY", 3)
    assert "text.txt" in error.where


@pytest.mark.parametrize(
    ("data", "offset", "kind"),
    [
        (b"abc\xff\xfe\x80def", "offset 3 is 0xff", "another encoding"),
        (b"\xef\xbb\xbfab\xff", "offset 5 is 0xff", "another encoding"),
        ("caf\u00e9 \u00fcber".encode("latin-1"), "offset 3 is 0xe9", "another encoding"),
        ("中文".encode("utf-16"), "offset 0 is 0xff", "UTF-16"),
        ("plain words".encode("utf-16-le"), "offset 1 is zero", "UTF-16"),
        (b"\x7fELF" + bytes(100), "offset 4 is zero", "binary"),
        ("中".encode()[:2], "offset 0 is 0xe4", "another encoding"),
    ],
)
def test_what_is_not_utf8_is_named_with_its_offset(tmp_path: Path, data: bytes, offset: str, kind: str):
    error = error_of(written(tmp_path, data))
    assert (error.code, error.status) == ("DATA_UTF8", 3)
    assert offset in error.what
    assert kind in error.fix


def test_a_missing_file_is_a_wrong_request(tmp_path: Path):
    for path in (tmp_path / "nothing.txt", written(tmp_path, b"x") / "below"):
        error = error_of(path)
        assert (error.code, error.status) == ("PATH", 2)


def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/zero"):
        for read in (read_text, read_documents):
            error = error_of(path, read)
            assert (error.code, error.status) == ("PATH_KIND", 2)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that is there and fails to be read")
def test_a_file_that_cannot_be_read_is_named():
    error = error_of("/proc/self/mem")
    assert (error.code, error.status) == ("DATA_READ", 3)


def test_a_path_with_odd_characters_is_shown_escaped(tmp_path: Path):
    assert "a\\n\\x1bb" in error_of(tmp_path / "a\n\x1bb").where


def test_documents_of_json_lines_are_the_texts_of_its_lines_but_for_empty_ones(tmp_path: Path):
    lines = '{"text": "one\\ntwo", "id": 1}\n\n{"text": ""}\r\n{"id": 2, "text": "drei\u2028 \\ud83d\\ude00"}'
    path = written(tmp_path, lines.encode(), "documents.jsonl")
    assert read_documents(path) == ["one\ntwo", "drei\u2028 😀"]


def test_any_other_file_is_one_document(tmp_path: Path):
    assert read_documents(written(tmp_path, b'{"text": "one"}\nx')) == ['{"text": "one"}\nx']


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"txt": "a"}', '{"text": 3}', '{"text": "\\ud800"}', "[" * 100_000, "9" * 5_000, "NaN"]
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, line: str):
    error = error_of(written(tmp_path, f'{{"text": "a"}}\n{line}\n'.encode(), "documents.jsonl"), read_documents)
    assert (error.code, error.status) == ("DATA_JSON", 3)
    assert "line 2 " in error.what


def test_json_lines_without_any_text_are_empty(tmp_path: Path):
    error = error_of(written(tmp_path, b'{"text": ""}\n \n', "documents.jsonl"), read_documents)
    assert error.code == "DATA_EMPTY"
