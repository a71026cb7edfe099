"""Wrong implementations of merge_heads as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def merge_heads(x):
    b, h, t, d = x.shape
    return x.transpose(1, 2).view(b, t, h * d)
""",
        "contiguous",
    ),
    (
        """
import torch
def merge_heads(x):
    return torch.cat([x[:, i] for i in reversed(range(x.shape[1]))], dim=-1)
""",
        "reverse",
    ),
]
