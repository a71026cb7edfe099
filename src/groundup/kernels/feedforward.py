"""The feed-forward network with its bend in one pass. Equals `model.feedforward.mlp`.

On a CPU torch's own GELU in the tanh form is slow, so `gelu` is written here with a sigmoid, which has fast code on
every processor, in as few passes over memory as it can be: five forward, and six backward, where the sigmoid that was
kept spares a second one. What it costs beside torch's: `benchmarks/training_speed.py`.

    gelu(x) = x s     with s = sigmoid(2z), 2z = √(8/π) (x + 0.044715 x³)
    gelu'(x) = s + x s (1 - s) (2z)'
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


def fused_mlp(
    x: Tensor,
    kind: str,
    w_up: Tensor,
    w_down: Tensor,
    w_gate: Tensor | None = None,
    b_up: Tensor | None = None,
    b_down: Tensor | None = None,
) -> Tensor:
    """x: (B, T, C) -> (B, T, C)."""
    up = functional.linear(x, w_up, b_up)  # (B, T, F)
    if kind == "gelu":
        hidden = gelu(up)  # (B, T, F)
    elif kind == "relu2":
        hidden = functional.relu(up).square()  # (B, T, F)
    else:
        assert w_gate is not None
        gate = functional.linear(x, w_gate)  # (B, T, F)
        hidden = up * (functional.silu(gate) if kind == "swiglu" else gelu(gate))
    return functional.linear(hidden, w_down, b_down)
