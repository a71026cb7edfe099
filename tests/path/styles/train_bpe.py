"""Right in unusual ways."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict

import regex

Pair = tuple[int, int]


def train_bpe_all_in_one(text: str, vocab_size: int, pattern: str | None = None) -> list[Pair]:
    pieces = [text] if pattern is None else [match.group() for match in regex.finditer(pattern, text)]
    rows = [list(piece.encode()) for piece in pieces]
    merges: list[Pair] = []
    while len(merges) + 256 < vocab_size:
        counts = Counter((row[i], row[i + 1]) for row in rows for i in range(len(row) - 1))
        if not counts:
            break
        (a, b), n = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[0]
        if n == 1:
            break
        for row in rows:
            i = 0
            while i < len(row) - 1:
                if row[i] == a and row[i + 1] == b:
                    row[i : i + 2] = [256 + len(merges)]
                i += 1
        merges.append((a, b))
    return merges


def train_bpe_on_one_row_with_borders(text: str, vocab_size: int, pattern: str | None = None) -> list[Pair]:
    row: list[int] = []
    for piece in regex.findall(pattern, text) if pattern else [text]:
        row += [*piece.encode("utf-8"), -1]  # -1 is no neighbour of anything
    merges: list[Pair] = []
    for new_id in range(256, vocab_size):
        pairs = [(a, b) for a, b in zip(row, row[1:], strict=False) if a >= 0 and b >= 0]
        counts = {pair: pairs.count(pair) for pair in set(pairs)}
        best, n = min(counts.items(), key=lambda item: (-item[1], item[0]), default=((0, 0), 0))
        if n < 2:
            return merges
        merges.append(best)
        merged: list[int] = []
        for one in row:
            if merged and merged[-1] == best[0] and one == best[1]:
                merged[-1] = new_id
            else:
                merged.append(one)
        row = merged
    return merges


def train_bpe_on_tuples_of_words(text: str, vocab_size: int, pattern: str | None = None) -> list[list[int]]:
    pieces = regex.compile(pattern).findall(text) if pattern is not None else [text]
    words = Counter(tuple(piece.encode("utf-8")) for piece in pieces)
    merges: list[list[int]] = []
    while 256 + len(merges) < vocab_size:
        counts: defaultdict[Pair, int] = defaultdict(int)
        for word, n in words.items():
            for pair in zip(word[:-1], word[1:], strict=True):
                counts[pair] += n
        heap = [(-n, pair) for pair, n in counts.items() if n >= 2]
        heapq.heapify(heap)
        if not heap:
            break
        best = heap[0][1]
        replaced: Counter[tuple[int, ...]] = Counter()
        for word, n in words.items():
            replaced[_merged(word, best, 256 + len(merges))] += n
        words = replaced
        merges.append(list(best))
    return merges


def _merged(word: tuple[int, ...], pair: Pair, new: int) -> tuple[int, ...]:
    for i in range(len(word) - 1):
        if word[i : i + 2] == pair:
            return (*word[:i], new, *_merged(word[i + 2 :], pair, new))
    return word


def train_bpe_in_a_text_of_characters(text: str, vocab_size: int, pattern: str | None = None) -> list[Pair]:
    # One character for each id, and str.replace for a merge. Ids stay below the surrogates.
    pieces = [text] if pattern is None else regex.findall(pattern, text)
    rows = [piece.encode("utf-8").decode("latin-1") for piece in pieces]
    merges: list[Pair] = []
    for new_id in range(256, vocab_size):
        counts: dict[str, int] = {}
        for row in rows:
            for pair in map("".join, zip(row, row[1:], strict=False)):
                counts[pair] = counts.get(pair, 0) + 1
        often = max(counts.values(), default=0)
        if often < 2:
            break
        best = min(pair for pair, n in counts.items() if n == often)
        merges.append((ord(best[0]), ord(best[1])))
        rows = [row.replace(best, chr(new_id)) for row in rows]
    return merges
