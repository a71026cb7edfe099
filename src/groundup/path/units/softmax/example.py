"""The numbers of the text on the softmax."""

from __future__ import annotations

from typing import Any

import torch

from .softmax import softmax


def numbers() -> dict[str, Any]:
    """Four scores, and the same a thousand higher."""
    scores = torch.tensor([2.0, 1.0, 0.0, -1.0])
    high = scores + 1000
    shifted = high - high.max()
    return {
        "scores": scores.tolist(),
        "exps": scores.exp().tolist(),
        "total": scores.exp().sum().item(),
        "weights": softmax(scores).tolist(),
        "high": high.tolist(),
        "shifted": shifted.tolist(),
        "low": shifted.exp().tolist(),
        "low_total": shifted.exp().sum().item(),
        "again": softmax(high).tolist(),
        "among_ten": _leader(10),
    }


def prediction() -> float:
    """The weight of a score of 5 among 999 scores of 0."""
    return _leader(1000)


def _leader(n: int) -> float:
    """The weight of a score of 5 among n scores, the others being 0."""
    scores = torch.zeros(n)
    scores[0] = 5.0
    return softmax(scores)[0].item()
