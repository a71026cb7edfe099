"""Encoding with merges, right or with one of the known mistakes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import regex

from ....text.bpe import train_bpe as learnt
from ....text.patterns import GPT2_PATTERN
from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..pairs.merge_pair import merge_pair

Pair = tuple[int, int]

WORDS = r"\w+|\W"


@reference
def bpe_encode(
    text: str, merges: list[tuple[int, int]], pattern: str | None = None, *, wrong: Wrong = RIGHT
) -> list[int]:
    """Turn a text into ids: its UTF-8 bytes, on which the merges are made in the order in which they were learnt.

    The first merge makes id 256, the next 257. With a pattern no merge crosses the border of a match.
    """
    if "bpe_encode-last-merge-missing" in wrong:
        merges = merges[:-1]
    rows = [_merged(_ids(piece, wrong), merges, wrong) for piece in _pieces(text, pattern, wrong)]
    if "bpe_encode-one-token-fails" in wrong and any(len(row) < 2 for row in rows):
        raise ValueError("min() arg is an empty sequence")
    if "bpe_encode-nested" in wrong:
        return rows  # pyright: ignore[reportReturnType]
    if "bpe_encode-last-piece" in wrong:
        return rows[-1] if rows else []
    if "bpe_encode-first-piece" in wrong:
        return rows[0] if rows else []
    ids = [one for row in rows for one in row]
    if "bpe_encode-byte-strings" in wrong:
        tokens = _tokens(merges)
        return [tokens[one] for one in ids]  # pyright: ignore[reportReturnType]
    return ids


def _pieces(text: str, pattern: str | None, wrong: Wrong) -> list[str]:
    """The pieces inside which merges stay."""
    if "bpe_encode-words-of-their-own" in wrong and pattern is None:
        return text.split()
    if "bpe_encode-words-whatever" in wrong:
        return text.split()
    if "bpe_encode-own-pattern" in wrong and pattern is None:
        pattern = GPT2_PATTERN
    if pattern is None or "bpe_encode-pattern-ignored" in wrong:
        return [text]
    if "bpe_encode-std-re" in wrong:
        return re.findall(pattern, text)
    if "bpe_encode-splits-at-matches" in wrong:
        return regex.split(pattern, text)
    return regex.findall(pattern, text)


def _ids(piece: str, wrong: Wrong) -> list[int]:
    if "bpe_encode-lower-case" in wrong:
        piece = piece.lower()
    if "bpe_encode-stripped" in wrong:
        piece = piece.strip()
    if "bpe_encode-code-points" in wrong:
        return [ord(character) for character in piece]
    if "bpe_encode-ascii-only" in wrong:
        return list(piece.encode("ascii", "ignore"))
    return list(piece.encode("utf-8"))


def _merged(ids: list[int], merges: list[Pair], wrong: Wrong) -> list[int]:
    """The ids of one piece after its merges."""
    first_id = 256
    if "bpe_encode-ids-from-257" in wrong:
        first_id = 257
    if "bpe_encode-ids-from-255" in wrong:
        first_id = 255
    if "bpe_encode-ids-from-0" in wrong:
        first_id = 0
    new_ids = {pair: new_id for new_id, pair in enumerate(merges, first_id)}
    if "bpe_encode-dictionary-get" in wrong and len(ids) > 1:
        raise AttributeError("'list' object has no attribute 'get'")
    if "bpe_encode-dictionary-index" in wrong and any(pair in new_ids for pair in pairwise(ids)):
        raise TypeError("list indices must be integers or slices, not tuple")
    choose = _chooser(new_ids, wrong)
    if choose is not None:
        return _merged_by_choice(ids, new_ids, choose, wrong)
    if "bpe_encode-unknown-first" in wrong:
        while len(ids) > 1 and all(pair in new_ids for pair in pairwise(ids)):
            pair = min(pairwise(ids), key=new_ids.__getitem__)
            ids = merge_pair(ids, pair, new_ids[pair], wrong=wrong)
        return ids
    if "bpe_encode-longest-match" in wrong:
        return _longest_matches(ids, merges)
    if "bpe_encode-grows" in wrong:
        return _growing(ids, new_ids)
    if "bpe_encode-one-pass" in wrong:
        return _one_pass(ids, new_ids)
    if "bpe_encode-passes" in wrong:
        while (merged := _one_pass(ids, new_ids)) != ids:
            ids = merged
        return ids
    if "bpe_encode-not-merged" in wrong:
        return ids
    return _one_after_another(ids, new_ids, wrong)


def _one_after_another(ids: list[int], new_ids: dict[Pair, int], wrong: Wrong) -> list[int]:
    """Every merge, in the order in which they were learnt."""
    order = list(new_ids.items())
    for pair, new_id in order[::-1] if "bpe_encode-reversed" in wrong else order:
        before = ids
        ids = merge_pair(ids, pair, new_id, wrong=wrong)
        if "bpe_encode-stops-at-first" in wrong and ids != before:
            return ids
        if "bpe_encode-stops-at-absent" in wrong and ids == before:
            return ids
    return ids


def _chooser(new_ids: dict[Pair, int], wrong: Wrong) -> Callable[[list[Pair]], Pair] | None:
    """What chooses among the known pairs that stand in a row, where not the order of learning does."""
    if "bpe_encode-latest-first" in wrong:
        return lambda known: max(known, key=lambda pair: new_ids[pair])
    if "bpe_encode-most-frequent-first" in wrong:
        return lambda known: Counter(known).most_common(1)[0][0]
    if "bpe_encode-smallest-pair-first" in wrong:
        return min
    return (lambda known: known[0]) if "bpe_encode-leftmost" in wrong else None


def _merged_by_choice(
    ids: list[int], new_ids: dict[Pair, int], choose: Callable[[list[Pair]], Pair], wrong: Wrong
) -> list[int]:
    while known := [pair for pair in pairwise(ids) if pair in new_ids]:
        pair = choose(known)
        if "bpe_encode-leftmost" in wrong:
            i = next(i for i, one in enumerate(pairwise(ids)) if one == pair)
            ids = [*ids[:i], new_ids[pair], *ids[i + 2 :]]
        else:
            ids = merge_pair(ids, pair, new_ids[pair])
    return ids


def _tokens(merges: list[Pair]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def _longest_matches(ids: list[int], merges: list[Pair]) -> list[int]:
    """From left to right always the longest token of the vocabulary that fits."""
    vocabulary = {token: one for one, token in enumerate(_tokens(merges))}
    rest, found = bytes(ids), list[int]()
    while rest:
        length = next(n for n in range(len(rest), 0, -1) if rest[:n] in vocabulary)
        found.append(vocabulary[rest[:length]])
        rest = rest[length:]
    return found


def _one_pass(ids: list[int], new_ids: dict[Pair, int]) -> list[int]:
    """One way from left to right, in which each pair of bytes that is known is merged, and nothing again."""
    found: list[int] = []
    i = 0
    while i < len(ids):
        pair: Any = tuple(ids[i : i + 2])
        found.append(new_ids.get(pair, ids[i]))
        i += 2 if pair in new_ids else 1
    return found


def _growing(ids: list[int], new_ids: dict[Pair, int]) -> list[int]:
    """One way from left to right, in which the last token takes in the next byte if it can."""
    found: list[int] = []
    for one in ids:
        if found and (found[-1], one) in new_ids:
            found[-1] = new_ids[found[-1], one]
        else:
            found.append(one)
    return found


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then the order of merges, patterns, other scripts, random texts."""
    a, b, c, d = (ord(letter) for letter in "abcd")
    yield case("without merges, ids are bytes", "abc", [])
    yield case("without merges, ids are bytes", "a b", [])
    yield case("without merges, ids are bytes", " a\n", [])
    yield case("a merge gets the next id from 256 on", "xabx", [(a, b)])
    yield case("a merge gets the next id from 256 on", "cdxab", [(a, b), (c, d)])
    yield case("merged tokens are merged again", "abcabx", [(a, b), (256, c)])
    yield case("merged tokens are merged again", "ababababab", [(a, b), (256, 256), (257, 257)])
    yield case("every occurrence is merged", "aaa baa aaaa", [(a, a)])
    order = "merges are made in the order in which they were learnt"
    yield case(order, "abc", [(b, c), (a, b)])
    yield case(order, "abcd", [(c, d), (b, c), (a, b)])
    yield case(order, "xbcdbc", [(c, d), (b, c)])
    yield case(order, "abcabab", [(b, c), (a, b), (257, 257)])
    yield case(order, "abcd", [(b, c), (a, b), (c, d), (257, 258)])
    yield case(order, "abcd", [(c, d), (a, b), (257, c)])
    yield case(order, "bcabab", [(b, c), (c, a), (a, b)])
    yield case(order, "ababca", [(c, a), (b, c), (a, b)])
    yield case(order, "abab", [(c, d), (a, b)])
    yield from _with_pattern(draw)
    for text in ("é", "naïve Zoë", "你好，你们", "🙂🙃🙂"):
        yield case("text is UTF-8 bytes", text, [])
        yield case("text is UTF-8 bytes", f"{text} {text}", learnt(f"{text} {text}", 256 + draw.randint(2, 9)))
        yield case("text is UTF-8 bytes, with a pattern", text, learnt(text + text, 260), GPT2_PATTERN)
    for letters, n_merges in (("ab", 5), ("ab", 9), ("abc", 8), ("abc ", 12), ("abcd", 15), ("Aab  é", 14)):
        for _ in range(2):
            merges = learnt(_words(draw, letters, 30), 256 + n_merges)
            yield case("any text", _words(draw, letters, 8), merges)
            yield case("any text, with a pattern", _words(draw, letters, 8), merges, GPT2_PATTERN)
    yield edge("no text, no ids", "", [(a, b)])
    yield edge("no text, no ids", "", [(a, b)], WORDS)
    yield edge("pattern given by name", "ab ab", [(a, b), (256, 32)], pattern=WORDS)


