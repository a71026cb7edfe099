"""The numbers of the text on gradient clipping."""

from __future__ import annotations

from typing import Any

import torch

from .clip_gradients import clip_gradients

MAX_NORM = 13.0


def numbers() -> dict[str, Any]:
    """Two tensors of a joint norm of 26."""
    before = [torch.tensor([6.0, 8.0]), torch.tensor([24.0])]
    after = [one.clone() for one in before]
    norm = clip_gradients(list(after), MAX_NORM)
    squares = [one.square().sum().item() for one in before]
    return {
        "max_norm": MAX_NORM,
        "a": before[0].tolist(),
        "b": before[1].tolist(),
        "norm_a": before[0].norm().item(),
        "norm_b": before[1].norm().item(),
        "squares_a": squares[0],
        "squares_b": squares[1],
        "squares": sum(squares),
        "norm": norm,
        "factor": MAX_NORM / norm,
        "after_a": after[0].tolist(),
        "after_b": after[1].tolist(),
    }


def prediction() -> float:
    """The norm of one of 16 tensors, each of norm 0.9, after all are clipped to 1."""
    tensors = [torch.full((9,), 0.3, dtype=torch.float64) for _ in range(16)]
    clip_gradients(list(tensors), 1.0)
    return round(tensors[0].norm().item(), 9)
