"""The numbers of the text on the tiny network."""

from __future__ import annotations

from typing import Any

import numpy as np

from .train_tiny_network import train_tiny_network

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])


def numbers() -> dict[str, Any]:
    """One step of the smallest network, and XOR before and after training."""
    x, y, w1, w2, lr = 1.0, 1.0, 0.5, 1.0, 0.1
    hidden = float(np.tanh(w1 * x))
    found = hidden * w2
    slope = 2 * (found - y)
    start = np.array([[x]]), np.array([y]), np.array([[w1]]), np.zeros(1), np.array([w2]), 0.0
    new_w1, new_b1, new_w2, new_b2 = train_tiny_network(*start, lr, 1)
    rng = np.random.default_rng(0)
    before = rng.normal(size=(8, 2)), np.zeros(8), rng.normal(size=8), 0.0
    return {
        "w1": w1, "w2": w2, "lr": lr, "hidden": hidden, "error": found - y, "slope": slope,
        "dw2": slope * hidden, "dhidden": slope * w2, "dw1": slope * w2 * (1 - hidden**2) * x,
        "new_w1": float(new_w1[0, 0]), "new_b1": float(new_b1[0]), "new_w2": float(new_w2[0]), "new_b2": new_b2,
        "loss_before": _loss(*before), "loss_after": _loss(*train_tiny_network(*XOR, *before, lr, 100)),
    }  # fmt: skip


def prediction() -> float:
    """The least mean squared error of a plane on XOR."""
    x, y = XOR
    design = np.column_stack([x, np.ones(4)])
    plane, *_ = np.linalg.lstsq(design, y, rcond=None)
    return round(float(np.mean((design @ plane - y) ** 2)), 6)


def _loss(w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: float) -> float:
    x, y = XOR
    return float(np.mean((np.tanh(x @ w1.T + b1) @ w2 + b2 - y) ** 2))
