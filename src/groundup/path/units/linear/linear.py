"""The linear layer, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, wrong: Wrong = RIGHT) -> Tensor:
    """Each output is a weighted sum of the inputs, plus a bias.

    x: (…, in), weight: (out, in), bias: (out,) or None -> (…, out).
    """
    if "linear-only-matrices" in wrong and x.ndim != 2:
        raise ValueError("not enough values to unpack")
    if "linear-only-batches" in wrong and x.ndim != 3:
        raise ValueError("not enough values to unpack")
    y = _product(x, weight, wrong)
    if bias is None and "linear-needs-bias" in wrong:
        raise TypeError("unsupported operand: None")
    if bias is not None:
        y = _with_bias(y, bias, wrong)
    if "linear-activated" in wrong:
        y = y.relu()
    if "linear-flattened" in wrong and x.ndim != 2:
        y = y.reshape(-1, y.shape[-1])
    if "linear-detached" in wrong:
        return y.detach()
    if "linear-float32" in wrong:
        return y.float()
    return y


def _product(x: Tensor, weight: Tensor, wrong: Wrong) -> Tensor:
    if "linear-not-transposed" in wrong:
        return x @ weight
    if "linear-weight-first" in wrong:
        return weight @ x
    if "linear-result-transposed" in wrong and x.ndim > 1:
        return weight @ x.mT
    return x @ weight.T


def _with_bias(y: Tensor, bias: Tensor, wrong: Wrong) -> Tensor:
    if "linear-bias-truth" in wrong:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    if "linear-no-bias" in wrong:
        return y
    if "linear-bias-twice" in wrong:
        return y + bias + bias
    if "linear-bias-subtracted" in wrong:
        return y - bias
    if "linear-bias-of-rows" in wrong:
        return y + bias.unsqueeze(-1)
    return y + bias


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, gradients, dtypes."""
    x, w, b = (
        torch.tensor([1.0, 2.0]),
        torch.tensor([[1.0, 10.0], [3.0, -1.0], [0.0, 0.5]]),
        torch.tensor([0.0, 5.0, -1.0]),
    )
    yield case("each output is a weighted sum of the inputs", x, w)
    yield case("the bias is added to each output", x, w, b)
    for shape in ((4, 3), (2, 4, 3), (3,), (2, 1, 4, 3), (1, 3)):
        weight, bias = draw.tensor(5, 3), draw.tensor(5)
        yield case("any leading shape", draw.tensor(*shape), weight)
        yield case("any leading shape", draw.tensor(*shape), weight, bias)
    for n in (3, 4, 6):  # a square weight multiplies either way round without complaint
        yield case("a square weight", draw.tensor(2, n), draw.tensor(n, n))
        yield case("a square weight", draw.tensor(2, 3, n), draw.tensor(n, n), draw.tensor(n))
    for bias in (None, draw.tensor(4)):
        yield case(
            "the gradient reaches x, weight and bias", draw.tensor(2, 3), draw.tensor(4, 3), bias, gradients=True
        )
    for dtype in (torch.float64, torch.bfloat16):
        tensors = [draw.tensor(*shape, dtype=dtype) for shape in ((2, 3), (4, 3), (4,))]
        yield edge("keeps the dtype", *tensors)
        yield edge("keeps the dtype", *tensors[:2])
