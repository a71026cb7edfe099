"""The file tokenizer.json: a vocabulary in the form that Hugging Face `tokenizers` reads.

A vocabulary is a table from strings to ids, and a merge two such strings with a space between them. A file comes from
outside, so reading is strict: everything that decides an id is checked here, once, and what this library does not do
(normalizers, other pre-tokenizers, other models) is refused rather than passed over in silence. No pattern from a file
is ever run; its text is compared with the known ones.

Read next: `tokenizer.py`, which uses it.
Source: the documentation of Hugging Face tokenizers.
"""

from __future__ import annotations

import json
import reprlib
import stat
from pathlib import Path
from typing import cast

from ..errors import TokenizerError, quoted
from ..strict_json import parse_json
from .bpe import Pair
from .patterns import GPT4_PATTERN, PATTERNS
from .vocabulary import Vocabulary, from_shown, shown

# A hostile file may be small and mean much: "[],[],…" takes twenty times its bytes in memory. All limits are checked
# before anything is parsed; the largest vocabularies in use (200,000 tokens, 450,000 merges) fill most of it.
MAX_BYTES = 48 * 2**20
MAX_VALUES = 2_000_000
MAX_KEYS = 500_000
MAX_MERGES_PER_TOKEN = 8  # some vocabularies list several ways to the same token

Tree = dict[str, object]


def to_json(vocabulary: Vocabulary) -> str:
    """The text of tokenizer.json; equal vocabularies give equal texts."""
    names = [shown(token) for token in vocabulary.tokens]
    for special, i in vocabulary.specials.items():
        names[i] = special
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    specials = sorted(vocabulary.specials.items(), key=lambda item: item[1])
    tree = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": special, **flags} for special, i in specials],
        "normalizer": None,
        "pre_tokenizer": PRE_TOKENIZERS[vocabulary.pattern],
        "post_processor": None,
        "decoder": byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            **dict.fromkeys(("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")),
            **dict.fromkeys(("fuse_unk", "byte_fallback", "ignore_merges"), False),
            "vocab": {name: i for i, name in enumerate(names)},
            # As one string: the form that every version of every reader takes.
            "merges": [f"{names[left]} {names[right]}" for left, right in vocabulary.merges],
        },
    }
    return json.dumps(tree, ensure_ascii=False, indent=2) + "\n"


def byte_level(use_regex: bool) -> Tree:
    """The step that writes bytes in the alphabet, after splitting with GPT-2's pattern if asked to."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


SPLIT_GPT4: Tree = {"type": "Split", "pattern": {"Regex": GPT4_PATTERN}, "behavior": "Isolated", "invert": False}
PRE_TOKENIZERS: dict[str, Tree] = {
    "gpt2": byte_level(use_regex=True),
    "gpt4": {"type": "Sequence", "pretokenizers": [SPLIT_GPT4, byte_level(use_regex=False)]},
}


def read(path: Path) -> Vocabulary:
    """Read a tokenizer.json. Raises TokenizerError as `parse`, and TOK_READ or PATH_KIND."""
    return parse(read_bytes(path), quoted(str(path)))


def parse(data: bytes, where: str = "") -> Vocabulary:
    """The vocabulary in the bytes of a tokenizer.json. where: what an error names.

    Raises TokenizerError: TOK_JSON (not JSON), TOK_KIND (another kind of tokenizer), TOK_PATTERN (an unknown split
    pattern), TOK_VOCAB (a vocabulary that contradicts itself).
    """
    return Reader(where).vocabulary(data)


def read_bytes(path: Path) -> bytes:
    """The file's bytes, if it is a plain file of a sensible size. Looks before it opens: a FIFO would block."""
    where = quoted(str(path))
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            fix = "give a tokenizer.json, or the folder that holds it"
            raise TokenizerError("this is not a plain file", where=where, fix=fix, code="PATH_KIND", status=2)
        if status.st_size > MAX_BYTES:
            raise TokenizerError(f"{status.st_size:,} bytes are too many for a tokenizer", where=where, code="TOK_JSON")
        return path.read_bytes()
    except OSError as error:
        raise TokenizerError(f"the file cannot be read: {error.strerror}", where=where, code="TOK_READ") from error


