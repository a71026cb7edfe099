"""The numbers of the text on attention weights."""

from __future__ import annotations

from typing import Any

import torch

from ..softmax.softmax import softmax
from .attention_weights import attention_weights

D = 64
SCORES = torch.tensor([1.0, 0.0])  # of two keys, scaled


def numbers() -> dict[str, Any]:
    """A query and three keys, with and without a mask."""
    q = torch.tensor([[2.0, 0.0, 1.0, 0.0]])
    k = torch.tensor([[1.0, 0.0, 2.0, 1.0], [0.0, 3.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    raw = q @ k.T
    return {
        "q": q[0].tolist(),
        "k": k.tolist(),
        "raw": raw[0].tolist(),
        "scores": (raw / 2)[0].tolist(),
        "weights": attention_weights(q, k)[0].tolist(),
        "masked": attention_weights(q, k, torch.tensor([[False, True, True]]))[0].tolist(),
        "d": D,
        "scaled": softmax(SCORES).tolist(),
    }


def prediction() -> float:
    """The larger of two weights, had the scores not been divided by √64."""
    return softmax(SCORES * D**0.5)[0].item()
