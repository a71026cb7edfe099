"""Right in unusual ways."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict

import numpy as np

Pair = tuple[int, int]


def count_pairs_by_counter(ids: list[int]) -> Counter[Pair]:
    return Counter(itertools.pairwise(ids))


def count_pairs_by_index(ids: list[int]) -> dict[Pair, int]:
    counts: defaultdict[Pair, int] = defaultdict(int)
    for i in range(len(ids) - 1):
        counts[ids[i], ids[i + 1]] += 1
    return counts


def count_pairs_sorted(ids: list[int]) -> dict[Pair, int]:
    pairs = sorted((ids[i - 1], ids[i]) for i in range(1, len(ids)))
    return {pair: pairs.count(pair) for pair in pairs}


def count_pairs_from_the_right(ids: list[int]) -> dict[Pair, int]:
    counts: dict[Pair, int] = {}
    rest = list(ids)
    while len(rest) >= 2:
        right = rest.pop()
        counts.setdefault((rest[-1], right), 0)
        counts[rest[-1], right] += 1
    return counts


def count_pairs_by_halves(ids: list[int]) -> dict[Pair, int]:
    if len(ids) < 3:
        return {(ids[0], ids[1]): 1} if len(ids) == 2 else {}
    middle = len(ids) // 2
    left, right = count_pairs_by_halves(ids[: middle + 1]), count_pairs_by_halves(ids[middle:])
    return {pair: left.get(pair, 0) + right.get(pair, 0) for pair in left | right}


def count_pairs_in_numbers_of_any_kind(ids: list[int]) -> dict[Pair, float]:
    return {
        (a, b): float(sum(ids[i] == a and ids[i + 1] == b for i in range(len(ids) - 1)))
        for a, b in itertools.pairwise(ids)
    }


def count_pairs_of_numpy_numbers(ids: list[int]) -> dict:
    row = np.array(ids, dtype=np.int64)
    counts: dict = {}
    for pair in itertools.pairwise(row):
        counts[pair] = counts.get(pair, np.int64(0)) + 1
    return counts
