"""The numbers of the text on pairs."""

from __future__ import annotations

from typing import Any

from .count_pairs import count_pairs
from .merge_pair import merge_pair

N_SAME = 15


def numbers() -> dict[str, Any]:
    """The word banana before and after a merge, and a run of equal ids."""
    ids = list(b"banana")
    merged = merge_pair(ids, (97, 110), 256)
    return {
        "ids": ids,
        "counts": list(count_pairs(ids).values()),
        "merged": merged,
        "after": list(count_pairs(merged).values()),
        "n_same": N_SAME,
        "n_pairs": count_pairs([1] * N_SAME)[1, 1],
    }


def prediction() -> float:
    """How many ids a run of equal ones has after its pair was merged."""
    return len(merge_pair([1] * N_SAME, (1, 1), 256))
