"""Is a backward pass right? Move one number a little, see how far the loss moves, and compare.

No derivation is needed for that, only the forward pass, run twice for each number: far too slow to learn by, and the
most honest judge there is. The comparison must be relative, as gradients differ by orders of magnitude, and the step
must be neither too long (the curve bends) nor too short (digits cancel): in float64, 1e-5 leaves about nine digits.

    >>> import numpy as np
    >>> from groundup.backprop import check_gradients, check_table
    >>> p = {"w": np.array([1.0, 2.0]), "b": np.array(0.5)}
    >>> def loss(p):
    ...     return float(np.sum(p["w"] ** 2) + 3 * p["b"])
    >>> found = check_gradients(loss, p, {"w": 2 * p["w"], "b": np.array(4.0)})
    >>> print(check_table(found))
    parameter  deviation  where  by hand  measured
    b          2.5e-01    ()     4        3         <- wrong
    w          …

For the whole model, loss is `lambda p: gpt_backward(ids, targets, p, n_layers, n_heads)[0]`.

Read next: `parts.py`.
Source: Karpathy et al., "CS231n: gradient checks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from ..errors import ShapeError

Index = tuple[int, ...]
TOLERANCE = 1e-6  # central differences in float64 agree with a right gradient to a tenth of this or better


@dataclass(frozen=True)
class Deviation:
    """How far one parameter's gradient is from what was measured, at the place where it is farthest."""

    name: str
    relative: float  # |by hand - measured| / the larger of both, or of the smallest size that can be measured
    where: Index
    by_hand: float
    measured: float

    @property
    def is_wrong(self) -> bool:
        """Whether rounding cannot explain the deviation; NaN counts."""
        return not self.relative <= TOLERANCE


def check_gradients(
    loss: Callable[[Mapping[str, ndarray]], float],
    p: Mapping[str, ndarray],
    dp: Mapping[str, ndarray],
    *,
    eps: float = 1e-5,
    entries: int | None = None,
    seed: int = 0,
) -> list[Deviation]:
    """Compare gradients with central differences; the parameter that is farthest off comes first.

    loss(p) is the number that dp holds the gradients of. p should be float64. entries: numbers to look at in each
    parameter, drawn from `seed`; None: all. Raises ShapeError for a gradient that is missing or has another shape.
    """
    p = {name: np.array(value, copy=True) for name, value in p.items()}  # moved, and moved back
    deviations = [_worst(loss, p, name, _gradient_of(name, p, dp), eps, entries, seed) for name in p]
    return sorted(deviations, key=lambda deviation: deviation.relative, reverse=True)


def _gradient_of(name: str, p: Mapping[str, ndarray], dp: Mapping[str, ndarray]) -> ndarray:
    found = dp[name].shape if name in dp else "missing"
    if found != p[name].shape:
        raise ShapeError(f"the gradient of {name} is {found}, not {p[name].shape}", where="check_gradients")
    return dp[name]


def _worst(
    loss: Callable[[Mapping[str, ndarray]], float],
    p: Mapping[str, ndarray],
    name: str,
    gradient: ndarray,
    eps: float,
    entries: int | None,
    seed: int,
) -> Deviation:
    """The entry of one parameter whose gradient is farthest from the measured one."""
    places = list(np.ndindex(gradient.shape))
    if entries is not None and entries < len(places):
        chosen = np.random.default_rng(seed).choice(len(places), entries, replace=False)
        places = [places[i] for i in chosen]
    # The loss has 16 digits and the difference of two losses has fewer: of a gradient below this, none is left to see.
    floor = 1e-15 * abs(loss(p)) / eps / TOLERANCE
    found: list[Deviation] = []
    for place in places:
        by_hand, measured = float(gradient[place]), slope(lambda _: loss(p), p[name], place, eps)
        size = max(abs(by_hand), abs(measured), floor, 1e-300)
        found.append(Deviation(name, abs(by_hand - measured) / size, place, by_hand, measured))
    # max() would pass over NaN, which compares with nothing.
    return max(found, key=lambda item: item.relative if item.relative == item.relative else np.inf)


def numerical_gradient(f: Callable[[ndarray], float], x: ndarray, eps: float = 1e-5) -> ndarray:
    """The gradient of f at x by central differences: two runs of f for each number of x, which is left unchanged."""
    x = np.array(x, dtype=np.result_type(x, np.float32), copy=True)
    gradient = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        gradient[place] = slope(f, x, place, eps)
    return gradient


def slope(f: Callable[[ndarray], float], x: ndarray, place: Index, eps: float) -> float:
    """How far f moves when one number of x does, divided by how far that was; x is moved, and moved back."""
    before = x[place].copy()
    x[place] = before + eps
    above = float(f(x))
    x[place] = before - eps
    below = float(f(x))
    x[place] = before
    return (above - below) / (2 * eps)


def check_table(deviations: list[Deviation]) -> str:
    """The answer of check_gradients as text, one line for each parameter."""
    head = ("parameter", "deviation", "where", "by hand", "measured", "")
    lines = [
        (d.name, f"{d.relative:.1e}", str(d.where), f"{d.by_hand:.6g}", f"{d.measured:.6g}", "<- wrong" * d.is_wrong)
        for d in deviations
    ]
    return aligned([head, *lines])


def aligned(lines: list[tuple[str, ...]]) -> str:
    """Lines of words as columns."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = ("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(row.rstrip() for row in rows)
