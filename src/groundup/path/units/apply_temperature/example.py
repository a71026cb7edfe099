"""The numbers of the text on the temperature."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..softmax.softmax import softmax
from .apply_temperature import apply_temperature

COLD, WARM = 0.5, 2.0


def numbers() -> dict[str, Any]:
    """Four logits at three temperatures."""
    x = torch.tensor([2.0, 1.0, 0.0, -1.0])
    cold, warm = apply_temperature(x, COLD), apply_temperature(x, WARM)
    return {
        "x": x.tolist(),
        "p": softmax(x).tolist(),
        "cold": COLD,
        "cold_x": cold.tolist(),
        "cold_p": softmax(cold).tolist(),
        "warm": WARM,
        "warm_x": warm.tolist(),
        "warm_p": softmax(warm).tolist(),
        "lead": (x[0] - x[1]).item(),
        "odds": (x[0] - x[1]).exp().item(),
        "cold_odds": (cold[0] - cold[1]).exp().item(),
        "warm_odds": (warm[0] - warm[1]).exp().item(),
    }


def prediction() -> float:
    """What temperature 2 leaves of a probability of 0.9, beside a single other token."""
    logits = torch.tensor([math.log(0.9), math.log(0.1)], dtype=torch.float64)
    return round(softmax(apply_temperature(logits, WARM))[0].item(), 6)
