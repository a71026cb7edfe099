"""Wrong implementations of sinusoidal_positions as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def sinusoidal_positions(context_length, d_model):
    if d_model % 2:
        raise ValueError("odd")
    angles = torch.arange(context_length)[:, None] / 10000 ** (torch.arange(d_model) / d_model)
    table = torch.empty(context_length, d_model)
    table[:, 0::2], table[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    return table
""",
        "frequency of its own",
    ),
]
