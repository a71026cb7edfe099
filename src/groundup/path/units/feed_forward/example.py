"""The numbers of the text on the feed-forward network."""

from __future__ import annotations

from typing import Any

import torch

from ..gelu.gelu import gelu
from .feed_forward import feed_forward

X = torch.tensor([1.0, 2.0])
UP = torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 0.5]])
DOWN = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])


def numbers() -> dict[str, Any]:
    """Two features, three hidden ones, and what becomes of them; then the same for twice the input."""
    before = UP @ X
    return {
        "x": X.tolist(),
        "up": UP.tolist(),
        "down": DOWN.tolist(),
        "before": before.tolist(),
        "hidden": gelu(before).tolist(),
        "y": _answer(X).tolist(),
        "twice": 2 * _answer(X)[1].item(),
        "hidden_of_double": gelu(2 * before).tolist(),
    }


def prediction() -> float:
    """The second feature of the result when x is doubled."""
    return _answer(2 * X)[1].item()


def _answer(x: torch.Tensor) -> torch.Tensor:
    return feed_forward(x, UP, torch.zeros(3), DOWN, torch.zeros(2))
