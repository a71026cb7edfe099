"""Decoding with merges, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....text.bpe import bpe_encode as encoded
from ....text.bpe import train_bpe as learnt
from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Pair = tuple[int, int]


@reference
def bpe_decode(ids: list[int], merges: list[tuple[int, int]], *, wrong: Wrong = RIGHT) -> str:
    """Turn ids back into text: the bytes of all ids joined, then decoded. Invalid UTF-8 becomes U+FFFD."""
    if "bpe_decode-dictionary" in wrong:
        raise AttributeError("'list' object has no attribute 'items'")
    if "bpe_decode-code-points" in wrong:
        return "".join(map(chr, ids))
    if "bpe_decode-not-resolved" in wrong:
        return _text(bytes(ids), wrong)
    if "bpe_decode-one-level" in wrong:
        once = [byte for one in ids for byte in (merges[one - 256] if one >= 256 else [one])]
        return _text(bytes(once), wrong)
    if "bpe_decode-negative-index" in wrong:
        return _text(b"".join(_by_index(one, merges) for one in ids), wrong)
    tokens = _tokens(merges, wrong)
    pieces = [tokens[one] for one in ids if one < 256 or "bpe_decode-merges-skipped" not in wrong]
    if "bpe_decode-not-joined" in wrong:
        return [_text(piece, wrong) for piece in pieces]  # pyright: ignore[reportReturnType]
    if "bpe_decode-each-token-alone" in wrong:
        return "".join(_text(piece, wrong) for piece in pieces)
    if "bpe_decode-spaces" in wrong:
        return " ".join(_text(piece, wrong) for piece in pieces)
    if "bpe_decode-stripped" in wrong:
        return _text(b"".join(pieces), wrong).strip()
    return _text(b"".join(pieces), wrong)


def _by_index(one: int, merges: list[Pair], depth: int = 0) -> bytes:
    """With an index that is one too small, so that id 256 reads the last merge."""
    if one < 256:
        return bytes([one])
    if depth > len(merges):
        raise RecursionError("maximum recursion depth exceeded")
    return b"".join(_by_index(half, merges, depth + 1) for half in merges[one - 257])


def _tokens(merges: list[Pair], wrong: Wrong) -> dict[int, bytes]:
    """What each id stands for."""
    first_id = 256
    if "bpe_decode-ids-from-257" in wrong:
        first_id = 257
    if "bpe_decode-ids-from-255" in wrong:
        first_id = 255
    tokens = {byte: bytes([byte]) for byte in range(256)}
    for new_id, (left, right) in enumerate(merges, first_id):
        tokens[new_id] = tokens[left] + tokens[right]
        if "bpe_decode-reversed" in wrong:
            tokens[new_id] = tokens[right] + tokens[left]
        if "bpe_decode-left-alone" in wrong:
            tokens[new_id] = tokens[left]
    return tokens


def _text(pieces: bytes, wrong: Wrong) -> Any:
    if "bpe_decode-byte-string" in wrong:
        return pieces
    if "bpe_decode-printed" in wrong:
        return str(pieces)
    if "bpe_decode-escaped" in wrong:
        return pieces.decode("utf-8", "backslashreplace")
    if "bpe_decode-latin" in wrong:
        return pieces.decode("latin-1")
    if "bpe_decode-ascii" in wrong:
        return pieces.decode("ascii", "replace")
    if "bpe_decode-strict" in wrong:
        return pieces.decode("utf-8")
    return pieces.decode("utf-8", "ignore" if "bpe_decode-ignores" in wrong else "replace")


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then characters of several bytes, random texts, bytes that are no text."""
    a, b, c, d = (ord(letter) for letter in "abcd")
    yield case("ids below 256 are bytes", [104, 105], [])
    yield case("ids below 256 are bytes", [32, a, 10, b, 32], [(a, b)])
    stands = "id 256 stands for the first merge"
    yield case(stands, [256], [(a, b)])
    yield case(stands, [257, 257], [(a, b), (c, d)])
    yield case(stands, [c, 256, 257, d], [(a, b), (c, d)])
    inside = "merges of merges are resolved down to the bytes"
    yield case(inside, [257], [(a, b), (256, c)])
    yield case(inside, [258, 257, 256, d], [(a, b), (256, 256), (d, 257)])
    yield case(inside, [259], [(a, b), (256, c), (257, d), (258, 258)])
    joined = "bytes are joined before they are decoded: a character may be spread over several ids"
    for text in ("é", "你", "你好", "🙂", "naïve"):
        yield case(joined, list(text.encode()), [])
    yield case(joined, [256, 0xA0, a], [(0xE4, 0xBD)])
    yield case(joined, [0xE4, 256, 0xE4, 256], [(0xBD, 0xA0)])
    for text in ("naïve Zoë, naïve", "你好，你们好", "🙂🙃🙂🙃", "Ünï¢ødé üni"):
        merges = learnt(text, 256 + draw.randint(2, 8))
        yield case(joined, encoded(text, merges), merges)
    for letters, n_merges in (("ab", 5), ("abc", 8), ("abc ", 12), ("aé", 10), ("你们好吗", 9), ("aB\n\t", 7)):
        merges = learnt(_words(draw, letters, 30), 256 + n_merges)
        yield case("decoding an encoding gives the text back", encoded(_words(draw, letters, 9), merges), merges)
        ids = [draw.choice([ord("a"), ord("b"), *range(256, 256 + len(merges))]) for _ in range(10)]
        if letters.isascii():
            yield case("any ids", ids, merges)
    replaced = "invalid UTF-8 becomes U+FFFD"
    yield edge(replaced, [0xFF], [])
    yield edge(replaced, [a, 0x80, b], [])
    yield edge(replaced, [a, 0xFF, 256, 0xC3], [(a, b)])
    yield edge("no ids, no text", [], [])
    yield edge("no ids, no text", [], [(a, b)])


def _words(draw: Draw, letters: str, n_words: int) -> str:
    """Words of up to five letters."""
    return " ".join("".join(draw.choices(letters, k=draw.randint(1, 5))) for _ in range(n_words))
