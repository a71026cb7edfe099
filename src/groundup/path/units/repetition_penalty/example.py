"""The numbers of the text on the repetition penalty."""

from __future__ import annotations

from typing import Any

import torch

from ..softmax.softmax import softmax
from .repetition_penalty import repetition_penalty

PENALTY = 1.5


def numbers() -> dict[str, Any]:
    """Four logits, two of them of tokens that are in the text."""
    x = torch.tensor([3.0, 2.0, -1.0, 1.0])
    after = repetition_penalty(x, [0, 2, 0], PENALTY)
    return {
        "penalty": PENALTY,
        "x": x.tolist(),
        "after": after.tolist(),
        "p": softmax(x).tolist(),
        "after_p": softmax(after).tolist(),
        "low": _first_after(torch.tensor([2.0, 1.0])),
    }


def prediction() -> float:
    """What is left of the first token when all logits are higher by 10."""
    return _first_after(torch.tensor([12.0, 11.0]))


def _first_after(logits: torch.Tensor) -> float:
    """The probability of the first token once it is penalised by 1.5."""
    return softmax(repetition_penalty(logits, [0], PENALTY))[0].item()
