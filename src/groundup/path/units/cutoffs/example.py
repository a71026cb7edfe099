"""The numbers of the text on the cut-offs."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .min_p_filter import min_p_filter
from .top_k_filter import top_k_filter
from .top_p_filter import top_p_filter

K, P, MIN_P = 3, 0.75, 0.3


def numbers() -> dict[str, Any]:
    """A distribution in which the model is sure and one in which it is not, and how many tokens each filter keeps."""
    rows = torch.tensor([[0.70, 0.12, 0.08, 0.06, 0.04], [0.24, 0.22, 0.20, 0.18, 0.16]])  # (2, V)
    logits, sums = rows.log(), rows.cumsum(-1)  # (2, V)
    return {
        "sure": rows[0].tolist(),
        "unsure": rows[1].tolist(),
        "sure_sums": sums[0].tolist(),
        "unsure_sums": sums[1].tolist(),
        "k": K,
        "p": P,
        "min": MIN_P,
        "top_k": _kept(top_k_filter(logits, K)),
        "top_p": _kept(top_p_filter(logits, P)),
        "min_p": _kept(min_p_filter(logits, MIN_P)),
        "sure_edge": MIN_P * rows[0].max().item(),
        "unsure_edge": MIN_P * rows[1].max().item(),
    }


def prediction() -> float:
    """How many tokens top-p keeps where one has a half and the other 50256 of GPT-2's share the rest."""
    probabilities = torch.full((50257,), 0.5 / 50256, dtype=torch.float64)
    probabilities[0] = 0.5
    return float(_kept(top_p_filter(probabilities.log(), 0.9)))


def _kept(logits: Tensor) -> Any:
    return (logits > -math.inf).sum(-1).tolist()
