"""Counting neighbours, right or with one of the known mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Pair = tuple[int, int]


@reference
def count_pairs(ids: list[int], *, wrong: Wrong = RIGHT) -> dict[tuple[int, int], int]:
    """Count how often each two neighbours stand side by side.

    Every position counts, overlapping too: 1 1 1 holds the pair (1, 1) twice.
    """
    if "count_pairs-short-fails" in wrong and not ids:
        raise IndexError("list index out of range")
    if "count_pairs-single-ids" in wrong:
        return {one: ids.count(one) for one in ids}  # pyright: ignore[reportReturnType]
    if "count_pairs-threes" in wrong:
        threes = list(zip(ids, ids[1:], ids[2:], strict=False))
        return {three: threes.count(three) for three in threes}  # pyright: ignore[reportReturnType]
    start = 0
    if "count_pairs-one-less" in wrong:
        start = -1
    if "count_pairs-one-more" in wrong:
        start = 1
    counts: dict[Pair, int] = {}
    for pair in _named(_neighbours(ids, wrong), wrong):
        counts[pair] = counts.get(pair, start) + 1
    if "count_pairs-best-only" in wrong and counts:
        best = max(counts, key=counts.__getitem__)
        return {best: counts[best]}
    if "count_pairs-listed" in wrong:
        return list(counts.items())  # pyright: ignore[reportReturnType]
    if "count_pairs-presence" in wrong:
        return dict.fromkeys(counts, 1)
    if "count_pairs-singles-dropped" in wrong:
        return {pair: count for pair, count in counts.items() if count > 1}
    if "count_pairs-shares" in wrong:
        return {pair: count / sum(counts.values()) for pair, count in counts.items()}  # pyright: ignore[reportReturnType]
    return counts


def _named(pairs: Iterable[Pair], wrong: Wrong) -> Iterator[Pair]:
    """Each pair under the name by which it is counted."""
    for left, right in pairs:
        if "count_pairs-reversed" in wrong:
            yield right, left
        elif "count_pairs-unordered" in wrong:
            yield min(left, right), max(left, right)
        elif not ("count_pairs-equal-skipped" in wrong and left == right):
            yield left, right


def _neighbours(ids: list[int], wrong: Wrong) -> Iterable[Pair]:
    """The pairs to be counted, in order."""
    pairs = list(itertools.pairwise(ids))
    if "count_pairs-any-distance" in wrong:
        return itertools.combinations(ids, 2)
    if "count_pairs-gap" in wrong:
        return zip(ids, ids[2:], strict=False)
    if "count_pairs-blocks" in wrong:
        return pairs[::2]
    if "count_pairs-first-place" in wrong:
        return [(one, ids[ids.index(one) + 1]) for one in ids[:-1]]
    if "count_pairs-last-left-out" in wrong:
        return pairs[:-1]
    if "count_pairs-first-left-out" in wrong:
        return pairs[1:]
    if "count_pairs-wraps-around" in wrong and ids:
        return [*pairs, (ids[-1], ids[0])]
    if "count_pairs-run-counted-once" in wrong:
        return [pair for pair, _same in itertools.groupby(pairs)]
    if "count_pairs-no-overlap" in wrong:
        return [pair for pair, same in itertools.groupby(pairs) for _ in list(same)[::2]]
    if "count_pairs-skips-after-equal" in wrong:
        return _skipping(pairs)
    return pairs


def _skipping(pairs: list[Pair]) -> Iterator[Pair]:
    """After a pair of equals, the next one is passed over."""
    i = 0
    while i < len(pairs):
        yield pairs[i]
        i += 2 if pairs[i][0] == pairs[i][1] else 1


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then runs of equal ids, then random rows."""
    yield case("each two neighbours are counted", [1, 2, 3])
    yield case("each two neighbours are counted", [1, 2, 1, 2, 3])
    yield case("a pair has an order", [1, 2, 1])
    yield case("a pair has an order", [5, 4])
    overlapping = "overlapping pairs count too"
    for run in ([1, 1, 1], [1, 1, 1, 1], [1, 1, 2], [2, 1, 1, 1, 2], [1, 1, 1, 1, 1], [1, 1, 2, 2, 2, 1, 1]):
        yield case(overlapping, run)
    for n_ids, n_kinds in (
        (2, 3),
        (3, 2),
        (5, 3),
        (6, 2),
        (8, 4),
        (9, 2),
        (12, 3),
        (20, 5),
        (25, 3),
        (30, 4),
        (41, 6),
        (60, 9),
    ):
        yield case("a row of any length", [draw.randrange(n_kinds) for _ in range(n_ids)])
    for _ in range(4):
        runs = [(draw.randrange(3), draw.randint(1, 5)) for _ in range(5)]
        yield case(overlapping, [one for one, times in runs for _ in range(times)])
    yield case("ids of merges are counted like bytes", [256, 97, 256, 97, 1000])
    yield case("ids of merges are counted like bytes", [draw.randint(250, 260) for _ in range(30)])
    yield edge("nothing, or one id, has no neighbours", [])
    yield edge("nothing, or one id, has no neighbours", [draw.randrange(256)])
