"""A line through points by gradient descent, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def fit_line(x: ndarray, y: ndarray, lr: float, steps: int, *, wrong: Wrong = RIGHT) -> tuple[float, float]:
    """Gradient descent on the mean squared error of w · x + b, from w = b = 0. x, y: (N,). Returns (w, b)."""
    if "fit_line-x-and-y-exchanged" in wrong:
        x, y = y, x
    if "fit_line-solved" in wrong:
        return _solved(x, y)
    w = b = 1.0 if "fit_line-from-one" in wrong else 0.0
    steps += ("fit_line-one-step-more" in wrong) - ("fit_line-one-step-less" in wrong)
    with np.errstate(all="ignore"):  # with a mistake, numbers may run away
        for _ in range(steps):
            w, b = _step(x, y, w, b, lr, wrong)
    if "fit_line-not-averaged" in wrong:
        return w, b
    return (float(b), float(w)) if "fit_line-results-exchanged" in wrong else (float(w), float(b))


def _step(x: ndarray, y: ndarray, w: Any, b: Any, lr: float, wrong: Wrong) -> tuple[Any, Any]:
    """One step, from all points together."""
    if "fit_line-one-by-one" in wrong:
        for i in range(len(x)):
            w, b = _moved(x[i : i + 1], y[i : i + 1], w, b, lr, wrong)
        return w, b
    return _moved(x, y, w, b, lr, wrong)


def _moved(x: ndarray, y: ndarray, w: Any, b: Any, lr: float, wrong: Wrong) -> tuple[Any, Any]:
    """Both numbers after a step."""
    if "fit_line-uphill" in wrong:
        lr = -lr
    if "fit_line-lr-ignored" in wrong:
        lr = 1.0
    dw, db = _gradients(x, y, w, b, wrong)
    if "fit_line-w-first" in wrong:
        w = w - lr * dw
        return w, b - lr * _gradients(x, y, w, b, wrong)[1]
    if "fit_line-b-first" in wrong:
        b = b - lr * db
        return w - lr * _gradients(x, y, w, b, wrong)[0], b
    if "fit_line-b-stays" in wrong:
        return w - lr * dw, b
    if "fit_line-w-stays" in wrong:
        return w, b - lr * db
    return w - lr * dw, b - lr * db


def _gradients(x: ndarray, y: ndarray, w: Any, b: Any, wrong: Wrong) -> tuple[Any, Any]:
    """Of the loss by w and by b."""
    errors = w * x + (0.0 if "fit_line-without-b" in wrong else b) - y
    if "fit_line-absolute" in wrong:
        errors = np.sign(errors) / 2
    factor = 1.0 if "fit_line-half" in wrong else 2.0
    if "fit_line-summed" in wrong:
        factor *= len(x)
    if "fit_line-half-sum" in wrong:
        factor *= len(x) / 2
    if "fit_line-root" in wrong:
        factor /= 2 * max(float(np.sqrt(np.mean(errors**2))), 1e-12)
    by_w = errors if "fit_line-x-missing" in wrong else errors * x
    if "fit_line-not-averaged" in wrong:
        return factor * by_w, factor * errors
    if "fit_line-b-with-x" in wrong:
        return factor * np.mean(by_w), factor * np.mean(by_w)
    if "fit_line-b-half" in wrong:
        return factor * np.mean(by_w), factor * np.mean(errors) / 2
    return factor * np.mean(by_w), factor * np.mean(errors)


def _solved(x: ndarray, y: ndarray) -> tuple[float, float]:
    """The best line at once."""
    spread = x - x.mean()
    w = float((spread @ (y - y.mean())) / max(float(spread @ spread), 1e-12))
    return w, float(y.mean() - w * x.mean())


def cases(draw: Draw) -> Iterator[Case]:
    """A single step by hand, then several points and several steps, and lines that are found."""
    for n in (2, 5):
        yield case("w and b begin at 0", draw.array(n), draw.array(n) + 2, 0.1, 0)
    one = "a step goes against the gradient of the mean squared error"
    yield case(one, np.array([0.0, 2.0]), np.array([1.0, 5.0]), 0.1, 1)
    yield case(one, np.array([1.0, 3.0]), np.array([2.0, 4.0]), 0.05, 1)
    yield case(one, np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 0.1, 1)
    for n, lr in (
        (2, 0.1),
        (3, 0.2),
        (5, 0.05),
        (8, 0.3),
        (4, 0.15),
        (6, 0.1),
        (12, 0.2),
        (7, 0.25),
        (2, 0.4),
        (3, 0.01),
    ):
        yield case(one, draw.array(n) + 1, draw.array(n, scale=2), lr, 1)
    for n, lr, steps in (
        (3, 0.1, 2),
        (2, 0.05, 3),
        (6, 0.2, 5),
        (4, 0.02, 10),
        (10, 0.1, 20),
        (7, 0.1, 7),
        (3, 0.05, 4),
    ):
        yield case("every step uses the errors of the line as it is now", draw.array(n) + 1, draw.array(n), lr, steps)
    for n, lr, steps in ((5, 0.1, 50), (20, 0.05, 100), (9, 0.1, 30)):
        x = draw.array(n)
        y = draw.uniform(-3, 3) * x + draw.uniform(-3, 3)
        yield case("points on a line lead towards this line", x, y, lr, steps)
    for n in (3, 6):
        yield case(one, draw.array(n), draw.array(n) + 2, 0.01, 1)
    yield edge("a single point", np.array([2.0]), np.array([3.0]), 0.1, 3)
    yield edge("points that differ in x by nothing", np.full(4, 1.5), draw.array(4), 0.1, 3)
