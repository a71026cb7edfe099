"""The numbers of the text on a single head."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def numbers() -> dict[str, Any]:
    """Three tokens of two features, and a head of width 1."""
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    w_q, w_k, w_v = torch.tensor([[1.0, 1.0]]), torch.tensor([[0.0, math.log(2.0)]]), torch.tensor([[4.0, 10.0]])
    q, k, v = x @ w_q.T, x @ w_k.T, x @ w_v.T
    weights = _causal_weights(q, k)
    return {
        "x": x.tolist(),
        "w_q": w_q[0].tolist(),
        "w_k": w_k[0].tolist(),
        "w_v": w_v[0].tolist(),
        "q": q[:, 0].tolist(),
        "k": k[:, 0].tolist(),
        "v": v[:, 0].tolist(),
        "weights": weights.tolist(),
        "out": (weights @ v)[:, 0].tolist(),
    }


def prediction() -> float:
    """How many of four outputs change when the first two tokens change places."""
    wave = torch.arange(100.0).sin()
    x, (w_q, w_k, w_v) = wave[:20].view(4, 5), wave[20:65].view(3, 3, 5)
    before, after = (_causal_weights(one @ w_q.T, one @ w_k.T) @ (one @ w_v.T) for one in (x, x[[1, 0, 2, 3]]))
    return int(((before - after).abs() > 1e-5).any(1).sum())


def _causal_weights(q: Tensor, k: Tensor) -> Tensor:
    """q, k: (T, D) -> (T, T)."""
    scores = q @ k.T / math.sqrt(q.shape[1])
    return scores.masked_fill(torch.ones_like(scores).tril() == 0, -math.inf).softmax(1)
