"""A linear layer in a narrow dtype, right or with one of its known mistakes."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..linear.linear import linear

NARROW = (torch.bfloat16, torch.float16)
EXACT = 2e-6  # what is rounded away is only 2e-3 of the largest number
NEARLY = 1e-3  # exact in bfloat16, but a mistaken float16 may be rounded once or twice
ROUNDED = 2e-2  # a sum of bfloat16 numbers, each step of it perhaps rounded again


@reference
def mixed_precision_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    dtype: torch.dtype = torch.bfloat16,
    *,
    wrong: Wrong = RIGHT,
) -> Tensor:
    """A linear layer computed in a narrow dtype from weights that stay wide; gradients arrive in float32.

    x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O) in x's dtype.
    """
    if "mixed_precision_linear-default-float16" in wrong and dtype == torch.bfloat16:
        dtype = torch.float16
    if "mixed_precision_linear-always-bfloat16" in wrong:
        dtype = torch.bfloat16
    if "mixed_precision_linear-always-float16" in wrong:
        dtype = torch.float16
    if "mixed_precision_linear-needs-bias" in wrong and bias is None:
        raise AttributeError("'NoneType' object has no attribute 'to'")
    if "mixed_precision_linear-master-rounded" in wrong:
        weight.data.copy_(weight.data.to(dtype))
    if "mixed_precision_linear-master-narrow" in wrong:
        weight.data = weight.data.to(dtype)
    if "mixed_precision_linear-x-rounded" in wrong:
        x.data.copy_(x.data.to(dtype))
    y = _computed(x, weight, bias, dtype, wrong)  # (…, O)
    if "mixed_precision_linear-detached" in wrong:
        y = y.detach()
    if "mixed_precision_linear-left-narrow" in wrong:
        return y
    y = y.to(weight.dtype if "mixed_precision_linear-always-float32" in wrong else x.dtype)
    return y + bias if bias is not None and "mixed_precision_linear-bias-afterwards" in wrong else y


def _computed(x: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, wrong: Wrong) -> Tensor:
    """(…, O), before it is cast back."""
    if "mixed_precision_linear-not-cast" in wrong:
        return linear(x, weight, bias, wrong=wrong)
    if "mixed_precision_linear-only-output-cast" in wrong:
        return linear(x, weight, bias, wrong=wrong).to(dtype)
    narrow_x = x if "mixed_precision_linear-x-not-cast" in wrong else x.to(dtype)
    narrow_weight = weight if "mixed_precision_linear-weight-not-cast" in wrong else weight.to(dtype)  # (O, I)
    if "mixed_precision_linear-weight-detached" in wrong:
        narrow_weight = narrow_weight.detach()  # (O, I)
    if "mixed_precision_linear-x-detached" in wrong:
        narrow_x = narrow_x.detach()
    if "mixed_precision_linear-cast-there-and-back" in wrong:
        wide_bias = None if bias is None else bias.to(dtype).to(weight.dtype)  # (O,)
        return linear(narrow_x.to(weight.dtype), narrow_weight.to(weight.dtype), wide_bias, wrong=wrong)
    if "mixed_precision_linear-only-x-rounded" in wrong:
        narrow_x, narrow_weight = narrow_x.to(weight.dtype), weight
    if "mixed_precision_linear-only-weight-rounded" in wrong:
        narrow_x, narrow_weight = x.to(weight.dtype), narrow_weight.to(weight.dtype)
    return linear(narrow_x, narrow_weight, _cast_bias(bias, dtype, wrong), wrong=wrong)


def _cast_bias(bias: Tensor | None, dtype: torch.dtype, wrong: Wrong) -> Tensor | None:
    if bias is None or "mixed_precision_linear-bias-afterwards" in wrong:
        return None
    if "mixed_precision_linear-bias-not-cast" in wrong:
        return bias
    if "mixed_precision_linear-bias-fails" in wrong and bias.dtype != dtype:
        raise RuntimeError("Input type and bias type should be the same")
    if "mixed_precision_linear-bias-detached" in wrong:
        return bias.detach().to(dtype)
    return bias.to(dtype)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then numbers whose rounding shows, other dtypes, gradients, and ordinary numbers."""
    slightly, ones = torch.tensor([1 + 2**-9, 1.0]), torch.tensor([[1.0, -1.0]])
    rounds = "x and weight are cast to bfloat16, which rounds them"
    yield case(rounds, torch.tensor([3.015, 1.0]), torch.tensor([[1.0, -3.0]]), tolerance=EXACT)
    yield case(rounds, slightly, ones, tolerance=EXACT)
    yield case(rounds, ones[0], slightly[None], tolerance=EXACT)
    signs, slight_bias = torch.tensor([[1 + 2**-12, -1.0], [-2.0, 1.0]]), torch.tensor([1 + 2**-9, -0.5])
    yield case("the bias is cast to bfloat16 too", torch.tensor([1.0, 2.0]), signs, slight_bias)
    named = "the dtype that is named"
    yield case(named, slightly, ones, dtype=torch.float16)
    yield case(named, torch.tensor([1 + 2**-12, 1.0]), ones, dtype=torch.float16)
    yield case(named, torch.tensor([1 + 2**-12, 1.0]), ones, dtype=torch.float32)
    yield case("bfloat16 has the range of float32", torch.tensor([2.0**17, 0.0]), torch.tensor([[0.5, 1.0]]))
    for shape, o in (((4, 3), 5), ((3,), 4), ((2, 3, 4), 2), ((2, 4), 4), ((3, 3), 3), ((1, 2, 2, 3), 4), ((1, 5), 2)):
        x, weight, bias = _between(draw, *shape), _between(draw, o, shape[-1], at=2), _between(draw, o)
        yield case("computed from rounded numbers, given in x's dtype", x, weight, tolerance=NEARLY)
        yield case("computed from rounded numbers, given in x's dtype", x, weight, bias, tolerance=NEARLY)
        yield case("the bias may be None", x, weight, None, tolerance=NEARLY)
    flows = "the gradient reaches the float32 x and weight"
    for shape, o in (((2, 3), 3), ((3, 2), 2), ((3, 1, 2), 2), ((1, 3), 3)):
        x, weight, bias = _between(draw, *shape), _between(draw, o, shape[-1], at=2), _between(draw, o)
        yield case(flows, x, weight, gradients=True, tolerance=NEARLY)
        yield case("the gradient reaches the float32 bias too", x, weight, bias, gradients=True, tolerance=NEARLY)
    for shape, o in (((5, 7), 6), ((2, 5, 8), 8), ((2, 2, 3), 12)):
        x, weight, bias = draw.tensor(*shape), draw.tensor(o, shape[-1]), draw.tensor(o)
        for some in ((), (bias,), (bias, torch.float16)):
            yield case("ordinary numbers", x, weight, *some, tolerance=ROUNDED)
    for dtype in NARROW:
        inputs = draw.tensor(3, 7), draw.tensor(5, 7), draw.tensor(5)
        digits = "the output has no more digits than dtype"
        yield case(digits, *inputs, dtype, view=functools.partial(_has_digits_of, dtype))
    for narrow in NARROW:
        x, weight, bias = draw.tensor(2, 3, dtype=narrow), _between(draw, 4, 3, at=2), _between(draw, 4)
        # bfloat16 is not named, so that a default that is another dtype shows.
        options = {} if narrow == torch.bfloat16 else {"dtype": narrow}
        for some in (None, bias):
            yield edge("an x that is narrow already stays so", x, weight, some, tolerance=5e-5, **options)
    x = _between(draw, 2, 3).bfloat16()
    yield edge("an x that is narrow already stays so", x, weight[:3], bias[:3], gradients=True, tolerance=NEARLY)
    x, weight, bias = _between(draw, 3, 4).double(), _between(draw, 2, 4, at=2), _between(draw, 2)
    yield edge("keeps the dtype", x, weight, tolerance=NEARLY)
    yield edge("keeps the dtype", x, weight, bias, tolerance=NEARLY)
    wide = "dtype=float32 computes in float32"
    yield edge(wide, draw.tensor(3, 4), weight, bias, torch.float32, tolerance=NEARLY)
    yield edge(wide, draw.tensor(3, 4), weight, dtype=torch.float32, tolerance=NEARLY)
    yield edge(wide, draw.tensor(3, 4, dtype=torch.bfloat16), weight, bias, torch.float32, tolerance=NEARLY)


def _has_digits_of(dtype: torch.dtype, seen: list[Observation]) -> bool:
    """Whether nothing is lost when the output is cast once more, as after a computation in this dtype."""
    y = seen[0]["value"]
    return torch.equal(y.to(dtype).to(y.dtype), y)


def _between(draw: Draw, *shape: int, at: int = 8) -> Tensor:
    """Numbers a little beyond whole ones from `at` to 2 · at - 1, either sign, which bfloat16 makes whole again.

    Sums of their products are exact in bfloat16, in any order and however often they are rounded.
    """
    signs = 2 * draw.ids(*shape, below=2) - 1
    beyond = draw.ids(*shape, below=7) + 1  # of 8 parts of what is rounded away
    return signs * (draw.ids(*shape, below=at) + at + at * 2**-8 * beyond / 8)
