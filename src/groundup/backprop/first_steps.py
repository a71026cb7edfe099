"""First steps: a product of matrices, a gradient, a step against it, and a network that learns.

Everything below is what a framework does for you, in the smallest form that works. Numbers in lists are multiplied as
matrices, and shapes are matched as NumPy matches them. Then the one idea of this chapter, on a list of five operations:
run it forwards and keep every result; run it backwards and hand each result's share of the blame on to those that it
was made of. A line and a network of two layers learn by it, with gradients that are written out.

Read next: `linear.py`.
Source: Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from ..errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from torch import Tensor

Rows = Sequence[Sequence[float]]


def matrix_multiply(a: Rows, b: Rows) -> list[list[float]]:
    """Multiply two matrices: entry (i, j) is row i of a times column j of b, number by number, added up.

    a: N rows of K numbers, b: K rows of M -> N rows of M. Raises ShapeError, which is a ValueError, when a's rows are
    not as long as b's columns.
    """
    if any(len(row) != len(b) for row in a):
        raise ShapeError(f"rows of {len(a[0])} do not fit columns of {len(b)}", where="matrix_multiply")
    columns = list(zip(*b, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


def broadcast_shapes(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sum of two arrays, by NumPy's rule.

    The shapes are laid side by side from the right, and the shorter one is filled up with 1. Two sizes fit when they
    are equal or when one of them is 1, which is stretched. Raises ShapeError, which is a ValueError, when some do not.
    """
    n_axes = max(len(a), len(b))
    pairs = list(zip((1,) * (n_axes - len(a)) + a, (1,) * (n_axes - len(b)) + b, strict=True))
    if any(one != other and 1 not in (one, other) for one, other in pairs):
        raise ShapeError(f"{a} and {b} cannot be broadcast", where="broadcast_shapes")
    return tuple(other if one == 1 else one for one, other in pairs)


def sgd_step(params: list[Tensor], grads: list[Tensor], lr: float) -> None:
    """Move every parameter a little against its gradient, in place: what holds the tensor sees the new numbers."""
    for param, grad in zip(params, grads, strict=True):
        param.detach().sub_(grad, alpha=lr)  # the same numbers, without autograd, which would object


def backpropagate(ops: list[tuple[Any, ...]], inputs: list[float]) -> tuple[float, list[float]]:
    """The result of a list of operations, and its gradient by each input.

    An operation is ("add", i, j), ("mul", i, j), ("tanh", i), ("exp", i) or ("log", i): what to do, and with which
    results. The inputs are results 0, 1, …, and each operation appends one; the last of all is the value.
    """
    results, slopes = list(inputs), list[list[float]]()
    for op, *places in ops:
        result, its_slopes = operate(op, *(results[i] for i in places))
        results.append(result)
        slopes.append(its_slopes)

    gradients = [0.0] * len(results)
    gradients[-1] = 1.0  # how far the value moves when the value does
    for k in reversed(range(len(ops))):
        for i, slope_there in zip(ops[k][1:], slopes[k], strict=True):
            # +=, not =: a result that is used twice moves the value in two ways.
            gradients[i] += gradients[len(inputs) + k] * slope_there
    return results[-1], gradients[: len(inputs)]


def operate(op: str, a: float, b: float = 0.0) -> tuple[float, list[float]]:
    """What an operation gives, and how far that moves with each of the numbers that it is made of."""
    match op:
        case "add":
            return a + b, [1.0, 1.0]
        case "mul":
            return a * b, [b, a]
        case "tanh":
            return math.tanh(a), [1.0 - math.tanh(a) ** 2]
        case "exp":
            return math.exp(a), [math.exp(a)]
        case "log":
            return math.log(a), [1.0 / a]
        case _:
            raise ConfigError(f"there is no operation {op!r}", fix="use add, mul, tanh, exp or log")


def fit_line(x: ndarray, y: ndarray, lr: float, steps: int) -> tuple[float, float]:
    """The slope w and the height b of a line through points, by gradient descent from w = b = 0.

    x, y: (N,). The loss is the mean of (w · x + b - y)².
    """
    w = b = 0.0
    for _ in range(steps):
        errors = w * x + b - y  # (N,)
        dw, db = 2 * np.mean(errors * x), 2 * np.mean(errors)
        w, b = w - lr * dw, b - lr * db  # both from the same errors
    return float(w), float(b)


def train_tiny_network(
    x: ndarray, y: ndarray, w1: ndarray, b1: ndarray, w2: ndarray, b2: float, lr: float, steps: int
) -> tuple[ndarray, ndarray, ndarray, float]:
    """Gradient descent on a network of two layers, y ≈ tanh(x @ w1.T + b1) @ w2 + b2; returns w1, b1, w2, b2.

    x: (N, I), y: (N,), w1: (H, I), b1: (H,), w2: (H,). The loss is the mean of the squared errors over all N examples.
    """
    for _ in range(steps):
        hidden = np.tanh(x @ w1.T + b1)  # (N, H)
        dy = 2 * (hidden @ w2 + b2 - y) / len(y)  # (N,)
        # An error reaches a hidden number through w2, and what is in front of tanh through its slope, 1 - tanh².
        dhidden = dy[:, None] * w2 * (1 - hidden**2)  # (N, H)
        # All gradients are of one and the same network: none of them sees another's new numbers.
        dw1, db1, dw2, db2 = dhidden.T @ x, dhidden.sum(axis=0), hidden.T @ dy, dy.sum()
        w1, b1, w2, b2 = w1 - lr * dw1, b1 - lr * db1, w2 - lr * dw2, b2 - lr * db2
    return w1, b1, w2, float(b2)
