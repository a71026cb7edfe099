"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax_of_torch(x: Tensor, dim: int = -1) -> Tensor:
    return F.softmax(x, dim=dim).nan_to_num(0.0)


def softmax_by_logsumexp(x: Tensor, dim: int = -1) -> Tensor:
    total = torch.logsumexp(x, dim, keepdim=True)
    return torch.exp(x - torch.where(total == -math.inf, 0.0, total))


def softmax_row_by_row(x: Tensor, dim: int = -1) -> Tensor:
    rows = x.movedim(dim, -1)
    out = []
    for row in rows.reshape(-1, rows.shape[-1]).double():
        if bool((row == -math.inf).all()):
            out.append(torch.zeros_like(row))
            continue
        shifted = torch.exp(row - torch.max(row).item())
        out.append(shifted / sum(shifted))
    return torch.stack(out).reshape(rows.shape).movedim(-1, dim).to(x.dtype)


def softmax_in_float32(x: Tensor, dim: int = -1) -> Tensor:
    y = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    e = (y - y.max(dim, keepdim=True)[0].clamp_min(-1e30)).exp()
    return e.div(e.sum(dim, keepdim=True).clamp_min(1e-30)).to(x.dtype)
