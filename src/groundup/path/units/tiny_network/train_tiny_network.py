"""A network of two layers that learns, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Params = tuple[ndarray, ndarray, ndarray, Any]  # w1, b1, w2, b2


@reference
def train_tiny_network(
    x: ndarray,
    y: ndarray,
    w1: ndarray,
    b1: ndarray,
    w2: ndarray,
    b2: float,
    lr: float,
    steps: int,
    *,
    wrong: Wrong = RIGHT,
) -> tuple[ndarray, ndarray, ndarray, float]:
    """Gradient descent on the mean squared error of y ≈ tanh(x @ w1.T + b1) @ w2 + b2; returns the new parameters.

    x: (N, I), y: (N,), w1: (H, I), b1: (H,), w2: (H,).
    """
    params: Params = (w1, b1, w2, b2)
    steps += ("train_tiny_network-one-step-more" in wrong) - ("train_tiny_network-one-step-less" in wrong)
    with np.errstate(all="ignore"):  # with a mistake, numbers may run away
        for _ in range(steps):
            params = _step(x, y, params, lr, wrong)
    if "train_tiny_network-changes-input" in wrong:
        for old, new in zip((w1, b1, w2), params, strict=False):
            old[...] = new
    w1, b1, w2, b2 = params
    if "train_tiny_network-biases-not-summed" not in wrong:
        b2 = float(b2)
    return (w1, w2, b1, b2) if "train_tiny_network-results-exchanged" in wrong else (w1, b1, w2, b2)


def _step(x: ndarray, y: ndarray, params: Params, lr: float, wrong: Wrong) -> Params:
    """One step, from all examples together."""
    if "train_tiny_network-one-by-one" in wrong:
        for i in range(len(x)):
            params = _moved(x[i : i + 1], y[i : i + 1], params, lr, wrong)
        return params
    if "train_tiny_network-first-example" in wrong:
        x, y = x[:1], y[:1]
    return _moved(x, y, params, lr, wrong)


def _moved(x: ndarray, y: ndarray, params: Params, lr: float, wrong: Wrong) -> Params:
    """All parameters after a step."""
    if "train_tiny_network-uphill" in wrong:
        lr = -lr
    w1, b1, w2, b2 = params
    dw1, db1, dw2, db2 = _gradients(x, y, params, wrong)
    if "train_tiny_network-one-after-the-other" in wrong:
        w2, b2 = w2 - lr * dw2, b2 - lr * db2
        dw1, db1, _, _ = _gradients(x, y, params, wrong, back_through=w2)
        return w1 - lr * dw1, b1 - lr * db1, w2, b2
    if "train_tiny_network-forward-again" in wrong:
        w2, b2 = w2 - lr * dw2, b2 - lr * db2
        dw1, db1, _, _ = _gradients(x, y, (w1, b1, w2, b2), wrong)
        return w1 - lr * dw1, b1 - lr * db1, w2, b2
    new = [w1 - lr * dw1, b1 - lr * db1, w2 - lr * dw2, b2 - lr * db2]
    for i, name in enumerate(("w1", "b1", "w2", "b2")):
        if _stays(name, wrong):
            new[i] = params[i]
    return new[0], new[1], new[2], new[3]


def _stays(name: str, wrong: Wrong) -> bool:
    """Whether a parameter is not trained."""
    return (
        (name == "w1" and "train_tiny_network-w1-stays" in wrong)
        or (name == "b1" and "train_tiny_network-b1-stays" in wrong)
        or (name == "w2" and "train_tiny_network-w2-stays" in wrong)
        or (name == "b2" and "train_tiny_network-b2-stays" in wrong)
        or (name in ("w1", "b1") and "train_tiny_network-first-layer-stays" in wrong)
        or (name in ("b1", "b2") and "train_tiny_network-biases-stay" in wrong)
    )


def _gradients(x: ndarray, y: ndarray, params: Params, wrong: Wrong, back_through: ndarray | None = None) -> Params:
    """Of the loss by w1, b1, w2, b2. back_through: a w2 for the way back that is not that of the way forward."""
    w1, b1, w2, b2 = params
    before = x @ w1.T + b1  # (N, H)
    hidden = _bent(before, wrong)  # (N, H)
    dy = _blame(hidden @ w2 + b2, y, wrong)  # (N,)
    through = w2 if back_through is None else back_through
    if "train_tiny_network-w2-left-out" in wrong:
        through = np.ones_like(w2)
    dhidden = dy[:, None] * through * _slope(before, hidden, wrong)  # (N, H)
    dw2 = (before if "train_tiny_network-w2-before-tanh" in wrong else hidden).T @ dy
    db1, db2 = dhidden.sum(axis=0), dy.sum()
    if "train_tiny_network-biases-not-summed" in wrong:
        db1, db2 = dhidden, dy
    if "train_tiny_network-b1-averaged" in wrong:
        db1 = db1 / len(x)
    if "train_tiny_network-b2-averaged" in wrong:
        db2 = db2 / len(x)
    return dhidden.T @ x, db1, dw2, db2


def _bent(before: ndarray, wrong: Wrong) -> ndarray:
    """The hidden numbers."""
    if "train_tiny_network-straight" in wrong:
        return before
    if "train_tiny_network-sigmoid" in wrong:
        return 1 / (1 + np.exp(-before))
    if "train_tiny_network-relu" in wrong:
        return np.maximum(before, 0)
    return np.tanh(before)


def _slope(before: ndarray, hidden: ndarray, wrong: Wrong) -> ndarray:
    """How far the hidden numbers move with what was in front of tanh."""
    if "train_tiny_network-straight" in wrong or "train_tiny_network-tanh-slope-missing" in wrong:
        return np.ones_like(hidden)
    if "train_tiny_network-sigmoid" in wrong or "train_tiny_network-sigmoid-slope" in wrong:
        return hidden * (1 - hidden)
    if "train_tiny_network-relu" in wrong:
        return (before > 0).astype(before.dtype)
    if "train_tiny_network-tanh-slope-before" in wrong:
        return 1 - before**2
    if "train_tiny_network-tanh-slope-not-squared" in wrong:
        return 1 - hidden
    if "train_tiny_network-tanh-twice" in wrong:
        return 1 - np.tanh(hidden) ** 2
    return 1 - hidden**2


def _blame(found: ndarray, y: ndarray, wrong: Wrong) -> ndarray:
    """The gradient of the loss by what the network says."""
    if "train_tiny_network-tanh-at-the-end" in wrong:
        found = np.tanh(found)
        return 2 * (found - y) * (1 - found**2) / len(y)
    errors = found - y  # (N,)
    if "train_tiny_network-against-all" in wrong:
        errors = found - y.mean()
    if "train_tiny_network-absolute" in wrong:
        return np.sign(errors) / len(y)
    if "train_tiny_network-half" in wrong:
        return errors / len(y)
    if "train_tiny_network-summed" in wrong:
        return 2 * errors
    if "train_tiny_network-half-sum" in wrong:
        return errors
    return 2 * errors / len(y)


def cases(draw: Draw) -> Iterator[Case]:
    """One hidden number and one example, then single steps, several steps, and XOR."""
    for n in (3, 4):
        yield case("the given parameters are where it starts", *_drawn(draw, n, 2, 5), 0.1, 0)
    one = "a step against the gradient of the mean squared error, for all four parameters"
    small = np.array([[1.0]]), np.array([2.0]), np.array([[0.5]]), np.array([0.0]), np.array([1.0]), 0.0
    yield case(one, *small, 0.1, 1)
    yield case(one, np.array([[1.0], [2.0]]), np.array([1.0, -1.0]), *small[2:], 0.1, 1)
    for n, i, h, lr in (
        (3, 2, 4, 0.1),
        (5, 3, 2, 0.2),
        (1, 2, 3, 0.1),
        (4, 1, 5, 0.05),
        (6, 4, 1, 0.1),
        (2, 5, 3, 0.3),
        (7, 3, 6, 0.2),
        (3, 6, 2, 0.1),
        (8, 2, 3, 0.5),
        (2, 3, 7, 0.05),
    ):
        yield case(one, *_drawn(draw, n, i, h), lr, 1)
    for n, lr in ((2, 0.2), (3, 0.1), (4, 0.1), (5, 0.05)):  # all sizes the same: no wrong axis shows in the shape
        yield case(one, *_drawn(draw, n, n, n), lr, 1)
    for n, i, h, lr, steps in (
        (3, 2, 4, 0.1, 2),
        (4, 2, 3, 0.05, 5),
        (6, 3, 5, 0.1, 10),
        (4, 4, 4, 0.1, 3),
        (5, 1, 2, 0.1, 4),
    ):
        yield case("every step uses the parameters as they are now", *_drawn(draw, n, i, h), lr, steps)
    xor = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
    for h, steps in ((4, 1), (3, 20), (8, 50)):
        yield case("XOR", *xor, *_drawn(draw, 4, 2, h)[2:], 0.1, steps)
    for n in (3, 4):
        x, _, w1, *rest = _drawn(draw, n, 2, 3)
        yield case("where tanh is nearly flat little is learnt", x, draw.array(n), 3 * w1, *rest, 0.1, 2)
    yield edge("a learning rate of 0: nothing changes", *_drawn(draw, 3, 2, 4), 0.0, 3)


def _drawn(draw: Draw, n: int, i: int, h: int) -> tuple[Any, ...]:
    """Drawn: x (N, I), y (N,), w1 (H, I), b1 (H,), w2 (H,), b2."""
    y = draw.array(n) + 1
    return draw.array(n, i), y, draw.array(h, i), draw.array(h, scale=0.5), draw.array(h), draw.gauss(0.0, 0.5)
