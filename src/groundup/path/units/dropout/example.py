"""The numbers of the text on dropout."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

P = 0.25


def numbers() -> dict[str, Any]:
    """Four numbers, one throw of the dice, and the mean over all throws."""
    x = torch.tensor([3.0, 6.0, 9.0, 12.0])
    dice = torch.tensor([0.9, 0.1, 0.5, 0.3], dtype=torch.float64)
    kept = dice >= P
    out = x * kept / (1 - P)
    patterns = list(itertools.product((True, False), repeat=len(x)))
    return {
        "p": P,
        "x": x.tolist(),
        "x_sum": x.sum().item(),
        "dice": dice.tolist(),
        "kept": kept.int().tolist(),
        "out": out.tolist(),
        "out_sum": out.sum().item(),
        "patterns": len(patterns),
        "mean": sum(_chance(row) * (x * torch.tensor(row) / (1 - P)).sum().item() for row in patterns),
    }


def prediction() -> float:
    """The largest sum of a row of weights after dropout with p = 0.2."""
    weights = torch.tensor([0.7, 0.1, 0.1, 0.1])
    rows = torch.tensor(list(itertools.product((1.0, 0.0), repeat=len(weights))))
    return round((weights * rows / (1 - 0.2)).sum(1).max().item(), 6)


def _chance(kept: tuple[bool, ...]) -> float:
    return math.prod(1 - P if one else P for one in kept)
