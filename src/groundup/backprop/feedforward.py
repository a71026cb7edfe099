"""The feed-forward network, backwards: through a linear layer, a bend, and a linear layer again.

The bend treats each number by itself, so that its backward pass is one multiplication by its slope: where the curve is
flat, nothing comes back, and what lies before it learns nothing from this token.

Read next: `embedding.py`; beside this file, `model/feedforward.py`.
Source: Hendrycks and Gimpel 2016, section 2 (GELU).
"""

from __future__ import annotations

import math

import numpy as np
from numpy import ndarray

from .attention import Kept
from .linear import linear, linear_backward

STEEPNESS, CUBIC = math.sqrt(8 / math.pi), 0.044715


def gelu(x: ndarray, *, kept: Kept | None = None) -> ndarray:
    """Gaussian error linear unit, in the tanh form of GPT-2: close to x above zero, close to 0 below.

    x: any shape; returns its shape and dtype.
    """
    s = gate(x)  # (…)
    if kept is not None:
        kept["gate"] = s
    return x * s


def gate(x: ndarray) -> ndarray:
    """The share of x that gelu lets through: ½ (1 + tanh z) with z = √(2/π) (x + 0.044715 x³), which is sigmoid(2z).

    x: any shape; returns its shape and dtype.
    """
    y = x * x  # (…)
    y *= -STEEPNESS * CUBIC
    y -= STEEPNESS
    y *= x  # -2z
    np.minimum(y, 80.0, out=y)  # exp() overflows float32 at 88, and the gate of what lies there is 0 anyway
    np.exp(y, out=y)
    y += 1.0
    return np.reciprocal(y, out=y)


def gelu_backward(dy: ndarray, x: ndarray, *, kept: Kept | None = None) -> ndarray:
    """The gradient by x.

    dy, x: any one shape; returns that shape and dtype.
    """
    # y = x · s with the gate s = sigmoid(2z), and the sigmoid's slope is s · (1 - s):
    #     slope = s + x · s · (1 - s) · (2z)' = s · (1 + x · (1 - s) · (2z)'),   (2z)' = √(8/π) (1 + 3 · 0.044715 x²).
    s = kept["gate"] if kept else gate(x)  # (…)
    slope = x * x  # (…)
    slope *= 3 * STEEPNESS * CUBIC
    slope += STEEPNESS
    slope *= x
    slope -= slope * s
    slope += 1.0
    slope *= s
    slope *= dy
    return slope


def feed_forward(
    x: ndarray,
    w_up: ndarray,
    b_up: ndarray | None,
    w_down: ndarray,
    b_down: ndarray | None,
    *,
    kept: Kept | None = None,
) -> ndarray:
    """Two linear layers with a GELU between them.

    x: (…, C), w_up: (F, C), b_up: (F,), w_down: (C, F), b_down: (C,) -> (…, C).
    """
    up = linear(x, w_up, b_up)  # (…, F)
    hidden = gelu(up, kept=kept)  # (…, F)
    if kept is not None:
        kept |= {"up": up, "hidden": hidden}
    return linear(hidden, w_down, b_down)  # (…, C)


def feed_forward_backward(
    dy: ndarray,
    x: ndarray,
    w_up: ndarray,
    b_up: ndarray | None,
    w_down: ndarray,
    b_down: ndarray | None,
    *,
    kept: Kept | None = None,
    linear_backward=linear_backward,
    gelu_backward=gelu_backward,
) -> tuple[ndarray, ndarray, ndarray | None, ndarray, ndarray | None]:
    """The gradients by x and by both layers' weights and biases; None for a bias that is None.

    dy, x: (…, C), w_up: (F, C), b_up: (F,), w_down: (C, F), b_down: (C,) -> dx, dw_up, db_up, dw_down, db_down.
    """
    if not kept:
        kept = {}
        feed_forward(x, w_up, b_up, w_down, b_down, kept=kept)
    # Backward is forward in reverse: each step takes the gradient of its output, and hands on that of its input.
    dhidden, dw_down, db_down = linear_backward(dy, kept["hidden"], w_down)
    dup = gelu_backward(dhidden, kept["up"], kept=kept)  # (…, F)
    dx, dw_up, db_up = linear_backward(dup, x, w_up)
    return dx, dw_up, None if b_up is None else db_up, dw_down, None if b_down is None else db_down
