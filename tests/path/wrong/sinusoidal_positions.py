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
    (
        """
import math, torch
def sinusoidal_positions(context_length, d_model):
    if d_model % 2: raise ValueError("d_model must be even")
    pe = torch.zeros(context_length, d_model)
    position = torch.arange(context_length).unsqueeze(1)
    div = torch.exp(torch.arange(0, d_model, 2) * (math.log(10000.0) / d_model))
    pe[:, 0::2] = torch.sin(position * div)
    pe[:, 1::2] = torch.cos(position * div)
    return pe
""",
        "minus sign",
    ),
]
