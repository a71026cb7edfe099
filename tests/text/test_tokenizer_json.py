"""Reading strictly: a faulty tokenizer.json is one clear error (rows T1, T2, T5 of the fault matrix)."""

from __future__ import annotations

import copy
import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.errors import TokenizerError
from groundup.text import GPT2_PATTERN, PATTERNS, Tokenizer
from groundup.text.tokenizer_json import MAX_BYTES, Reader, read, to_json
from groundup.text.vocabulary import Vocabulary

SMALL = Tokenizer.train("the cat sat on the mat; the cat ate the rat", 280)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    SMALL.save(tmp_path)
    return tmp_path / "tokenizer.json"


def error_of(file: Path) -> TokenizerError:
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.load(file)
    assert caught.value.where == str(file)
    assert caught.value.status == 3
    return caught.value


def changed(file: Path, change: Callable[[Any], object]) -> TokenizerError:
    tree = json.loads(file.read_text("utf-8"))
    change(tree)
    file.write_text(json.dumps(tree), "utf-8")
    return error_of(file)


@pytest.mark.parametrize("pattern", ["gpt2", "gpt4"])
def test_what_is_written_is_read_back(tmp_path: Path, pattern: str):
    tokenizer = Tokenizer.train("the cat sat on the mat " * 3, 275, pattern, specials=["<|endoftext|>", "<|user|>"])
    tokenizer.save(tmp_path)
    assert read(tmp_path / "tokenizer.json") == tokenizer.vocabulary
    assert to_json(read(tmp_path / "tokenizer.json")) == tokenizer.to_json()


def test_t1_a_file_cut_anywhere_is_named_with_line_and_column(file: Path):
    data = file.read_bytes()
    for length in range(0, len(data) - 2, 97):
        file.write_bytes(data[:length])
        start = time.perf_counter()
        error = error_of(file)
        assert error.code == "TOK_JSON"
        assert "line" in error.what and "column" in error.what
        assert time.perf_counter() - start < 1


def test_t1_teeth_without_the_strict_reader_a_cut_file_ends_in_a_traceback(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Reader, "parse", lambda self, data: json.loads(data))
    file.write_bytes(file.read_bytes()[:970])
    with pytest.raises(json.JSONDecodeError):
        Tokenizer.load(file)


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{}", b"{\n  \x80", b"[" * 200_000, b"[" + b"9" * 10_000 + b"]", b"PK\x03\x04", b"{} {}"]
)
def test_what_is_not_json_is_refused(file: Path, data: bytes):
    file.write_bytes(data)
    assert error_of(file).code == "TOK_JSON"


def test_the_line_and_column_of_a_bad_byte_are_right(file: Path):
    file.write_bytes(b'{\n  "a\x80": 1}')
    assert "line 2 column 5" in error_of(file).what


def put(*path: Any) -> Callable[[Any], None]:
    """The change that puts the last of `path` where the others lead; a list grows by one at its end."""

    def change(tree: Any) -> None:
        *way, key, value = path
        for step in way:
            tree = tree[step]
        if isinstance(tree, list) and key == len(tree):
            tree.append(value)
        else:
            tree[key] = value

    return change


VOCAB, MERGES = ("model", "vocab"), ("model", "merges")
N_MERGES, N_IDS = len(SMALL.merges), SMALL.vocab_size
VOCABULARY_FAULTS = {
    "a merge of unknown tokens": (put(*MERGES, 3, "q zz"), "merge 4"),
    "a merge without its result": (put(*MERGES, N_MERGES, "q q"), "qq"),
    "a merge that is no pair": (put(*MERGES, 0, "abc"), "merge 1"),
    "a merge of three": (put(*MERGES, 0, ["a", "b", "c"]), "merge 1"),
    "a merge of numbers": (put(*MERGES, 0, [1, 2]), "merge 1"),
    "a merge given twice": (lambda tree: tree["model"]["merges"].append(tree["model"]["merges"][0]), "twice"),
    "an id given twice": (put(*VOCAB, "b", 97), "'a' and 'b'"),
    "a token left out": (lambda tree: tree["model"]["vocab"].pop("a"), "no token has the id 97"),
    "a gap in the ids": (put(*VOCAB, "a", 999), "no token has the id 97"),
    "a negative id": (put(*VOCAB, "a", -1), "'a' has the id -1"),
    "an id that is a string": (put(*VOCAB, "a", "97"), "'a'"),
    "an id that is true": (put(*VOCAB, "a", True), "'a'"),
    "a token outside the alphabet": (put(*VOCAB, "a b", N_IDS), "'a b'"),
    "a special with another id": (put("added_tokens", 0, "id", 5), "5"),
    "a special without an id": (lambda tree: tree["added_tokens"][0].pop("id"), "added_tokens"),
    "a special given twice": (lambda tree: tree["added_tokens"].append(tree["added_tokens"][0]), "added_tokens"),
    "a special that is an ordinary token": (put("added_tokens", 1, {"id": 97, "content": "a"}), "0x61"),
}


@pytest.mark.parametrize("fault", VOCABULARY_FAULTS)
def test_t2_a_vocabulary_that_contradicts_itself_names_the_first_bad_entry(file: Path, fault: str):
    change, words = VOCABULARY_FAULTS[fault]
    error = changed(file, change)
    assert error.code == "TOK_VOCAB"
    assert words in error.what


@pytest.mark.parametrize(
    "fault", ["a merge given twice", "a merge without its result", "a special that is an ordinary token"]
)
def test_t2_teeth_without_the_check_the_fault_gets_through(file: Path, fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Vocabulary, "problem", lambda self: None)
    tree = json.loads(file.read_text("utf-8"))
    VOCABULARY_FAULTS[fault][0](tree)
    tree["model"]["vocab"]["qq"] = N_IDS  # the result that one of them lacks, where the others do not mind it
    file.write_text(json.dumps(tree), "utf-8")
    read(file)


HOSTILE = {
    "lists in lists": b"[" * 100_000 + b"]" * 100_000,
    "a million empty lists": b'{"model": [' + b"[]," * 1_500_000 + b"[]]}",
    "a million keys": b'{"model": {"vocab": {' + b",".join(b'"%d":0' % i for i in range(1_000_000)) + b"}}}",
    "a key given twice": b'{"model": {}, "model": {}}',
    "a number that is not finite": b'{"model": NaN}',
    "a number without end": b'{"model": ' + b"9" * 1_000_000 + b"}",
    "many bytes": b" " * (MAX_BYTES + 1),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_t1_a_hostile_file_is_refused_before_it_takes_memory(file: Path, kind: str):
    file.write_bytes(HOSTILE[kind])
    tracemalloc.start()
    error = error_of(file)
    n_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.code == "TOK_JSON"
    assert len(str(error)) < 600
    assert n_bytes < 2 * len(HOSTILE[kind]) + 64 * 2**20


def test_t2_more_merges_than_any_vocabulary_has_are_refused_before_they_are_read(file: Path):
    error = changed(file, put(*MERGES, ["t h"] * 1_000_000))
    assert error.code == "TOK_VOCAB"
    assert "1,000,000 merges are too many" in error.what


@pytest.mark.parametrize("key", ["pre_tokenizer", "normalizer", "model", "added_tokens"])
def test_a_value_that_is_deep_or_long_is_shown_in_a_few_words(file: Path, key: str):
    for depth in range(10, 1_100, 45):
        text = json.dumps(json.loads(SMALL.to_json()) | {key: "@"})
        file.write_text(text.replace('"@"', "[" * depth + '"x' * 1 + "x" * 1_000 + '"' + "]" * depth), "utf-8")
        error = error_of(file)
        assert error.code in ("TOK_JSON", "TOK_KIND", "TOK_PATTERN", "TOK_VOCAB")
        assert len(str(error)) < 600


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        None,
        {"type": "Whitespace"},
        {"type": "ByteLevel", "add_prefix_space": True},
        {"type": "Sequence", "pretokenizers": "x"},
        {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
            ],
        },
    ],
)
def test_t5_an_unknown_pattern_is_never_run(file: Path, pre_tokenizer: object):
    assert changed(file, put("pre_tokenizer", pre_tokenizer)).code == "TOK_PATTERN"


