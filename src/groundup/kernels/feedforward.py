"""The feed-forward network with its bend in one pass. Equals `model.feedforward.mlp`."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


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
        hidden = functional.gelu(up, approximate="tanh")  # (B, T, F)
    elif kind == "relu2":
        hidden = functional.relu(up).square()  # (B, T, F)
    else:
        assert w_gate is not None
        gate = functional.linear(x, w_gate)  # (B, T, F)
        hidden = up * (functional.silu(gate) if kind == "swiglu" else functional.gelu(gate, approximate="tanh"))
    return functional.linear(hidden, w_down, b_down)
