"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def merge_heads_by_permute(x: Tensor) -> Tensor:
    b, h, t, d = x.shape
    return x.permute(0, 2, 1, 3).contiguous().view(b, t, h * d)


def merge_heads_by_cat(x: Tensor) -> Tensor:
    return torch.cat(x.unbind(1), dim=-1)


def merge_heads_by_slices(x: Tensor) -> Tensor:
    b, h, t, d = x.shape
    out = torch.zeros((b, t, h * d), dtype=x.dtype)
    for i in range(h):
        out[:, :, i * d : (i + 1) * d] = x[:, i]
    return out


def merge_heads_token_by_token(x: Tensor) -> Tensor:
    return torch.stack([x[:, :, i].flatten(1) for i in range(x.shape[2])], dim=1)


def merge_heads_by_einsum(x: Tensor) -> Tensor:
    y = torch.einsum("bhtd->bthd", x)
    return y.reshape(y.shape[0], y.shape[1], y.shape[2] * y.shape[3])


def merge_heads_back_and_forth(x: Tensor) -> Tensor:
    return x.mT.flatten(1, 2).mT
