"""Wrong implementations of dropout as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def dropout(x, p, training=True, generator=None):
    if not training:
        return x * (1 - p)
    keep = torch.rand(x.shape, generator=generator) >= p
    return x * keep
""",
        "training",
    ),
    (
        """
import torch
def dropout(x, p, training=True, generator=None):
    torch.manual_seed(123)
    if not training or p == 0:
        return x
    return torch.nn.functional.dropout(x, p)
""",
        "generator|same",
    ),
]
