"""Wrong implementations of broadcast_shapes as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def broadcast_shapes(a, b):
    out = []
    for x, y in zip(reversed(a), reversed(b)):
        if x != y and 1 not in (x, y):
            raise ValueError("no")
        out.insert(0, max(x, y))
    return tuple(out)
""",
        "zip",
    ),
    (
        """
def broadcast_shapes(a, b):
    n = max(len(a), len(b))
    a = (1,) * (n - len(a)) + a
    b = (1,) * (n - len(b)) + b
    out = []
    for x, y in zip(a, b):
        if x == y or x == 1 or y == 1:
            out.append(max(x, y))
        else:
            raise ValueError(f"{a} {b}")
    return tuple(out)
""",
        "larger of the two",
    ),
]
