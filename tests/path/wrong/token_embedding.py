"""Wrong implementations of token_embedding as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch.nn.functional as F
def token_embedding(ids, weight):
    return F.embedding(ids, weight, padding_idx=0)
""",
        "padding",
    ),
]
