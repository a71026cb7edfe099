"""Normalisation in one pass over the features instead of six.

Equals `model.norm.residual_norm` and `model.norm.rms_norm`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def fused_rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """x: (…, C), weight: (C,) -> (…, C)."""
    if x.dtype in (torch.float16, torch.bfloat16):  # squares of short floats lose too much, as in the plain part
        return (functional.rms_norm(x.float(), weight.shape, None, eps).to(x.dtype) * weight).to(x.dtype)
    return functional.rms_norm(x, weight.shape, weight, eps)


def fused_residual_norm(
    x: Tensor, branch: Tensor | None, weight: Tensor, bias: Tensor | None, eps: float, kind: str
) -> tuple[Tensor, Tensor]:
    """The stream with the branch added, and its norm. x, branch: (B, T, C) -> twice (B, T, C)."""
    if branch is not None:
        x = x + branch
    if kind == "layer":
        return x, functional.layer_norm(x, weight.shape, weight, bias, eps)
    return x, fused_rms_norm(x, weight, eps)
