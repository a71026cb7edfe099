"""Right in unusual ways."""

from __future__ import annotations

import numpy as np
from numpy import ndarray


def fit_line_in_plain_python(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[float, float]:
    w, b, n = 0.0, 0.0, len(x)
    for _ in range(steps):
        dw = db = 0.0
        for i in range(n):
            error = w * float(x[i]) + b - float(y[i])
            dw += 2 * error * float(x[i]) / n
            db += 2 * error / n
        w -= lr * dw
        b -= lr * db
    return w, b


def fit_line_as_a_matrix(x: ndarray, y: ndarray, lr: float, steps: int) -> list[float]:
    design = np.stack([x, np.ones_like(x)], axis=1)
    theta = np.zeros(2)
    for _ in range(steps):
        theta = theta - lr * 2 / len(x) * design.T @ (design @ theta - y)
    return theta.tolist()


def fit_line_from_moments(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[np.float64, np.float64]:
    xx, mx, xy, my = (x * x).mean(), x.mean(), (x * y).mean(), y.mean()
    w, b = np.float64(0), np.float64(0)
    for _ in range(steps):
        w, b = w - 2 * lr * (w * xx + b * mx - xy), b - 2 * lr * (w * mx + b - my)
    return w, b


def fit_line_with_residuals_turned_round(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[ndarray, ndarray]:
    w, b = np.zeros(()), np.zeros(())
    while steps > 0:
        residuals = y - (w * x + b)
        w, b = w + lr * np.mean(2 * residuals * x), b + lr * np.mean(2 * residuals)
        steps -= 1
    return w, b


def fit_line_by_powers(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[float, float]:
    a = 2 * np.array([[np.mean(x**2), np.mean(x)], [np.mean(x), 1.0]])
    c = 2 * np.array([np.mean(x * y), np.mean(y)])
    step = np.eye(3)
    step[:2, :2] -= lr * a
    step[:2, 2] = lr * c
    w, b, _ = np.linalg.matrix_power(step, steps) @ np.array([0.0, 0.0, 1.0])
    return float(w), float(b)


def fit_line_with_autograd(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[float, float]:
    import torch

    theta = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    xs, ys = torch.tensor(x), torch.tensor(y)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(((theta[0] * xs + theta[1] - ys) ** 2).mean(), theta)
        with torch.no_grad():
            theta -= lr * gradient
    return theta[0].item(), theta[1].item()
