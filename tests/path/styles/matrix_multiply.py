"""Right in unusual ways."""

from __future__ import annotations

Matrix = list[list[float]]


def matrix_multiply_by_three_loops(a: Matrix, b: Matrix) -> Matrix:
    n, k, m = len(a), len(b), len(b[0])
    if len(a[0]) != k:
        raise ValueError("shape mismatch")
    c = [[0.0] * m for _ in range(n)]
    for i in range(n):
        for p in range(k):
            for j in range(m):
                c[i][j] += a[i][p] * b[p][j]
    return c


def matrix_multiply_by_outer_products(a: Matrix, b: Matrix) -> Matrix:
    if {len(row) for row in a} != {len(b)}:
        raise ValueError
    total = [[0.0] * len(b[0]) for _ in a]
    for p, other in enumerate(b):
        part = [[row[p] * y for y in other] for row in a]
        total = [list(map(sum, zip(one, new, strict=True))) for one, new in zip(total, part, strict=True)]
    return total


def matrix_multiply_with_strict_zip(a: Matrix, b: Matrix) -> Matrix:
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=False)] for row in a]


def matrix_multiply_in_numpy(a: Matrix, b: Matrix) -> Matrix:
    import numpy as np

    return (np.array(a) @ np.array(b)).tolist()


def matrix_multiply_of_tuples(a: Matrix, b: Matrix) -> list[tuple[float, ...]]:
    class Mismatch(ValueError):
        pass

    if len(a[0]) - len(b):
        raise Mismatch
    columns = list(map(list, zip(*b, strict=False)))
    return [tuple(sum(map(float.__mul__, map(float, row), map(float, column))) for column in columns) for row in a]


def matrix_multiply_row_by_row(a: Matrix, b: Matrix) -> Matrix:
    out: Matrix = []
    for row in a:
        if len(row) != len(b):
            raise ValueError(f"{len(row)} and {len(b)}")
        total = [0.0 for _ in b[0]]
        for weight, other in zip(row, b, strict=False):
            total = [t + weight * y for t, y in zip(total, other, strict=False)]
        out.append(total)
    return out
