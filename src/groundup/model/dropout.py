"""Dropout: switch features off at random while training, so that no feature is relied upon alone.

What survives is scaled up by 1 / (1 - p), so that the expected value stays the same and nothing has to change when the
model is used. Small models that see little of their data twice do better without it; the presets ship with 0.

Source: Srivastava et al. 2014, section 4; "inverted" scaling as everybody writes it today.
"""

from __future__ import annotations

import torch
from torch import Tensor


def dropout(x: Tensor, p: float, training: bool = True, generator: torch.Generator | None = None) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p).

    x: any shape; returns its shape and dtype. Not training, or p = 0: x itself. p = 1: zeros.
    """
    if not training or p == 0:
        return x
    if p >= 1:
        return torch.zeros_like(x)
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= p  # (…)
    return x * kept / (1 - p)
