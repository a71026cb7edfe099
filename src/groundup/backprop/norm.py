"""Layer normalisation, whose backward pass is the one that people get wrong.

Forward, each token's features are shifted to mean 0 and scaled to variance 1, then scaled and shifted as the model
likes. The trap is that mean and variance are made of the same features: moving one of them moves all outputs.

    normed = (x - mean(x)) / deviation(x)        y = normed · weight + bias

Read next: `feedforward.py`; beside this file, `model/norm.py`.
Source: Ba et al. 2016, section 3.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from .linear import rows


def layer_norm(x: ndarray, weight: ndarray, bias: ndarray | None = None, eps: float = 1e-5) -> ndarray:
    """Mean 0 and variance 1 over the last axis, then scale and shift.

    x: (…, C), weight: (C,), bias: (C,) or None -> (…, C).
    """
    y, _ = normalised(x, eps)  # (…, C), (…, 1)
    y *= weight
    if bias is not None:
        y += bias
    return y


def normalised(x: ndarray, eps: float) -> tuple[ndarray, ndarray]:
    """X with mean 0 and variance 1 over the last axis, and the deviation that it was divided by.

    x: (…, C) -> (…, C) and (…, 1).
    """
    normed = x - x.mean(axis=-1, keepdims=True)  # (…, C)
    variance = np.vecdot(normed, normed)[..., None] / x.shape[-1]  # (…, 1) biased: divided by C, not by C - 1
    deviation = np.sqrt(variance + eps)  # (…, 1)
    normed /= deviation
    return normed, deviation


def layer_norm_backward(
    dy: ndarray, x: ndarray, weight: ndarray, eps: float = 1e-5
) -> tuple[ndarray, ndarray, ndarray]:
    """The gradients by x, weight and bias.

    dy, x: (…, C), weight: (C,) -> dx (…, C), dweight (C,), dbias (C,).
    """
    normed, deviation = normalised(x, eps)  # (…, C), (…, 1)
    # y = normed · weight + bias, feature by feature: both serve every row, so both add up over the rows.
    dbias = rows(dy).sum(axis=0)  # (C,)
    dweight = rows(dy * normed).sum(axis=0)  # (C,)

    # Shifting all of x, or stretching it, changes nothing after the norm: so no gradient may point along those two
    # directions, the vector of ones and `normed` itself. What the chain rule does is take these two shares out:
    #     dx = (dnormed - mean(dnormed) - normed · mean(dnormed · normed)) / deviation.
    dx = dy * weight  # (…, C), which is dnormed as yet
    stretch = np.vecdot(dx, normed)[..., None] / x.shape[-1]  # (…, 1)
    dx -= dx.mean(axis=-1, keepdims=True)
    normed *= stretch
    dx -= normed
    dx /= deviation
    return dx, dweight, dbias
