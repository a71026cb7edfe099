"""Position: attention by itself cannot tell "dog bites man" from "man bites dog".

Three ways to tell a model where a token stands. Learned positions are a table (`embedding.py`). Sinusoidal positions
are a fixed table of waves, from fast to slow, added to the embedding. Rotary positions turn each pair of features of
every query and key by an angle that grows with the place, so that the product of two of them depends on their distance
alone; nothing is added to the stream.

Read next: `attention.py`.
Sources: Vaswani et al. 2017, section 3.5; Su et al. 2021 (RoFormer), section 3.4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ShapeError


def sinusoidal_positions(context_length: int, d_model: int) -> Tensor:
    """A table of waves: sine in the even columns, cosine in the odd ones, wavelengths from 2π to 10000 · 2π.

    Returns (L, C). Raises ShapeError, which is a ValueError, when d_model is odd.
    """
    if d_model % 2:
        raise ShapeError(f"d_model is {d_model}: sine and cosine need an even width", where="sinusoidal_positions")
    positions = torch.arange(context_length, dtype=torch.float32)  # (L,)
    frequencies = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float32) / d_model)  # (C/2,)
    angles = positions[:, None] * frequencies  # (L, C/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # (L, C)


def rope(x: Tensor, positions: Tensor, theta: float = 10000.0, frequencies: Tensor | None = None) -> Tensor:
    """Turn each pair of features by an angle that grows with its position.

    x: (B, H, T, D) with D even, positions: (T,). Returns x's shape and dtype. The pairs are feature i and feature
    i + D/2, as in Llama's Hugging Face form. frequencies (D/2,), when given, stand in for those of theta.
    Raises ShapeError when D is odd.
    Source: Su et al. 2021 (RoFormer), section 3.4.2, equation 34.
    """
    d_head = x.shape[-1]
    if d_head % 2:
        raise ShapeError(f"heads are {d_head} wide: rotation needs pairs", where="rope", fix="use an even head width")
    # In float32 at least: rounded to bfloat16, places a few hundred tokens on would have the same angle.
    wide = torch.promote_types(x.dtype, torch.float32)
    if frequencies is None:
        powers = torch.arange(0, d_head, 2, dtype=wide, device=x.device) / d_head  # (D/2,)
        frequencies = theta**-powers  # (D/2,)
    angles = positions.to(wide)[:, None] * frequencies  # (T, D/2)
    cos = torch.cat([angles.cos(), angles.cos()], dim=-1).to(x.dtype)  # (T, D)
    sin = torch.cat([angles.sin(), angles.sin()], dim=-1).to(x.dtype)  # (T, D)
    first, second = x.chunk(2, dim=-1)  # (B, H, T, D/2)
    turned = torch.cat([-second, first], dim=-1)  # (B, H, T, D) a quarter turn of every pair
    return x * cos + turned * sin
