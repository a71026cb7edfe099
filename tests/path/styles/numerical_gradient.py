"""Right in unusual ways."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy import ndarray

F = Callable[[ndarray], float]


def numerical_gradient_in_place_and_back(f: F, x: ndarray, eps: float = 1e-5) -> ndarray:
    gradient = np.empty(x.shape)
    for index in np.ndindex(*x.shape):
        old = x[index]
        x[index] = old + eps
        above = f(x)
        x[index] = old - eps
        below = f(x)
        x[index] = old
        gradient[index] = (above - below) / 2 / eps
    return gradient


def numerical_gradient_by_unit_vectors(f: F, x: ndarray, eps: float = 1e-5) -> ndarray:
    units = np.eye(x.size).reshape(x.size, *x.shape)
    return np.array([(f(x + eps * e) - f(x - eps * e)) / (2 * eps) for e in units]).reshape(x.shape)


def numerical_gradient_with_nditer(f: F, x: ndarray, eps: float = 1e-5) -> ndarray:
    gradient = np.zeros_like(x)
    it = np.nditer(x, flags=["multi_index"])
    while not it.finished:
        moved = x.copy()
        moved[it.multi_index] += eps
        gradient[it.multi_index] = f(moved)
        moved[it.multi_index] -= 2 * eps
        gradient[it.multi_index] -= f(moved)
        it.iternext()
    return gradient / (2 * eps)


def numerical_gradient_flat_first(f: F, x: ndarray, eps: float = 1e-5) -> ndarray:
    flat = x.flatten()
    slopes = []
    for i in range(flat.size):
        left, right = flat.copy(), flat.copy()
        left[i], right[i] = flat[i] - eps, flat[i] + eps
        slopes.append((f(right.reshape(x.shape)) - f(left.reshape(x.shape))) / (right[i] - left[i]))
    return np.reshape(slopes, x.shape)


def numerical_gradient_as_lists(f: F, x: ndarray, eps: float = 1e-5) -> list:
    return numerical_gradient_by_unit_vectors(f, np.array(x.tolist()), eps).tolist()


def numerical_gradient_of_both_halves(f: F, x: ndarray, eps: float = 1e-5) -> ndarray:
    here, out = f(x), np.zeros(x.shape)
    for place, _ in np.ndenumerate(x):
        step = np.zeros(x.shape)
        step[place] = eps
        out[place] = ((f(x + step) - here) / eps + (here - f(x - step)) / eps) * 0.5
    return out
