"""Right in unusual ways."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray


def train_tiny_network_in_columns(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> tuple[Any, ...]:
    w1, b1, w2, b2 = w1.copy(), b1.copy().reshape(1, -1), w2.copy().reshape(-1, 1), np.array([[b2]])
    y = y.reshape(-1, 1)
    for _ in range(steps):
        h = np.tanh(x.dot(w1.T) + b1)
        d = 2 * (h.dot(w2) + b2 - y) / y.shape[0]
        dh = d.dot(w2.T) * (1 - h * h)
        w2 -= lr * h.T.dot(d)
        b2 = b2 - lr * d.sum(0, keepdims=True)
        w1 -= lr * dh.T.dot(x)
        b1 -= lr * dh.sum(0, keepdims=True)
    return w1, b1.ravel(), w2.ravel(), b2.item()


def train_tiny_network_in_plain_python(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> list[Any]:
    xs, ys, v1, c1, v2, c2 = x.tolist(), y.tolist(), w1.tolist(), b1.tolist(), w2.tolist(), float(b2)
    n, hidden, width = len(xs), len(c1), len(xs[0])
    for _ in range(steps):
        g1, gb1, g2, gb2 = [[0.0] * width for _ in c1], [0.0] * hidden, [0.0] * hidden, 0.0
        for row, wanted in zip(xs, ys, strict=False):
            h = [math.tanh(sum(a * b for a, b in zip(row, v1[k], strict=False)) + c1[k]) for k in range(hidden)]
            e = 2 * (sum(a * b for a, b in zip(h, v2, strict=False)) + c2 - wanted) / n
            gb2 += e
            for k in range(hidden):
                back = e * v2[k] * (1 - h[k] ** 2)
                g2[k] += e * h[k]
                gb1[k] += back
                for i in range(width):
                    g1[k][i] += back * row[i]
        v1 = [[a - lr * d for a, d in zip(r, g, strict=False)] for r, g in zip(v1, g1, strict=False)]
        c1 = [a - lr * d for a, d in zip(c1, gb1, strict=False)]
        v2 = [a - lr * d for a, d in zip(v2, g2, strict=False)]
        c2 -= lr * gb2
    return [v1, c1, v2, c2]


def train_tiny_network_with_einsum(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> tuple[Any, ...]:
    for _ in range(steps):
        h = np.tanh(np.einsum("ni,hi->nh", x, w1) + b1)
        e = np.einsum("nh,h->n", h, w2) + b2 - y
        z = np.einsum("n,h,nh->nh", e, w2, 1 - np.square(h))
        scale = 2 * lr / x.shape[0]
        w1, b1, w2, b2 = (
            w1 - scale * np.einsum("nh,ni->hi", z, x),
            b1 - scale * z.sum(0),
            w2 - scale * np.einsum("nh,n->h", h, e),
            b2 - scale * e.sum(),
        )
    return w1, b1, w2, b2


def train_tiny_network_with_autograd(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> tuple[Any, ...]:
    import torch

    xs, ys = torch.tensor(x), torch.tensor(y)
    params = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in (w1, b1, w2, b2)]
    for _ in range(steps):
        a, b, c, d = params
        grads = torch.autograd.grad((torch.tanh(xs @ a.T + b) @ c + d - ys).square().mean(), params)
        params = [(p - lr * g).detach().requires_grad_() for p, g in zip(params, grads, strict=False)]
    return tuple(p.detach().numpy() for p in params)


def train_tiny_network_with_a_bias_column(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> tuple[Any, ...]:
    ones = np.ones((len(x), 1))
    inputs, first, second = np.hstack([x, ones]), np.column_stack([w1, b1]), np.append(w2, b2)
    for _ in range(steps):
        hidden = np.hstack([np.tanh(inputs @ first.T), ones])
        d = (hidden @ second - y) * 2 / len(y)
        back = np.outer(d, second[:-1]) * (1 - hidden[:, :-1] ** 2)
        first, second = first - lr * back.T @ inputs, second - lr * d @ hidden
    return first[:, :-1], first[:, -1], second[:-1], float(second[-1])


def train_tiny_network_in_place_on_copies(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> dict[str, Any] | tuple[Any, ...]:
    w1, b1, w2 = np.array(w1), np.array(b1), np.array(w2)
    for _ in range(steps):
        z = x @ w1.T + b1
        h = np.tanh(z)
        d = (h @ w2 + b2 - y) / len(y)
        dh = d[:, np.newaxis] * w2[np.newaxis] / np.cosh(z) ** 2
        w2 -= 2 * lr * (h * d[:, None]).sum(0)
        b2 -= 2 * lr * d.sum()
        w1 -= 2 * lr * sum(np.outer(dh[i], x[i]) for i in range(len(x)))
        b1 -= 2 * lr * dh.sum(0)
    return w1, b1, w2, b2


def train_tiny_network_in_one_vector(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> Any:
    n, size = w1.shape[0], w1.size
    every = np.concatenate([w1.ravel(), b1, w2, [b2]])
    for _ in range(steps):
        w, b, v, c = every[:size].reshape(w1.shape), every[size : size + n], every[size + n : -1], every[-1]
        hidden = np.tanh(x @ w.T + b)
        errors = 2 * (hidden @ v + c - y) / len(y)
        back = np.outer(errors, v) * (1 - hidden**2)
        every = every - lr * np.concatenate([(back.T @ x).ravel(), back.sum(0), hidden.T @ errors, [errors.sum()]])
    return every[:size].reshape(w1.shape), every[size : size + n], every[size + n : -1], every[-1]
