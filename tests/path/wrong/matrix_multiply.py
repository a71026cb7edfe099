"""Wrong implementations of matrix_multiply as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def matrix_multiply(a, b):
    if len(a[0]) != len(b):
        raise ValueError("shapes")
    c = [[0] * len(b[0])] * len(a)
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                c[i][j] += a[i][k] * b[k][j]
    return c
""",
        "same list",
    ),
    (
        """
def matrix_multiply(a, b):
    return [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]
""",
        "not checked",
    ),
]
