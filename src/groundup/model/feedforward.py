"""The feed-forward network: what a block does with each token by itself.

Attention moves information between tokens; this network then works on it, one token at a time: wider, bent, narrow
again. GPT-2 bends with GELU. Llama multiplies one linear layer by a bent other one, a gate (SwiGLU; GEGLU in Gemma).
ReLU² is the cheapest of all, and strong in small models.

Read next: `block.py`.
Sources: Hendrycks and Gimpel 2016 (GELU); Shazeer 2020 (GLU variants); So et al. 2021 (Primer), section 4 (ReLU²).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .linear import linear

if TYPE_CHECKING:
    from .config import ModelConfig
    from .parts import ModelParts


def gelu(x: Tensor) -> Tensor:
    """Gaussian error linear unit, in the tanh form of GPT-2: close to x above zero, close to 0 below.

    x: any shape; returns its shape and dtype.
    Source: Hendrycks and Gimpel 2016, section 2: ½ x (1 + tanh z) with z = √(2/π) (x + 0.044715 x³).
    """
    # ½ (1 + tanh z) is the sigmoid of 2z: a gate between 0 and 1, and three passes over x fewer.
    return x * torch.sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))


def feed_forward(
    x: Tensor, w_up: Tensor, b_up: Tensor | None, w_down: Tensor, b_down: Tensor | None, *, linear=linear, gelu=gelu
) -> Tensor:
    """Two linear layers with a GELU between them.

    x: (…, C), w_up: (F, C), b_up: (F,), w_down: (C, F), b_down: (C,) -> (…, C).
    """
    hidden = gelu(linear(x, w_up, b_up))  # (…, F)
    return linear(hidden, w_down, b_down)  # (…, C)


def swiglu(x: Tensor, w_gate: Tensor, w_up: Tensor, w_down: Tensor, *, linear=linear) -> Tensor:
    """A linear layer, gated by the SiLU of another one.

    x: (…, C), w_gate, w_up: (F, C), w_down: (C, F) -> (…, C).
    Source: Shazeer 2020, equation 6.
    """
    gate = linear(x, w_gate)  # (…, F)
    hidden = gate * torch.sigmoid(gate) * linear(x, w_up)  # (…, F)
    return linear(hidden, w_down)  # (…, C)


def mlp(
    x: Tensor,
    kind: str,
    w_up: Tensor,
    w_down: Tensor,
    w_gate: Tensor | None = None,
    b_up: Tensor | None = None,
    b_down: Tensor | None = None,
    *,
    linear=linear,
    gelu=gelu,
    feed_forward=feed_forward,
    swiglu=swiglu,
) -> Tensor:
    """A joint: the feed-forward network of the kind that the config asks for. x: (B, T, C) -> (B, T, C)."""
    if kind == "gelu":
        return feed_forward(x, w_up, b_up, w_down, b_down)
    if kind == "relu2":
        return linear(linear(x, w_up, b_up).relu().square(), w_down, b_down)
    assert w_gate is not None
    if kind == "swiglu":
        return swiglu(x, w_gate, w_up, w_down)
    return linear(gelu(linear(x, w_gate)) * linear(x, w_up), w_down)  # (B, T, C) geglu


class FeedForward(nn.Module):
    """The feed-forward network of one block, with its weights."""

    def __init__(self, config: ModelConfig, parts: ModelParts) -> None:
        super().__init__()
        self.parts, self.kind = parts, config.feed_forward
        c, f = config.d_model, config.hidden_width
        gated = config.feed_forward in ("swiglu", "geglu")
        self.w_gate = nn.Parameter(torch.empty(f, c)) if gated else None  # (F, C)
        self.w_up = nn.Parameter(torch.empty(f, c))  # (F, C)
        self.b_up = nn.Parameter(torch.zeros(f)) if config.bias else None  # (F,)
        self.w_down = nn.Parameter(torch.empty(c, f))  # (C, F)
        self.b_down = nn.Parameter(torch.zeros(c)) if config.bias else None  # (C,)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, T, C) -> (B, T, C)."""
        return self.parts.mlp(x, self.kind, self.w_up, self.w_down, self.w_gate, self.b_up, self.b_down)
