"""The numbers of the text on scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import torch

VALUES = torch.tensor([8.0, 4.0, 16.0])


def numbers() -> dict[str, Any]:
    """A query of 1 and three keys, whose exponentials are 1, 2 and 5."""
    k = torch.tensor([1.0, 2.0, 5.0]).log()
    weights = k.softmax(0)
    masked = k[:2].softmax(0)
    long_t = 8192
    return {
        "k": k.tolist(),
        "exps": [round(one, 3) for one in k.exp().tolist()],
        "weights": weights.tolist(),
        "v": VALUES.tolist(),
        "out": (weights @ VALUES).item(),
        "masked_weights": [*masked.tolist(), 0.0],
        "masked": (masked @ VALUES[:2]).item(),
        "long_t": long_t,
        "mib": long_t * long_t * 2 // 2**20,  # two bytes a number
    }


def prediction() -> float:
    """What a query of 50 takes home when all three keys are the same number, -2."""
    q, k = torch.tensor([[50.0]]), torch.full((3, 1), -2.0)
    weights = (q @ k.T / math.sqrt(1)).softmax(-1)
    return (weights @ VALUES).item()
