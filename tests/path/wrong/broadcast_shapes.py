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
]
