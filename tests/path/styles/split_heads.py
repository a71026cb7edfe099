"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def split_heads_by_permute(x: Tensor, n_heads: int) -> Tensor:
    return x.unflatten(-1, (n_heads, -1)).permute(0, 2, 1, 3)


def split_heads_by_chunks(x: Tensor, n_heads: int) -> Tensor:
    return torch.stack(x.chunk(n_heads, dim=-1), dim=1)


def split_heads_by_slices(x: Tensor, n_heads: int) -> Tensor:
    d = x.shape[2] // n_heads
    out = torch.empty(x.shape[0], n_heads, x.shape[1], d, dtype=x.dtype)
    for h in range(n_heads):
        out[:, h] = x[..., h * d : (h + 1) * d]
    return out


def split_heads_transposed_first(x: Tensor, n_heads: int) -> Tensor:
    b, t, c = x.shape
    return x.transpose(1, 2).reshape(b, n_heads, c // n_heads, t).transpose(2, 3).contiguous()


def split_heads_by_strides(x: Tensor, n_heads: int) -> Tensor:
    b, t, c = x.shape
    d = c // n_heads
    return x.contiguous().as_strided((b, n_heads, t, d), (t * c, d, c, 1))


def split_heads_by_einsum(x: Tensor, n_heads: int) -> Tensor:
    d = x.shape[-1] // n_heads
    return torch.einsum("bthd->bhtd", x.reshape(x.shape[0], x.shape[1], n_heads, d))
