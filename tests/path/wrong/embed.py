"""Wrong implementations of embed as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def embed(ids, token_weight, position_weight):
    return token_weight[ids] + position_weight[: ids.shape[1]]
""",
        "T > L is not checked",
    ),
    (
        """
import torch
def embed(ids, token_weight, position_weight):
    places = torch.arange(ids.shape[1]) % len(position_weight)
    return token_weight[ids] + position_weight[places]
""",
        "wrap",
    ),
]
