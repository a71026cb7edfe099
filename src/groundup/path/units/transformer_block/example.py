"""The numbers of the text on the transformer block."""

from __future__ import annotations

import math
from typing import Any

import torch

from ..gelu.gelu import gelu
from ..layer_norm.layer_norm import layer_norm
from .transformer_block import transformer_block

BLOCKS = 12


def numbers() -> dict[str, Any]:
    """One token with two features, on its way through a block whose matrices leave everything as it is."""
    x, one, zero, same = torch.tensor([3.0, 1.0]), torch.ones(2), torch.zeros(2), torch.eye(2)
    p = {"ln1.weight": one, "ln2.weight": one, "mlp.w_up": same, "mlp.w_down": same}
    p |= {f"attn.w_{name}": same for name in "qkvo"}
    ln1 = layer_norm(x, one, zero)
    ln2 = layer_norm(x + ln1, one, zero)
    y = transformer_block(x.view(1, 1, 2), p, 1)[0, 0]
    assert torch.allclose(y, x + ln1 + gelu(ln2))
    return {
        "x": x.tolist(),
        "ln1": ln1.tolist(),
        "attended": ln1.tolist(),
        "after": (x + ln1).tolist(),
        "ln2": ln2.tolist(),
        "thought": gelu(ln2).tolist(),
        "y": y.tolist(),
        "branches": 2 * BLOCKS,
        "narrow": 1 / math.sqrt(2 * BLOCKS),
    }


def prediction() -> float:
    """The standard deviation of a sum of independent terms, each with a standard deviation of 1."""
    return math.sqrt(1 + 2 * BLOCKS)
