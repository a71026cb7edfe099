"""`groundup tokenizer`."""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path

import pytest
import tokenizers
from command_line import Run

from groundup.text import Tokenizer, packaged

TEXT = packaged("the-verdict").train


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """A short story."""
    path = tmp_path / "a story.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_training_writes_what_hugging_face_reads(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    shown = groundup("tokenizer", "train", text_file, "--vocab-size", 400, "--out", tmp_path / "own")
    assert shown.status == 0, shown.err
    assert "400 tokens learnt from" in shown.out
    assert f"written to {tmp_path / 'own' / 'tokenizer.json'}" in shown.out
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "own" / "tokenizer.json"))
    assert groundup("tokenizer", "encode", tmp_path / "own", "Gisburn, rather!", "--json").json == {
        "ids": theirs.encode("Gisburn, rather!").ids
    }


def test_training_with_json_tells_the_figures(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    words = ("--vocab-size", 300, "--out", tmp_path / "own", "--pattern", "gpt4", "--json")
    answer = groundup("tokenizer", "train", text_file, *words).json
    assert answer["vocab_size"] == 300
    assert answer["bytes"] == len(TEXT.encode())
    assert answer["tokens"] == len(Tokenizer.load(tmp_path / "own").encode(TEXT))


def test_encoding_and_decoding_give_the_text_back(groundup: Run) -> None:
    text = "Hello  world,\n你好 👩‍👧!"
    ids = groundup("tokenizer", "encode", "gpt2", text).out.split()
    assert groundup("tokenizer", "decode", "gpt2", *ids).out == text + "\n"
    assert groundup("tokenizer", "decode", "gpt2", " ".join(ids), "--json").json == {"text": text}


def test_a_dash_reads_stdin(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Hello\n")))
    assert groundup("tokenizer", "encode", "gpt2", "-").out == "15496\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"15496\n995")))
    assert groundup("tokenizer", "decode", "gpt2", "-").out == "Hello world\n"


def test_show_cuts_the_text_and_names_each_piece(groundup: Run) -> None:
    shown = groundup("tokenizer", "show", "gpt2", "Hello wörld\n你").out
    first, *rest = shown.splitlines()
    assert first == "Hello│·w│ör│ld│↵│\\xe4\\xbd│\\xa0"
    assert "Hello     15496" in rest
    assert rest[-1] == "7 tokens for 16 bytes: 2.29 bytes a token"
    pieces = groundup("tokenizer", "show", "gpt2", "Hello", "--json").json
    assert pieces == {"pieces": [{"id": 15496, "text": "Hello", "bytes": "48656c6c6f"}]}


def test_show_gives_a_program_the_text_itself_and_the_bytes_where_there_is_none(groundup: Run) -> None:
    text = " ·a\n你"
    pieces = groundup("tokenizer", "show", "gpt2", text, "--json").json["pieces"]
    assert bytes.fromhex("".join(piece["bytes"] for piece in pieces)) == text.encode()
    assert [piece["text"] for piece in pieces if piece["text"] is not None] == [" ·", "a", "\n"]


def test_a_tokenizer_that_is_there_is_replaced_by_force_only(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    words = ("tokenizer", "train", text_file, "--out", tmp_path / "own", "--vocab-size")
    assert groundup(*words, 300).status == 0
    shown = groundup(*words, 310)
    assert (shown.status, "[TOK_EXISTS]" in shown.err, "--force" in shown.err) == (2, True, True)
    assert Tokenizer.load(tmp_path / "own").vocab_size == 300
    assert groundup(*words, 310, "--force").status == 0
    assert Tokenizer.load(tmp_path / "own").vocab_size == 310


def test_files_of_several_kinds_are_read_as_one_corpus(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    packed = tmp_path / "more.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps({"text": TEXT}).encode() + b"\n" + json.dumps({"text": "x"}).encode()))
    words = ("tokenizer", "train", text_file, packed, "--vocab-size", 400, "--out", tmp_path / "own", "--json")
    assert groundup(*words).json["bytes"] == 2 * len(TEXT.encode()) + 1
    assert Tokenizer.load(tmp_path / "own").sha256 == Tokenizer.train([TEXT, TEXT, "x"], 400).sha256


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "DATA_EMPTY"), ("text".encode("utf-16"), "DATA_UTF8"), (b"\x00" * 99, "DATA_UTF8"), (b"a\x80", "DATA_UTF8")],
)
def test_a_file_that_is_no_text_is_refused(data: bytes, code: str, tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "file.txt").write_bytes(data)
    shown = groundup("tokenizer", "train", tmp_path / "file.txt", "--vocab-size", 300, "--out", tmp_path / "own")
    assert (shown.status, shown.out) == (3, "")
    assert f"[{code}]" in shown.err.splitlines()[0]
    assert not (tmp_path / "own").exists()


def test_long_training_tells_the_rate_and_the_time_left(
    text_file: Path, tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundup.cli.tokenizer.SECONDS_BETWEEN_LINES", -1.0)
    shown = groundup("tokenizer", "train", text_file, "--vocab-size", 300, "--out", tmp_path / "own")
    assert re.fullmatch(r"0 MB read, [\d.]+ MB/s, \d+ s left\n", shown.err)


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["encode", "nowhere", "x"], 2, "PATH"),
        (["encode", "gpt2", b"\xff".decode("utf-8", "surrogateescape")], 2, "CLI_PROMPT"),
        (["decode", "gpt2", "x"], 2, "CLI_USAGE"),
        (["decode", "gpt2", "99999999"], 2, "TOK_ID"),
        (["decode", "gpt2", "9" * 5000], 2, "CLI_USAGE"),
        (["train", "x.txt", "--vocab-size", "300", "--out", "own", "--workers", "-1"], 2, "CLI_USAGE"),
        (["train", "x.txt", "--vocab-size", "300", "--out", "own", "--workers", "100000"], 2, "CLI_USAGE"),
        (["train", "nowhere.txt", "--vocab-size", "300", "--out", "own"], 2, "PATH"),
        (["train", "/dev/null", "--vocab-size", "300", "--out", "own"], 2, "PATH_KIND"),
    ],
)
def test_a_wrong_request_is_one_clear_line(words: list[str], status: int, code: str, groundup: Run) -> None:
    shown = groundup("tokenizer", *words)
    assert (shown.status, shown.out) == (status, "")
    assert shown.err.splitlines()[0].startswith("error: ")
    assert shown.err.splitlines()[0].endswith(f" [{code}]")
    assert "fix:" in shown.err


def test_a_vocabulary_of_bytes_alone_has_no_long_tokens_to_show(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    shown = groundup("tokenizer", "train", text_file, "--vocab-size", 257, "--out", tmp_path / "own")
    assert "257 tokens learnt" in shown.out
    assert "longest" not in shown.out


def test_a_vocabulary_that_is_too_small_says_how_many(text_file: Path, tmp_path: Path, groundup: Run) -> None:
    shown = groundup("tokenizer", "train", text_file, "--vocab-size", 10, "--out", tmp_path / "own")
    assert shown.status == 2
    assert "257" in shown.err
    assert not (tmp_path / "own").exists()
