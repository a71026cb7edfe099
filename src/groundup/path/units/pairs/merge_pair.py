"""Merging a pair, right or with one of the known mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Pair = tuple[int, int]


@reference
def merge_pair(ids: list[int], pair: tuple[int, int], new_id: int, *, wrong: Wrong = RIGHT) -> list[int]:
    """Replace each occurrence of the pair by new_id, from left to right, without overlap: 1 1 1 becomes new 1.

    The list that is given stays as it is.
    """
    if "merge_pair-new-id-ignored" in wrong:
        new_id = max(ids, default=0) + 1
    if "merge_pair-reversed" in wrong:
        pair = (pair[1], pair[0])
    if "merge_pair-right-to-left" in wrong:
        return _scanned(ids[::-1], (pair[1], pair[0]), new_id, wrong)[::-1]
    if "merge_pair-as-text" in wrong:
        return _as_text(ids, pair, new_id)
    if "merge_pair-each-by-itself" in wrong:
        return [new_id if one in pair else one for one in ids]
    if "merge_pair-reuses" in wrong:
        return _reusing(ids, pair, new_id)
    merged = _scanned(ids, pair, new_id, wrong)
    _reading_past_the_end(ids, pair, merged, wrong)
    if "merge_pair-in-place" in wrong or "merge_pair-returns-nothing" in wrong:
        ids[:] = merged
    if "merge_pair-returns-nothing" in wrong:
        return None  # pyright: ignore[reportReturnType]
    return merged


def _scanned(ids: list[int], pair: Pair, new_id: int, wrong: Wrong) -> list[int]:
    """From left to right; with a mistake, other things are found, put in their place, or passed over."""
    is_pair = _finder(pair, wrong)
    put, step = _replacement(pair, new_id, wrong)
    last = len(ids) - ("merge_pair-last-pair-missed" in wrong)
    merged: list[Any] = []
    i = n_merged = 0
    while i < len(ids):
        first_alone = "merge_pair-first-only" in wrong and n_merged > 0
        if i + 1 < last and is_pair(ids[i], ids[i + 1]) and not first_alone:
            merged += put
            i += step
            n_merged += 1
            if "merge_pair-neighbour-missed" in wrong:
                merged += ids[i : i + 1]
                i += 1
        elif "merge_pair-blocks" in wrong:
            merged += ids[i : i + 2]
            i += 2
        else:
            if not ("merge_pair-last-lost" in wrong and i == len(ids) - 1):
                merged.append(ids[i])
            i += 1
    return merged


def _reading_past_the_end(ids: list[int], pair: Pair, merged: list[int], wrong: Wrong) -> None:
    """The last id has no right neighbour; and a list that shrinks ends earlier than it did."""
    alone = bool(merged) and merged[-1] == ids[-1]
    if "merge_pair-past-the-end" in wrong and alone:
        raise IndexError("list index out of range")
    if "merge_pair-past-the-end-of-a-half" in wrong and alone and ids[-1] == pair[0]:
        raise IndexError("list index out of range")
    n_before_last = len(ids) - len(merged) - (not alone)
    if "merge_pair-shrinks-while-read" in wrong and n_before_last > 0:
        raise IndexError("list index out of range")


def _finder(pair: Pair, wrong: Wrong) -> Callable[[int, int], bool]:
    """What tells that two neighbours are the pair."""
    if "merge_pair-never-found" in wrong:
        return lambda left, right: False
    if "merge_pair-either-order" in wrong:
        return lambda left, right: {left, right} == set(pair) and (left == right) == (pair[0] == pair[1])
    if "merge_pair-left-alone" in wrong:
        return lambda left, right: left == pair[0]
    if "merge_pair-right-alone" in wrong:
        return lambda left, right: right == pair[1]
    return lambda left, right: (left, right) == pair


def _replacement(pair: Pair, new_id: int, wrong: Wrong) -> tuple[list[Any], int]:
    """What is put in the place of a pair, and how far to go on."""
    if "merge_pair-second-kept" in wrong:
        return [new_id], 1
    if "merge_pair-both-kept" in wrong:
        return [new_id, *pair], 2
    if "merge_pair-twice" in wrong:
        return [new_id, new_id], 2
    if "merge_pair-deleted" in wrong:
        return [], 2
    if "merge_pair-leftover" in wrong:
        return [new_id, None], 2
    if "merge_pair-next-lost" in wrong:
        return [new_id], 3
    return [new_id], 2


def _reusing(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Every position where the pair stands gives new_id, also one whose first id was used already."""
    found = [neighbours == pair for neighbours in itertools.pairwise(ids)] + [False]
    used = [here or before for here, before in zip(found, [False, *found], strict=False)]
    return [new_id if found[i] else ids[i] for i in range(len(ids)) if found[i] or not used[i]]


def _as_text(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Through a text in which 11 2 holds 1 2."""
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return [int(word) for word in text.split()]


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then pairs of equals, places at the borders, random rows."""
    every = "every occurrence becomes the new id"
    yield case(every, [1, 2, 3], (1, 2), 9)
    yield case(every, [1, 2, 3, 1, 2, 4], (1, 2), 9)
    yield case(every, [3, 1, 2, 1, 2, 1, 2, 3], (1, 2), 9)
    yield case("a pair has an order", [2, 1, 3, 2, 1], (1, 2), 9)
    yield case("a pair has an order", [2, 1, 2, 1], (1, 2), 9)
    borders = "at the beginning and at the end too"
    for row in ([1, 2], [5, 1, 2], [1, 2, 5], [5, 6, 1, 2], [1, 2, 5, 1]):
        yield case(borders, row, (1, 2), 9)
    for row in ([1, 3, 2], [1, 1, 3], [2, 2, 1], [3, 3], [5, 2, 5, 1]):
        yield case("what is not the pair stays", row, (1, 2), 9)
    yield case("a pair is two ids, not digits", [11, 2, 1, 21, 1, 2, 12], (1, 2), 300)
    left = "from left to right, without overlap"
    for n in (2, 3, 4, 5):
        yield case(left, [1] * n, (1, 1), 9)
    yield case(left, [2, 1, 1, 1, 2, 1, 1, 2], (1, 1), 9)
    yield case(left, [1, 1, 2, 1, 1, 1], (1, 1), 9)
    for n_ids, n_kinds in ((6, 2), (9, 3), (15, 2), (20, 4), (33, 3), (50, 2)):
        row = [draw.randrange(n_kinds) for _ in range(n_ids)]
        yield case(every, row, (draw.randrange(n_kinds), draw.randrange(n_kinds)), 256)
        yield case(every, row, (row[-2], row[-1]), 256 + draw.randrange(100))
    yield case("ids of merges merge like bytes", [256, 97, 256, 97, 98, 256], (256, 97), 257)
    row = [draw.randint(255, 258) for _ in range(30)]
    yield case("ids of merges merge like bytes", row, (row[3], row[4]), 259)
    yield edge("nothing, or one id, stays as it is", [], (1, 2), 9)
    yield edge("nothing, or one id, stays as it is", [1], (1, 2), 9)