def shown_value(value: object) -> str:
    """The beginning of a value, however large or deep it is, for a message."""
    short = reprlib.Repr()
    short.maxstring = 80
    return quoted(short.repr(value), 80)


class Reader:
    """Reads the bytes of one file, and names that file in every complaint."""

    def __init__(self, where: str) -> None:
        self.where = where

    def vocabulary(self, data: bytes) -> Vocabulary:
        """All the way from bytes to a vocabulary without faults."""
        self.require_few_values(data)
        tree = self.table(self.parse(data), "the file")
        if tree.get("normalizer") is not None:
            raise self.other_kind("it has a normalizer, which changes the text before it is encoded")
        pattern = self.pattern(tree.get("pre_tokenizer"))
        model = self.model(self.table(tree.get("model"), "model"))
        specials = self.specials(tree.get("added_tokens", []))
        names = self.names(self.table(model.get("vocab"), "model.vocab"), specials)
        merges = self.merges(model.get("merges"), {name: i for i, name in enumerate(names)})
        tokens = [self.token(name, is_special=name in specials) for name in names]

        vocabulary = Vocabulary(tuple(tokens), tuple(merges), specials, pattern)
        if problem := vocabulary.problem():
            raise self.bad_entry(problem)
        return vocabulary

    def require_few_values(self, data: bytes) -> None:
        """Refuse what would take too much memory: each value has a comma, a colon or a bracket."""
        n_keys = data.count(b":")
        n_values = n_keys + sum(map(data.count, (b",", b"[", b"{")))
        for what, n_found, limit in (("keys", n_keys, MAX_KEYS), ("values", n_values, MAX_VALUES)):
            if n_found > limit:
                raise self.not_json(f"{n_found:,} {what} are too many for a tokenizer")

    def parse(self, data: bytes) -> object:
        """What the JSON says, or TOK_JSON with the line and column where it goes wrong."""
        try:
            return parse_json(data)
        except json.JSONDecodeError as error:
            what, line, column = error.msg, error.lineno, error.colno
        except UnicodeDecodeError as error:
            line_start = data.rfind(b"\n", 0, error.start) + 1
            what, line, column = "no UTF-8", data.count(b"\n", 0, line_start) + 1, error.start - line_start + 1
        except ValueError as error:
            raise self.not_json(quoted(str(error), 120)) from error
        raise self.not_json(f"{what}, at line {line} column {column}")

    def pattern(self, step: object) -> str:
        """The name of the pattern that the pre-tokenizer splits with."""
        match step:
            case {"type": "ByteLevel", "add_prefix_space": False, **rest} if rest.get("use_regex", True) is True:
                return "gpt2"
            case {
                "type": "Sequence",
                "pretokenizers": [
                    {"type": "Split", "pattern": {"Regex": str(text)}, "behavior": "Isolated", "invert": False},
                    {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
                ],
            }:
                for name, known in PATTERNS.items():
                    if text == known:
                        return name
                what = f"the split pattern is not one of those known here: {quoted(text, 80)}"
            case _:
                what = f"the pre_tokenizer is not one of those known here: {shown_value(step)}"
        raise TokenizerError(
            what,
            where=self.where,
            fix=f"use a tokenizer with one of the patterns {', '.join(PATTERNS)}; no other from a file is ever run",
            code="TOK_PATTERN",
        )

    def model(self, model: Tree) -> Tree:
        """The model's table, if it is byte-level BPE without extras."""
        if model.get("type", "BPE") != "BPE":
            raise self.other_kind(f"model.type is {shown_value(model['type'])}")
        extras = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix")
        for key in (*extras, "byte_fallback", "ignore_merges"):
            if model.get(key):
                raise self.other_kind(f"model.{key} is {shown_value(model[key])}")
        return model

    def specials(self, entries: object) -> dict[str, int]:
        """The added tokens and their ids. All count as special here: a text never reaches them by itself."""
        specials: dict[str, int] = {}
        for entry in self.items(entries, "added_tokens"):
            match entry:
                case {"id": int(i), "content": str(content), **flags} if content not in specials:
                    if any(flags.get(flag) for flag in ("single_word", "lstrip", "rstrip")):
                        raise self.other_kind(f"the special token {shown_value(content)} takes in its surroundings")
                    specials[content] = i
                case _:
                    raise self.bad_entry(f"added_tokens has a false or second entry {shown_value(entry)}")
        return specials

    def names(self, vocab: Tree, specials: dict[str, int]) -> list[str]:
        """The name of each id; every id from 0 up must be there exactly once."""
        names: dict[int, str] = {}
        for name, i in [*vocab.items(), *specials.items()]:
            if not isinstance(i, int) or isinstance(i, bool) or i < 0:
                raise self.bad_entry(f"the token {shown_value(name)} has the id {shown_value(i)}")
            other = names.setdefault(i, name)
            if other != name:
                both = f"{shown_value(other)} and {shown_value(name)}"
                raise self.bad_entry(f"the id {quoted(str(i), 40)} is given to both {both}")
        for special, i in specials.items():
            if vocab.get(special, i) != i:
                raise self.bad_entry(f"the token {shown_value(special)} has two ids, {vocab[special]} and {i}")
        for i in range(len(names)):
            if i not in names:
                raise self.bad_entry(f"no token has the id {i}, though ids go up to {quoted(str(max(names)), 40)}")
        return [names[i] for i in range(len(names))]

    def merges(self, entries: object, ids: dict[str, int]) -> list[Pair]:
        """The merges as pairs of ids; a file has each as "left right" or as ["left", "right"]."""
        merges: list[Pair] = []
        listed = self.items(entries, "model.merges")
        if len(listed) > MAX_MERGES_PER_TOKEN * len(ids):
            raise self.bad_entry(f"{len(listed):,} merges are too many for {len(ids):,} tokens")
        for number, entry in enumerate(listed, start=1):
            match entry.split(" ") if isinstance(entry, str) else entry:
                case [str(left), str(right)] if left in ids and right in ids:
                    merges.append((ids[left], ids[right]))
                case _:
                    shown_entry = shown_value(entry)
                    raise self.bad_entry(f"merge {number} is {shown_entry}, not a pair of tokens of the vocabulary")
        return merges

    def token(self, name: str, is_special: bool) -> bytes:
        """The bytes behind a name."""
        token = name.encode("utf-8", "replace") if is_special else from_shown(name)
        if not token:
            raise self.bad_entry(f"the token {shown_value(name)} is not written in the alphabet of bytes")
        return token

    def table(self, value: object, name: str) -> Tree:
        """`value` as a JSON object."""
        if not isinstance(value, dict):
            raise self.other_kind(f"{name} is {shown_value(value)}, not an object")
        return cast("Tree", value)

    def items(self, value: object, name: str) -> list[object]:
        """`value` as a JSON list."""
        if not isinstance(value, list):
            raise self.other_kind(f"{name} is {shown_value(value)}, not a list")
        return cast("list[object]", value)

    def other_kind(self, what: str) -> TokenizerError:
        """The error for a sound file of a kind that is not read here."""
        return TokenizerError(
            f"not a byte-level BPE tokenizer of a known kind: {what}",
            where=self.where,
            fix="use GPT-2's tokenizer.json, or one that `groundup tokenizer train` wrote",
            code="TOK_KIND",
        )

    def not_json(self, what: str) -> TokenizerError:
        """The error for a file that is no plain JSON."""
        return TokenizerError(
            f"not a whole JSON file: {what}", where=self.where, fix="copy or train the tokenizer again", code="TOK_JSON"
        )

    def bad_entry(self, what: str) -> TokenizerError:
        """The error for a vocabulary that contradicts itself."""
        return TokenizerError(what, where=self.where, fix="copy or train the tokenizer again", code="TOK_VOCAB")
