"""The feed-forward network with its bend in one pass. Equals `model.feedforward.mlp`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from .linear import fused_linear, linear_gelu


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
    if kind == "gelu":
        hidden = linear_gelu(x, w_up, b_up)  # (B, T, F)
    elif kind == "relu2":
        hidden = functional.relu(fused_linear(x, w_up, b_up)).square()  # (B, T, F)
    else:
        assert w_gate is not None
        gate = functional.silu(fused_linear(x, w_gate)) if kind == "swiglu" else linear_gelu(x, w_gate)  # (B, T, F)
        hidden = fused_linear(x, w_up, b_up) * gate  # (B, T, F)
    return fused_linear(hidden, w_down, b_down)