def test_t5_teeth_a_pattern_is_taken_where_it_is_among_the_known(file: Path, monkeypatch: pytest.MonkeyPatch):
    hostile = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}
    steps = [hostile, {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]
    pre_tokenizer = {"type": "Sequence", "pretokenizers": steps}
    assert changed(file, put("pre_tokenizer", pre_tokenizer)).code == "TOK_PATTERN"
    monkeypatch.setitem(PATTERNS, "hostile", "(a+)+$")
    assert read(file).pattern == "hostile"


@pytest.mark.parametrize(
    "change",
    [
        put("normalizer", {"type": "NFC"}),
        put("model", "type", "WordPiece"),
        put("model", "dropout", 0.1),
        put("model", "unk_token", "<unk>"),
        put("model", "byte_fallback", True),
        put("model", "ignore_merges", True),
        put("model", "vocab", []),
        put("model", "merges", None),
        put("model", None),
        put("added_tokens", {"id": 1}),
        put("added_tokens", 0, "lstrip", True),
    ],
)
def test_another_kind_of_tokenizer_is_refused(file: Path, change: Callable[[Any], object]):
    assert changed(file, change).code == "TOK_KIND"


def test_any_value_in_any_place_is_read_or_refused_in_order(file: Path):
    tree = json.loads(SMALL.to_json())

    def places(value: Any, path: tuple[Any, ...] = ()):
        yield path
        if isinstance(value, dict):
            for key in list(value)[:4] + list(value)[-2:]:
                yield from places(value[key], (*path, key))
        elif isinstance(value, list):
            for index in range(min(2, len(value))):
                yield from places(value[index], (*path, index))

    for path in set(places(tree)) - {()}:
        for value in (None, True, 0, -1, 1e400, "", "x y", [], {}, [[]], {"a": 1}, "\ud800"):
            mutant = copy.deepcopy(tree)
            put(*path, value)(mutant)
            file.write_text(json.dumps(mutant), "utf-8")
            try:
                Tokenizer.load(file).encode("the cat")
            except TokenizerError as error:
                assert error.status == 3


def test_merges_as_pairs_and_a_written_out_gpt2_pattern_are_read_too(file: Path):
    tree = json.loads(file.read_text("utf-8"))
    tree["model"]["merges"] = [merge.split(" ") for merge in tree["model"]["merges"]]
    tree["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": GPT2_PATTERN}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        ],
    }
    file.write_text(json.dumps(tree), "utf-8")
    assert Tokenizer.load(file).sha256 == SMALL.sha256


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_what_is_no_plain_file_is_refused_without_waiting(tmp_path: Path, kind: str):
    path = Path("/dev/zero")
    if kind == "fifo":
        path = tmp_path / "tokenizer.json"
        os.mkfifo(path)
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.load(path)
    assert (caught.value.code, caught.value.status) == ("PATH_KIND", 2)
