"""GELU in GPT-2's tanh form, fast on a CPU too.

torch's own is slow there, so it is written here with a sigmoid, which has fast code on every processor, in as few
passes over memory as it can be: five forward, and six backward, where the sigmoid that was kept spares a second one.
What a training step costs with it: `benchmarks/training_speed.py`. Equals `model.feedforward.gelu`.

    gelu(x) = x s     with s = sigmoid(2z), 2z = √(8/π) (x + 0.044715 x³)
    gelu'(x) = s + x s (1 - s) (2z)'

Read next: `linear.py`.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

SLOPE = math.sqrt(8 / math.pi)  # 2z = x (SLOPE + BEND x²)
BEND = SLOPE * 0.044715


class Gelu(torch.autograd.Function):
    """GELU in GPT-2's tanh form, with its gradient by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x: any shape, returns it. Short floats would round at every pass, so they are computed in float32."""
        wide = at_least_float32(x)
        gate = torch.addcmul(wide.new_tensor(SLOPE), wide, wide, value=BEND).mul_(wide).sigmoid_()
        y = (wide * gate).to(x.dtype)
        ctx.save_for_backward(x, gate.to(x.dtype), y)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """The gradient by x."""
        x, gate, y = (at_least_float32(kept) for kept in ctx.saved_tensors)
        slope = torch.addcmul(y, y, gate, value=-1)  # x s (1 - s)
        slope.mul_(torch.addcmul(x.new_tensor(SLOPE), x, x, value=3 * BEND))  # … (2z)'
        return slope.add_(gate).mul_(grads[0]).to(grads[0].dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor itself, or a short float widened."""
    return x if x.dtype == torch.float64 else x.float()


def gelu(x: Tensor) -> Tensor:
    """As model.feedforward.gelu. x: any shape, returns it."""
    if x.device.type != "cpu":
        return functional.gelu(x, approximate="tanh")
    return cast("Tensor", Gelu.apply(x))
