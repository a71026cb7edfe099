"""The softmax, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

LARGE = 3e-4  # float32 near 1000 has steps of 6e-5


@reference
def softmax(x: Tensor, dim: int = -1, *, wrong: Wrong = RIGHT) -> Tensor:
    """Turn scores into weights that add up to 1 along `dim`.

    x: any shape; returns its shape and dtype. Stable for large scores. A row of nothing but -inf gives zeros, not NaN.
    """
    if "softmax-ignores-dim" in wrong:
        dim = -1
    if "softmax-first-axis" in wrong:
        dim = 0
    if "softmax-log" in wrong:
        return torch.log_softmax(x, dim)
    if "softmax-sigmoid" in wrong:
        return x.sigmoid()
    if "softmax-changes-input" in wrong:
        x -= x.amax(dim, keepdim=True)
    exponentials = _exponentials(x, dim, wrong)  # (…)
    total = _total(exponentials, dim, wrong)  # (…, 1)
    if "softmax-row-of-nan" not in wrong:
        total = total.masked_fill((x == -math.inf).all(dim, keepdim=total.ndim == x.ndim), 1.0)  # (…, 1)
    weights = exponentials if "softmax-not-divided" in wrong else exponentials / total  # (…)
    if "softmax-row-even" in wrong:
        weights = torch.where((x == -math.inf).all(dim, keepdim=True), 1.0 / x.shape[dim], weights)
    if "softmax-detached" in wrong:
        return weights.detach()
    if "softmax-always-float32" in wrong:
        return weights.float()
    return weights.float() if "softmax-float32" in wrong and x.dtype != torch.float64 else weights


def _exponentials(x: Tensor, dim: int, wrong: Wrong) -> Tensor:
    """Of the scores, shifted so that none overflows."""
    if "softmax-no-exponential" in wrong:
        return x
    if "softmax-negated" in wrong:
        x = -x
    largest = x.detach().amax(dim, keepdim=True)  # (…, 1)
    if "softmax-shifted-by-all" in wrong or "softmax-over-everything" in wrong:
        largest = x.detach().amax()
    if "softmax-shifted-by-smallest" in wrong:
        largest = x.detach().amin(dim, keepdim=True)  # (…, 1)
    if "softmax-not-shifted" in wrong:
        largest = torch.zeros_like(largest)  # (…, 1)
    if "softmax-row-of-nan" not in wrong:
        largest = largest.masked_fill(largest == -math.inf, 0.0)  # (…, 1)
    return torch.exp2(x - largest) if "softmax-base-2" in wrong else (x - largest).exp()  # (…)


def _total(exponentials: Tensor, dim: int, wrong: Wrong) -> Tensor:
    """What they are divided by."""
    total = exponentials.sum(dim, keepdim="softmax-axis-dropped" not in wrong)  # (…, 1)
    if "softmax-over-everything" in wrong:
        total = exponentials.sum().expand_as(total)  # (…, 1)
    if "softmax-eps" in wrong:
        total = total + 1e-2
    if "softmax-one-more" in wrong:
        total = total + 1.0
    return total


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then axes, large scores, gradients, and rows in which nothing is allowed."""
    yield case("the weights of a row add up to 1", torch.tensor([0.0, math.log(3.0)]))
    yield case("each row by itself", torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]]))
    for shape in ((5,), (2, 3), (3, 3), (2, 3, 4), (1, 4, 4), (2, 2, 3, 5), (4, 1)):
        yield case("weights that add up to 1 along the last axis", draw.tensor(*shape, scale=2))
    for shape, dim in (((2, 3), 0), ((3, 3), 0), ((2, 3, 4), 1), ((2, 3, 4), -2), ((3, 3, 3), 0), ((4, 4), 1)):
        yield case("the axis that dim names", draw.tensor(*shape, scale=2), dim)
    yield case(
        "stable for large scores: each row is shifted by its own largest one",
        torch.tensor([[500.0, 501.0], [-500.0, -501.0]]),
        tolerance=LARGE,
    )
    yield case("stable for large scores", torch.tensor([1000.0, 1001.0]), tolerance=LARGE)
    yield case("stable for large scores", torch.tensor([[-1000.0, -1001.0, -1003.0]]), tolerance=LARGE)
    yield case("stable for large scores", draw.tensor(3, 4, scale=300), tolerance=LARGE)
    yield case("a forbidden key gets exactly 0", torch.tensor([[0.0, -math.inf, 1.0], [2.0, -math.inf, -math.inf]]))
    for shape in ((4,), (2, 3), (2, 3, 3)):
        yield case("the gradient flows", draw.tensor(*shape), gradients=True)
    yield case("the gradient flows along another axis", draw.tensor(3, 2), 0, gradients=True)
    nothing = torch.tensor([[-math.inf, -math.inf, -math.inf], [0.0, 1.0, 2.0]])
    yield edge("a row that may attend to nothing gives zeros", nothing[:1])
    yield edge("a row that may attend to nothing gives zeros", nothing)
    yield edge("a row that may attend to nothing gives zeros", nothing.T.contiguous(), 0)
    yield edge("dim given by name", draw.tensor(3, 3), dim=0)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", draw.tensor(2, 5, dtype=dtype))
