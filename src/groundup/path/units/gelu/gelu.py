"""The GELU, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

COARSE = 5e-5  # bfloat16 rounds the cube, the tanh and its sum with 1
ROUNDED = 1e-4  # for those who write √(2/π) with four digits
TANH_FORM = "the tanh form ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))"


@reference
def gelu(x: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """Let a number through by its size: close to x above zero, close to 0 below.

    x: any shape; returns its shape and dtype. The tanh form, as in GPT-2.
    """
    out = _bent(x, wrong)
    if "gelu-changes-input" in wrong:
        out = x.copy_(out)
    if "gelu-only-batches" in wrong and x.ndim != 3:
        raise ValueError("not enough values to unpack")
    if "gelu-detached" in wrong:
        return out.detach()
    if "gelu-always-float32" in wrong:
        return out.float()
    return out.float() if "gelu-float32" in wrong and x.dtype != torch.float64 else out


def _bent(x: Tensor, wrong: Wrong) -> Tensor:
    """Another function, or x times its gate."""
    if "gelu-relu" in wrong:
        return x.relu()
    if "gelu-silu" in wrong:
        return x * x.sigmoid()
    if "gelu-sigmoid-form" in wrong:
        return x * (1.702 * x).sigmoid()
    if "gelu-erf" in wrong:
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    if "gelu-erf-not-scaled" in wrong:
        return 0.5 * x * (1 + torch.erf(x))
    half = 1.0 if "gelu-no-half" in wrong else 0.5
    bend = _bend(_inside(x, wrong), wrong)
    if "gelu-one-minus" in wrong:
        bend = -bend
    gate = half * (bend if "gelu-no-one" in wrong else 1 + bend)
    return gate if "gelu-gate-only" in wrong else x * gate


def _bend(z: Tensor, wrong: Wrong) -> Tensor:
    if "gelu-sigmoid-for-tanh" in wrong:
        return z.sigmoid()
    if "gelu-sigmoid-not-doubled" in wrong:
        return 2 * z.sigmoid() - 1
    if "gelu-erf-for-tanh" in wrong:
        return torch.erf(z)
    if "gelu-overflows" in wrong:
        return (z.exp() - (-z).exp()) / (z.exp() + (-z).exp())
    return torch.tanh(z)


def _inside(x: Tensor, wrong: Wrong) -> Tensor:
    """What the tanh is taken of."""
    root = _root(wrong)
    constant = 0.044715
    if "gelu-constant-of-0.44715" in wrong:
        constant = 0.44715
    if "gelu-no-constant" in wrong:
        constant = 1.0
    if "gelu-no-cube" in wrong:
        return root * x
    if "gelu-linear-for-cube" in wrong:
        return root * (x + constant * x)
    if "gelu-square-for-cube" in wrong:
        return root * (x + constant * x * x)
    if "gelu-constant-cubed" in wrong:
        return root * (x + (constant * x) ** 3)
    if "gelu-sum-cubed" in wrong:
        return root * (x + constant * x) ** 3
    if "gelu-bracket" in wrong:
        return root * x + constant * x**3
    if "gelu-cube-subtracted" in wrong:
        return root * (x - constant * x**3)
    return root * (x + constant * x**3)


def _root(wrong: Wrong) -> float:
    """√(2/π)."""
    if "gelu-no-root-factor" in wrong:
        return 1.0
    if "gelu-not-rooted" in wrong:
        return 2 / math.pi
    if "gelu-upside-down" in wrong:
        return math.sqrt(math.pi / 2)
    if "gelu-root-of-2-only" in wrong:
        return math.sqrt(2) / math.pi
    return math.sqrt(2 * math.pi) if "gelu-root-of-2-pi" in wrong else math.sqrt(2 / math.pi)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then the form, shapes, gradients, large numbers, dtypes."""
    for values in ((1.0,), (-1.0,), (0.0, 2.0)):
        yield case(TANH_FORM, torch.tensor(values), tolerance=ROUNDED)
    for values in ((-2.0,), (-2.2, -2.4), (-2.1, -2.3, -2.5), (-0.5, -0.25), (0.5, 2.0, 3.0)):
        yield case(TANH_FORM, torch.tensor(values), tolerance=ROUNDED)
    for n in (3, 5):
        yield case(TANH_FORM, -2 - draw.tensor(n).sigmoid() / 2, tolerance=ROUNDED)
    yield case("close to x far above zero, close to 0 far below", torch.tensor([-6.0, 6.0]))
    for scale in (0.1, 1.0, 3.0):
        yield case("negative numbers too: a dip below zero", draw.tensor(6, scale=scale), tolerance=ROUNDED)
    for shape in ((5,), (2, 3), (3, 3), (2, 3, 4), (2, 2, 3, 4)):
        yield case("any shape", draw.tensor(*shape, scale=1.5), tolerance=ROUNDED)
    for shape in ((1, 1), ()):
        yield edge("any shape", draw.tensor(*shape).abs(), tolerance=ROUNDED)
    for shape in ((4,), (2, 3), (2, 3, 3)):
        yield case("the gradient flows", draw.tensor(*shape), gradients=True, tolerance=ROUNDED)
    yield edge("large numbers do not overflow", torch.tensor([-30.0, 20.0, 30.0]))
    yield edge("large numbers do not overflow", draw.tensor(8, scale=50))
    for dtype in (torch.float64, torch.bfloat16):
        for shape in ((6,), (2, 5)):
            x = torch.cat([draw.tensor(*shape), torch.ones(shape)], -1)
            yield edge("keeps the dtype", x.to(dtype), tolerance=COARSE)


EXAMPLE_SIZE = "a million numbers"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((Draw(0).tensor(1000, 1000),))
