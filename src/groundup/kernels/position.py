"""Rotary positions in place: the two halves of each head are turned straight into the result.

The plain part writes five tensors of x's size on the way, each read again by the next line; here there is none. What
turns a gradient back is the same rotation by the opposite angle. Equals `model.position.rope`.

Read next: `norm.py`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from ..model.position import rope


def fused_rope(x: Tensor, positions: Tensor, theta: float = 10000.0, frequencies: Tensor | None = None) -> Tensor:
    """As rope. x: (B, H, T, D), positions: (T,) -> (B, H, T, D)."""
    if x.dtype not in (torch.float32, torch.float64) or x.shape[-1] % 2 or torch.compiler.is_compiling():
        return rope(x, positions, theta, frequencies)
    if frequencies is None:
        frequencies = theta ** -(
            torch.arange(0, x.shape[-1], 2, dtype=x.dtype, device=x.device) / x.shape[-1]
        )  # (D/2,)
    angles = positions.to(x.dtype)[:, None] * frequencies  # (T, D/2)
    return cast("Tensor", Rotation.apply(x, angles.cos(), angles.sin()))


def rotated(x: Tensor, cos: Tensor, sin: Tensor, direction: int = 1) -> Tensor:
    """Turn each pair of features by its angle, or back with direction -1. x: (B, H, T, D), cos, sin: (T, D/2)."""
    y = torch.empty_like(x)
    (first, second), (left, right) = x.chunk(2, dim=-1), y.chunk(2, dim=-1)
    torch.mul(first, cos, out=left).addcmul_(second, sin, value=-direction)
    torch.mul(second, cos, out=right).addcmul_(first, sin, value=direction)
    return y


class Rotation(torch.autograd.Function):
    """A rotation, and the one back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x: (B, H, T, D), cos, sin: (T, D/2) -> (B, H, T, D)."""
        ctx.save_for_backward(cos, sin)
        return rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """The gradient by x."""
        return rotated(grads[0], *ctx.saved_tensors, direction=-1), None, None
