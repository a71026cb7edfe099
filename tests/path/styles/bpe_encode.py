"""Right in unusual ways."""

from __future__ import annotations

import functools
import itertools

import regex

Pair = tuple[int, int]


def bpe_encode_by_rank(text: str, merges: list[Pair], pattern: str | None = None) -> list[int]:
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    ids: list[int] = []
    for piece in [text] if pattern is None else regex.findall(pattern, text):
        row = list(piece.encode())
        while len(row) >= 2:
            best = min(zip(row, row[1:], strict=False), key=lambda pair: ranks.get(pair, len(merges)))
            if best not in ranks:
                break
            i = 0
            while i < len(row) - 1:
                if (row[i], row[i + 1]) == best:
                    row[i : i + 2] = [256 + ranks[best]]
                i += 1
        ids.extend(row)
    return ids


def bpe_encode_one_place_at_a_time(text: str, merges: list[Pair], pattern: str | None = None) -> list[int]:
    # Only the first place of the earliest merge, then everything again from the start.
    ids: list[int] = []
    for match in regex.finditer(pattern or r"(?s).+", text):
        row = list(match[0].encode("utf-8"))
        while True:
            known = [
                (merges.index((row[i], row[i + 1])), i) for i in range(len(row) - 1) if (row[i], row[i + 1]) in merges
            ]
            if not known:
                break
            rank, i = min(known)
            row = [*row[:i], rank + 256, *row[i + 2 :]]
        ids += row
    return ids


def bpe_encode_in_a_text_of_characters(text: str, merges: list[Pair], pattern: str | None = None) -> list[int]:
    @functools.cache
    def encoded(piece: str) -> list[int]:
        row = piece.encode("utf-8").decode("latin-1")
        for rank, (left, right) in enumerate(merges):
            row = row.replace(chr(left) + chr(right), chr(256 + rank))
        return [ord(character) for character in row]

    return list(itertools.chain(*map(encoded, [text] if not pattern else regex.findall(pattern, text))))


def bpe_encode_by_byte_strings(text: str, merges: list[Pair], pattern: str | None = None) -> tuple[int, ...]:
    # The way of tiktoken: a table from bytes to ranks, without pairs. Of merges that were learnt it makes the same.
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    ranks = {token: i for i, token in reversed(list(enumerate(tokens)))}
    ids: list[int] = []
    for piece in regex.compile(pattern).findall(text) if pattern is not None else [text]:
        parts = [bytes([byte]) for byte in piece.encode()]
        while True:
            joined = [ranks.get(parts[i] + parts[i + 1], 1 << 30) for i in range(len(parts) - 1)]
            best = min(joined, default=1 << 30)
            if best == 1 << 30:
                break
            i = joined.index(best)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        ids += [ranks[part] for part in parts]
    return tuple(ids)
