"""The shape of two arrays together, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

Shape = tuple[int, ...]


@reference
def broadcast_shapes(a: tuple[int, ...], b: tuple[int, ...], *, wrong: Wrong = RIGHT) -> tuple[int, ...]:
    """The shape of a sum of two arrays, by NumPy's rule. Raises ValueError when they do not fit."""
    if "broadcast_shapes-same-number-of-axes" in wrong and len(a) != len(b):
        raise ValueError(f"{a} and {b} have different numbers of axes")
    if "broadcast_shapes-no-stretching" in wrong:
        n = min(len(a), len(b))
        if a[len(a) - n :] != b[len(b) - n :]:
            raise ValueError(f"{a} and {b} are not the same")
    pairs = [_together(one, other, wrong) for one, other in _side_by_side(a, b, wrong)]
    if "broadcast_shapes-reversed" in wrong:
        pairs.reverse()
    if "broadcast_shapes-longer-kept" in wrong:
        return a if len(a) >= len(b) else b
    return tuple(pairs)


def _side_by_side(a: Shape, b: Shape, wrong: Wrong) -> list[tuple[int, int]]:
    """The sizes that meet: from the right, the shorter shape filled up with 1."""
    if "broadcast_shapes-cut" in wrong:
        n = min(len(a), len(b))
        return list(zip(a[len(a) - n :], b[len(b) - n :], strict=True))
    n = max(len(a), len(b))
    if "broadcast_shapes-from-the-left" in wrong:
        return list(zip(a + (1,) * (n - len(a)), b + (1,) * (n - len(b)), strict=True))
    return list(zip((1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b, strict=True))


def _together(one: int, other: int, wrong: Wrong) -> int:
    """The size of two together."""
    if "broadcast_shapes-smaller" in wrong:
        return min(one, other)
    if "broadcast_shapes-first-kept" in wrong:
        return one
    if "broadcast_shapes-multiples" in wrong and min(one, other) and max(one, other) % min(one, other) == 0:
        return max(one, other)
    if "broadcast_shapes-only-b" in wrong and one == 1 != other:
        raise ValueError(f"1 is not {other}")
    if one != other and 1 not in (one, other) and "broadcast_shapes-unchecked" not in wrong:
        if "broadcast_shapes-another-error" in wrong:
            raise TypeError(f"{one} and {other} do not fit")
        raise ValueError(f"{one} and {other} do not fit")
    if "broadcast_shapes-larger" in wrong:
        return max(one, other)
    return other if one == 1 else one


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes of all lengths that fit, and those that do not."""
    right = "sizes are laid side by side from the right"
    yield case(right, (2, 3), (3,))
    yield case(right, (4,), (2, 4))
    yield case("a size of 1 is stretched", (2, 1), (2, 3))
    yield case("a size of 1 is stretched", (1, 3), (2, 3))
    yield case("a size of 1 is stretched, on either side", (2, 1), (1, 3))
    yield case("equal shapes stay as they are", (2, 3), (2, 3))
    yield case("missing axes count as 1", (5, 2, 3), (3,))
    yield case("missing axes count as 1", (3,), (7, 2, 3))
    yield case("missing axes count as 1", (2, 3), (6, 1, 3))
    yield case(right, (8, 1, 6, 1), (7, 1, 5))
    yield case(right, (3, 3), (3,))
    for _ in range(12):
        yield case(right, *_fitting(draw, draw.randint(1, 5)))
    for a, b in (
        ((2, 3), (4, 3)),
        ((2,), (3,)),
        ((3, 2), (3,)),
        ((2, 4), (2,)),
        ((5, 3, 2), (4, 1, 2)),
        ((2, 3), (2,)),
    ):
        yield case("sizes that differ, none of them 1, are a ValueError", a, b, view=_anything)
        yield case("sizes that differ, none of them 1, are a ValueError", b, a, view=_anything)
    yield edge("a shape without axes", (), (2, 3))
    yield edge("a shape without axes", (), ())
    for a, b in (((0,), (1,)), ((1, 3), (0, 3)), ((2, 0), (2, 1))):
        yield edge("a size of 1 is stretched, also to 0", a, b)


def _fitting(draw: Draw, n: int) -> tuple[Shape, Shape]:
    """Two shapes that fit."""
    whole = [draw.randint(2, 9) for _ in range(n)]
    a, b = (tuple(1 if draw.random() < 0.3 else size for size in whole) for _ in range(2))
    cut = draw.randint(0, n - 1)
    return (a[cut:], b) if draw.random() < 0.5 else (a, b[cut:])


def _anything(seen: list[Observation]) -> Any:
    """Where an error is due, all values are alike."""
    return "a value" if seen[0]["error"] is None else "an error"
