"""Wrong implementations of count_pairs as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def count_pairs(ids):
    counts = {}
    for pair in zip(ids, ids[1:]):
        counts[pair] += 1
    return counts
""",
        "does not hold",
    ),
    (
        """
def count_pairs(ids):
    counts = {}
    for x in ids[:-1]:
        i = ids.index(x)
        p = (x, ids[i + 1])
        counts[p] = counts.get(p, 0) + 1
    return counts
""",
        "index",
    ),
]
