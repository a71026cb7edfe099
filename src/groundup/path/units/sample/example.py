"""The numbers of the text on sampling."""

from __future__ import annotations

from typing import Any

import torch

from ....randomness import seeded_generator
from ..softmax.softmax import softmax
from .sample import sample

N, SEED = 1000, 7


def numbers() -> dict[str, Any]:
    """Three tokens, three throws of the dice, and a thousand draws."""
    x = torch.tensor([0.2, 0.5, 0.3]).log()
    p = softmax(x)
    sums = p.cumsum(0)
    dice = torch.tensor([0.62, 0.11, 0.85])
    return {
        "x": x.tolist(),
        "p": p.tolist(),
        "sums": sums.tolist(),
        "dice": [round(number, 2) for number in dice.tolist()],
        "drawn": torch.searchsorted(sums, dice, right=True).tolist(),
        "n": N,
        "seed": SEED,
        "counts": torch.bincount(sample(x.expand(N, -1), seeded_generator(SEED)), minlength=3).tolist(),
    }


def prediction() -> float:
    """The probability that among a hundred draws there is one, or more, of what has one percent."""
    return 1 - 0.99**100
