"""Normalisation: keep the size of the activations in hand, however deep the model is.

Layer normalisation shifts each token's features to mean 0 and scales them to variance 1, then lets the model choose its
own scale and shift. RMS normalisation leaves the shift out, which costs nothing in quality and is what Llama and its
successors use. Neither looks at other tokens.

Read next: `feedforward.py`.
Sources: Ba et al. 2016, section 3; Zhang and Sennrich 2019 (RMSNorm), section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from .config import ModelConfig
    from .parts import ModelParts


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Mean 0 and variance 1 over the last axis, then scale and shift.

    x: (…, C), weight: (C,), bias: (C,) or None -> (…, C), in x's dtype. Computed in float32 at least.
    """
    wide = x if x.dtype == torch.float64 else x.float()  # (…, C)
    mean = wide.mean(dim=-1, keepdim=True)  # (…, 1)
    centred = wide - mean  # (…, C)
    variance = (centred * centred).mean(dim=-1, keepdim=True)  # (…, 1) biased: divided by C, not by C - 1
    normed = centred * torch.rsqrt(variance + eps) * weight  # (…, C)
    return (normed if bias is None else normed + bias).to(x.dtype)


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    """Divide by the root mean square over the last axis, then scale.

    x: (…, C), weight: (C,) -> (…, C). Computed in float32 at least: squares of bfloat16 lose too much.
    """
    wide = x if x.dtype == torch.float64 else x.float()  # (…, C)
    mean_square = (wide * wide).mean(dim=-1, keepdim=True)  # (…, 1)
    normed = wide * torch.rsqrt(mean_square + eps)  # (…, C)
    return (normed.to(x.dtype) * weight).to(x.dtype)


def residual_norm(
    x: Tensor,
    branch: Tensor | None,
    weight: Tensor,
    bias: Tensor | None,
    eps: float,
    kind: str,
    *,
    layer_norm=layer_norm,
    rms_norm=rms_norm,
) -> tuple[Tensor, Tensor]:
    """A joint: add a branch's output to the residual stream, and normalise the sum for the next branch.

    x, branch: (B, T, C) -> the stream (B, T, C) and its norm (B, T, C). kind: "layer" or "rms".
    """
    if branch is not None:
        x = x + branch  # (B, T, C)
    normed = layer_norm(x, weight, bias, eps) if kind == "layer" else rms_norm(x, weight, eps)  # (B, T, C)
    return x, normed


class Norm(nn.Module):
    """One normalisation with its own scale (and shift, for layer norm with biases)."""

    def __init__(self, config: ModelConfig, parts: ModelParts) -> None:
        super().__init__()
        self.parts, self.kind, self.eps = parts, config.norm, config.eps
        self.weight = nn.Parameter(torch.ones(config.d_model))  # (C,)
        has_bias = config.norm == "layer" and config.bias
        self.bias = nn.Parameter(torch.zeros(config.d_model)) if has_bias else None  # (C,)

    def forward(self, x: Tensor, branch: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The residual stream with `branch` added, and its norm, both (B, T, C)."""
        return self.parts.residual_norm(x, branch, self.weight, self.bias, self.eps, self.kind)
