"""The numbers of the text on gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .numerical_gradient import numerical_gradient
from .sgd_step import sgd_step

EPS, LR = 0.1, 0.05


def numbers() -> dict[str, Any]:
    """The slope of x³ at 2, by both differences, and a step against it."""
    x = 2.0
    slope = float(numerical_gradient(_cube, np.array([x]), EPS)[0])
    param = torch.tensor([x])
    sgd_step([param], [torch.tensor([3 * x**2])], LR)
    return {
        "x": x,
        "eps": EPS,
        "above": (x + EPS) ** 3,
        "below": (x - EPS) ** 3,
        "here": x**3,
        "exact": 3 * x**2,
        "central": slope,
        "forward": ((x + EPS) ** 3 - x**3) / EPS,
        "lr": LR,
        "step": LR * 3 * x**2,
        "moved": param.item(),
        "height": param.item() ** 3,
    }


def prediction() -> float:
    """Where 101 steps of length 1 lead on x², from 3."""
    param = torch.tensor([3.0])
    for _ in range(101):
        sgd_step([param], [2 * param], 1.0)
    return param.item()


def _cube(x: np.ndarray) -> float:
    return float((x**3).sum())
