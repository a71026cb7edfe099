"""The numbers of the text on layer normalization."""

from __future__ import annotations

from typing import Any

import torch

from .layer_norm import layer_norm

X = [1.0, 2.0, 3.0, 6.0]
LARGER = 6_000_000.0


def numbers() -> dict[str, Any]:
    """Four features, normalised step by step."""
    x = torch.tensor(X)
    weight, bias = torch.tensor([1.0, 1.0, 2.0, 0.5]), torch.tensor([0.0, 1.0, 0.0, -1.0])
    centred = x - x.mean()
    variance, sample = x.var(unbiased=False), x.var()
    return {
        "x": X,
        "mean": x.mean().item(),
        "centred": centred.tolist(),
        "squares": centred.square().tolist(),
        "variance": variance.item(),
        "root": variance.sqrt().item(),
        "normed": _plain(x).tolist(),
        "weight": weight.tolist(),
        "bias": bias.tolist(),
        "y": layer_norm(x, weight, bias).tolist(),
        "sample": sample.item(),
        "smaller": 100 * (1 - (variance / sample).sqrt().item()),
        "norms": 2 * 12 + 1,
        "larger": int(LARGER),
        "others": _plain(torch.tensor([*X[:3], LARGER]))[0].item(),
        "widest": 767**0.5,
    }


def prediction() -> float:
    """What the last feature becomes when it is a million times as large."""
    return _plain(torch.tensor([*X[:3], LARGER]))[3].item()


def _plain(x: torch.Tensor) -> torch.Tensor:
    """With weight 1 and bias 0."""
    return layer_norm(x, torch.ones(len(x)), torch.zeros(len(x)))
