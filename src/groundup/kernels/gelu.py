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
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

SLOPE = math.sqrt(8 / math.pi)  # 2z = x (SLOPE + BEND x²)
BEND = SLOPE * 0.044715


class Gelu(torch.autograd.Function):
    """GELU in GPT-2's tanh form, with its gradient by hand."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor) -> Tensor:
        """x: any shape, returns it."""
        gate = torch.addcmul(x.new_tensor(SLOPE), x, x, value=BEND).mul_(x).sigmoid_()
        y = x * gate
        ctx.save_for_backward(x, gate, y)
        return y

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> Tensor:
        """The gradient by x."""
        x, gate, y = cast("tuple[Tensor, Tensor, Tensor]", ctx.saved_tensors)  # pyright: ignore[reportAttributeAccessIssue]
        slope = torch.addcmul(y, y, gate, value=-1)  # x s (1 - s)
        slope.mul_(torch.addcmul(x.new_tensor(SLOPE), x, x, value=3 * BEND))  # … (2z)'
        return slope.add_(gate).mul_(grads[0])


def gelu(x: Tensor) -> Tensor:
    """As model.feedforward.gelu. x: any shape, returns it."""
    if x.device.type != "cpu" or x.dtype in (torch.float16, torch.bfloat16):  # short floats would round at every pass
        return functional.gelu(x, approximate="tanh")
    return cast("Tensor", Gelu.apply(x))
