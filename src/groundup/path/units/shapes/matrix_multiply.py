"""The product of two matrices by hand, right or with one of the known mistakes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

Matrix = list[list[float]]


@reference
def matrix_multiply(a: list[list[float]], b: list[list[float]], *, wrong: Wrong = RIGHT) -> list[list[float]]:
    """Multiply two matrices. a: N rows of K, b: K rows of M -> N rows of M. Raises ValueError when they do not fit."""
    if "matrix_multiply-b-transposed" in wrong:
        b = _transposed(b)
    if "matrix_multiply-a-transposed" in wrong:
        a = _transposed(a)
    if "matrix_multiply-exchanged" in wrong:
        a, b = b, a
    _check(a, b, wrong)
    if "matrix_multiply-elementwise" in wrong:
        return [[x * y for x, y in zip(one, other, strict=True)] for one, other in zip(a, b, strict=True)]
    if "matrix_multiply-one-size" in wrong:
        n = range(len(a))
        return [[sum(a[i][k] * b[k][j] for k in n) for j in n] for i in n]
    return _form([[_entry(row, column, wrong) for column in zip(*b, strict=True)] for row in a], wrong)


def _check(a: Matrix, b: Matrix, wrong: Wrong) -> None:
    """Whether they fit: an error where not."""
    long, needed = len(a[0]), len(b)
    if "matrix_multiply-elementwise" in wrong or "matrix_multiply-same-width" in wrong:
        long, needed = len(a[0]), len(b[0])
    if "matrix_multiply-same-height" in wrong:
        long, needed = len(a), len(b)
    if long == needed or "matrix_multiply-unchecked" in wrong:
        return
    if "matrix_multiply-unchecked-where-a-is-narrow" in wrong and long < needed:
        return
    if "matrix_multiply-unchecked-where-a-is-wide" in wrong and long > needed:
        return
    if "matrix_multiply-another-error" in wrong:
        raise IndexError("list index out of range")
    raise ValueError(f"rows of {long} do not fit columns of {needed}")


def _entry(row: list[float], column: tuple[float, ...], wrong: Wrong) -> float:
    """A row times a column."""
    pairs = list(zip(row, column, strict=False))
    if "matrix_multiply-last-product" in wrong:
        return pairs[-1][0] * pairs[-1][1]
    if "matrix_multiply-first-product" in wrong:
        return pairs[0][0] * pairs[0][1]
    if "matrix_multiply-last-left-out" in wrong:
        pairs = pairs[:-1]
    if "matrix_multiply-added" in wrong:
        return sum(x + y for x, y in pairs)
    if "matrix_multiply-averaged" in wrong:
        return sum(x * y for x, y in pairs) / len(pairs)
    return sum(x * y for x, y in pairs)


def _form(rows: Matrix, wrong: Wrong) -> Any:
    """N rows of M."""
    if "matrix_multiply-not-reset" in wrong:
        entries = itertools.accumulate(entry for row in rows for entry in row)
        return [[next(entries) for _ in row] for row in rows]
    if "matrix_multiply-not-reset-in-a-row" in wrong:
        return [list(itertools.accumulate(row)) for row in rows]
    if "matrix_multiply-one-row-for-all" in wrong:
        return [[sum(column) for column in zip(*rows, strict=True)] for _ in rows]
    if "matrix_multiply-one-row" in wrong:
        return [list(rows[-1]) for _ in rows]
    if "matrix_multiply-whole-numbers" in wrong:
        return [[int(entry) for entry in row] for row in rows]
    if "matrix_multiply-result-transposed" in wrong:
        return _transposed(rows)
    if "matrix_multiply-flat" in wrong:
        return [entry for row in rows for entry in row]
    if "matrix_multiply-first-row" in wrong:
        return rows[:1]
    return rows


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then sizes that all differ, squares, rows and columns alone, and what does not fit."""
    entry = "entry (i, j) is row i of a times column j of b, added up"
    yield case(entry, [[1.0, 2.0]], [[3.0], [4.0]])
    yield case(entry, [[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]])
    yield case(entry, [[1.0, 0.0], [0.0, 1.0]], [[5.0, 6.0], [7.0, 8.0]])
    for n, k, m in ((2, 3, 4), (4, 2, 3), (3, 4, 2), (1, 5, 2), (5, 1, 3), (2, 6, 1), (4, 3, 5), (3, 5, 6), (6, 2, 7)):
        yield case("N rows of K times K rows of M are N rows of M", _matrix(draw, n, k), _matrix(draw, k, m))
    for n in (1, 2, 2, 3, 3, 4, 5):  # square: a wrong order fits
        yield case(entry, _matrix(draw, n, n), _matrix(draw, n, n))
    for n, m in ((2, 3), (3, 2), (4, 3)):
        yield case("the order counts: a times b, not b times a", _matrix(draw, n, m), _matrix(draw, m, n))
    for _ in range(6):
        n, k, m = (draw.randint(1, 6) for _ in range(3))
        yield case("N rows of K times K rows of M are N rows of M", _matrix(draw, n, k), _matrix(draw, k, m))
    for n, k, other, m in ((2, 3, 4, 5), (3, 4, 2, 5), (5, 2, 3, 4), (4, 5, 3, 2)):
        a, b = _matrix(draw, n, k), _matrix(draw, other, m)
        yield case("rows of a that are not as long as columns of b are a ValueError", a, b, view=_anything)
    yield edge("a single number", [[3.0]], [[-2.0]])
    yield edge("whole numbers", [[1, 2], [3, 4]], [[0, 1], [1, 0]])


def _matrix(draw: Draw, n: int, m: int) -> Matrix:
    return [draw.numbers(m, scale=3.0) for _ in range(n)]


def _anything(seen: list[Observation]) -> str:
    """Where an error is due, all values are alike."""
    return "a value" if seen[0]["error"] is None else "an error"
