"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

Generator = torch.Generator | None


def dropout_by_bernoulli(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    mask = torch.bernoulli(torch.full(x.shape, 1 - p), generator=generator)
    return (x * mask.to(x.dtype)).div(1 - p)


def dropout_in_place_on_a_copy(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    out = x.clone()
    if training and p > 0:
        out[torch.rand(x.shape, generator=generator) < p] = 0
        out *= 1 / (1 - p) if p < 1 else 0.0
    return out


def dropout_of_torch(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    if generator is None:
        return F.dropout(x, p, training)
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(2**40, (), generator=generator)))
        return F.dropout(x, p, training)


def dropout_of_an_exact_number(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    if not training:
        return x
    order = torch.randperm(x.numel(), generator=generator)
    kept = torch.ones(x.numel(), dtype=x.dtype)
    kept[order[: round(p * x.numel())]] = 0
    return x * kept.view(x.shape) / max(1 - p, 1e-9)


def dropout_where(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    if not training:
        p = 0.0
    dropped = torch.empty(x.shape, dtype=torch.float64).uniform_(generator=generator) < p
    return torch.where(dropped, torch.zeros((), dtype=x.dtype), x / (1 - p) if p < 1 else torch.zeros_like(x))


def dropout_row_by_row(x: Tensor, p: float, training: bool = True, generator: Generator = None) -> Tensor:
    if p == 0 or training is False:
        return x.view(x.shape)
    keep = 1.0 - p
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        mask = (torch.rand(len(row), generator=generator) < keep).to(x.dtype)
        rows.append(row * mask / keep if keep > 0 else row * 0)
    return torch.stack(rows).reshape(x.shape)
