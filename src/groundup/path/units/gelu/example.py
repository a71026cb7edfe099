"""The numbers of the text on the GELU."""

from __future__ import annotations

import math
from typing import Any

import torch

from .gelu import gelu

KNOWN = 1.5


def numbers() -> dict[str, Any]:
    """Five numbers with their gates, one of them step by step, and where the curve is lowest."""
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    inner = math.sqrt(2 / math.pi) * (1 + 0.044715)
    gate = (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    line = torch.linspace(-3.0, 0.0, 3001)
    return {
        "x": x.tolist(),
        "gate": gate.tolist(),
        "y": gelu(x).tolist(),
        "relu": x.relu().tolist(),
        "inner": inner,
        "bent": math.tanh(inner),
        "lowest": line[gelu(line).argmin()].item(),
        "dip": gelu(line).min().item(),
        "known": gelu(torch.tensor(KNOWN)).item(),
    }


def prediction() -> float:
    """GELU of the negative number."""
    return gelu(torch.tensor(-KNOWN)).item()
