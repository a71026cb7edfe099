"""Wrong implementations of causal_mask as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def causal_mask(t, device=None):
    return torch.triu(torch.ones(t, t, device=device), diagonal=1).bool()
""",
        "inverted",
    ),
    (
        """
import torch
CONTEXT = 16
MASK = torch.tril(torch.ones(CONTEXT, CONTEXT)).bool()
def causal_mask(t, device=None):
    return MASK
""",
        "size is fixed",
    ),
    (
        """
def causal_mask(t, device=None):
    return [[j <= i for j in range(t)] for i in range(t)]
""",
        "list",
    ),
    (
        """
import torch
def causal_mask(t, device=None):
    return torch.ones(t, t).tril() > 0
""",
        "device",
    ),
]
