"""The gradient by trying, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from ...case import Case, Draw, Stub, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def numerical_gradient(
    f: Callable[[ndarray], float], x: ndarray, eps: float = 1e-5, *, wrong: Wrong = RIGHT
) -> ndarray:
    """The gradient of f at x by central differences. Returns x's shape; x is left unchanged."""
    if "numerical_gradient-eps-ignored" in wrong:
        eps = 1e-5
    if "numerical_gradient-eps-halved" in wrong:
        eps = eps / 2
    if "numerical_gradient-forward-and-on" in wrong:
        return _forward_and_on(f, x, eps)
    moved = x if "numerical_gradient-not-restored" in wrong or "numerical_gradient-left-above" in wrong else x.copy()
    gradient = np.zeros(len(x)) if "numerical_gradient-first-axis" in wrong else np.zeros_like(x)
    for place in _places(x, wrong):
        gradient[place] = _slope(f, moved, place, eps, wrong)
    if "numerical_gradient-negated" in wrong:
        gradient = -gradient
    if "numerical_gradient-flat" in wrong:
        return gradient.ravel()
    if "numerical_gradient-added-up" in wrong:
        return gradient.sum()
    return gradient


def _forward_and_on(f: Callable[[ndarray], float], x: ndarray, eps: float) -> ndarray:
    """Forward differences from where x was at first, while it moves further and further."""
    here, gradient = f(x), np.zeros_like(x)
    for place in np.ndindex(x.shape):
        x[place] += eps
        gradient[place] = (f(x) - here) / eps
    return gradient


def _places(x: ndarray, wrong: Wrong) -> list[Any]:
    """What is moved, one after the other."""
    if "numerical_gradient-rows" in wrong or "numerical_gradient-first-axis" in wrong:
        return list(range(len(x)))
    if "numerical_gradient-everything" in wrong:
        return [...]
    if "numerical_gradient-first-row" in wrong:
        return list(np.ndindex(x.shape))[: x.shape[-1]]
    if "numerical_gradient-last-left-out" in wrong:
        return list(np.ndindex(x.shape))[:-1]
    return list(np.ndindex(x.shape))


def _slope(f: Callable[[Any], float], x: ndarray, place: Any, eps: float, wrong: Wrong) -> float:
    """How far f moves, divided by how far one number did."""
    before = x[place].copy()
    if "numerical_gradient-relative" in wrong:
        eps = eps * abs(float(np.max(before)))
    if "numerical_gradient-number-alone" in wrong:
        return (f(before + eps) - f(before - eps)) / (2 * eps)
    here = f(x)
    x[place] = before + eps
    above = f(x)
    x[place] = before - eps
    below = f(x)
    if "numerical_gradient-left-above" in wrong:
        x[place] = before + eps
    elif "numerical_gradient-not-restored" not in wrong and "numerical_gradient-copy-not-restored" not in wrong:
        x[place] = before
    if "numerical_gradient-no-copy" in wrong:
        return below - below
    if "numerical_gradient-forward" in wrong:
        return (above - here) / eps
    if "numerical_gradient-backward" in wrong:
        return (here - below) / eps
    if "numerical_gradient-half-forward" in wrong:
        return (above - here) / (2 * eps)
    if "numerical_gradient-second" in wrong:
        return (above - 2 * here + below) / eps**2
    if "numerical_gradient-sum" in wrong:
        return (above + below) / (2 * eps)
    if "numerical_gradient-not-divided" in wrong:
        return above - below
    if "numerical_gradient-not-halved" in wrong:
        return (above - below) / eps
    if "numerical_gradient-bracket" in wrong:
        return (above - below) / 2 * eps
    return (above - below) / (2 * eps)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then arrays of several axes, with steps so large that another difference shows, and how x is left."""
    central = "the central difference: f a step above, minus f a step below, over two steps"
    nothing = np.zeros(1)
    yield case(central, Stub("curve", (nothing, np.ones(1), nothing)), np.array([3.0]), 0.5)  # x²
    yield case(central, Stub("curve", (np.zeros(2), np.ones(2), np.zeros(2))), np.array([1.0, 2.0]), 0.5)  # (x + y)²
    yield case(central, Stub("curve", (np.array([2.0, -1.0]), np.zeros(2), np.zeros(2))), np.array([5.0, 7.0]), 0.1)
    for shape, eps in (
        ((3,), 0.1),
        ((5,), 0.25),
        ((1,), 0.5),
        ((4,), 1e-3),
        ((2,), 0.3),
        ((6,), 0.2),
        ((7,), 0.1),
        ((3,), 0.4),
    ):
        yield case(central, _curve(draw, *shape), draw.array(*shape), eps)
    for shape, eps in (((2, 3), 0.1), ((3, 2), 0.2), ((3, 3), 0.25), ((2, 2), 0.1), ((4, 1), 0.1), ((1, 4), 0.2)):
        yield case("a slope for every number, in the shape of x", _curve(draw, *shape), draw.array(*shape), eps)
    for shape in ((2, 3, 2), (2, 2, 2), (3, 1, 2)):
        yield case("a slope for every number, in the shape of x", _curve(draw, *shape), draw.array(*shape), 0.1)
    for shape in ((3,), (2, 3), (4,), (2, 2), (5,)):
        yield case("without eps the step is small", _curve(draw, *shape), draw.array(*shape))
    for eps in (0.5, 0.25):
        yield edge("the step is the one that is given", _curve(draw, 3, cubic=2.0), draw.array(3), eps)
        yield edge("the step is the one that is given", _curve(draw, 2, 3, cubic=2.0), draw.array(2, 3), eps=eps)
    far = draw.array(3) + np.array([40.0, -60.0, 50.0])
    yield edge("numbers far from 0", _curve(draw, 3), far, 0.5)
    yield edge("a flat function has the gradient 0", Stub("curve", (np.zeros(3),) * 3), draw.array(3), 0.1)


def _curve(draw: Draw, *shape: int, cubic: float = 0.0) -> Stub:
    """A function of an array of this shape; a parabola, of which central differences are exact, unless it is cubic."""
    return Stub("curve", (draw.array(*shape), draw.array(*shape) + 0.5, cubic * np.ones(shape)))
