"""Wrong implementations of split_heads as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def split_heads(x, n_heads):
    return torch.stack([x[..., h::n_heads] for h in range(n_heads)], dim=1)
""",
        "in turn",
    ),
    (
        """
import torch
def split_heads(x, n_heads):
    b, t, c = x.shape
    return x.view(b, t, n_heads, c // n_heads).permute(0, 3, 1, 2)
""",
        "wrong axes",
    ),
    (
        """
import torch
def split_heads(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1)[::-1], dim=1)
""",
        "reverse",
    ),
]