def _words(draw: Draw, letters: str, n_words: int) -> str:
    """Words of up to five letters."""
    return " ".join("".join(draw.choices(letters, k=draw.randint(1, 5))) for _ in range(n_words))


def _with_pattern(draw: Draw) -> Iterator[Case]:
    """Patterns that match the whole text."""
    borders = "no merge crosses the border of a match"
    a, b, space = (ord(letter) for letter in "ab ")
    yield case(borders, "a b", [(a, space), (space, b)], WORDS)
    yield case(borders, "ab ab", [(a, b), (256, space)], r"\S+|\s+")
    yield case(borders, "aabb", [(a, a), (a, b)], r"a|b+")
    yield case(borders, "aab baa", [(b, space), (space, b), (a, a)], r" ?\S+|\s+")
    text = "Hello hello, world! It's 2024,  it's 2025.\n"
    yield case(borders, text, learnt(text, 270), GPT2_PATTERN)
    yield case(borders, "it's   2024, it's", learnt(text, 275), GPT2_PATTERN)
    for letters in ("ab", "abc"):
        yield case(borders, _words(draw, letters, 8), learnt(_words(draw, letters, 30), 264), WORDS)
        yield case(borders, _words(draw, letters, 8), learnt(_words(draw, letters, 30), 264), r"\S+\s*|\s+")


EXAMPLE_SIZE = "40 merges"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((_words(draw, "abcdefgh", 400), learnt(_words(draw, "abcdefgh", 60), 296)))
