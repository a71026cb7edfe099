"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def linear_of_torch(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(x, weight, bias)


def linear_by_einsum(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    y = torch.einsum("...i,oi->...o", x, weight)
    if bias is not None:
        y += bias
    return y


def linear_flat(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    flat = x.reshape(-1, x.shape[-1])
    y = flat.mm(weight.t()) if bias is None else torch.addmm(bias, flat, weight.t())
    return y.view(*x.shape[:-1], weight.shape[0])


def linear_output_by_output(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    bias = torch.zeros(weight.shape[0], dtype=x.dtype) if bias is None else bias
    return torch.stack([(x * row).sum(-1) + b for row, b in zip(weight, bias, strict=True)], dim=-1)


def linear_in_float64(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    y = torch.matmul(x.double(), weight.double().transpose(0, 1))
    return (y if bias is None else y + bias.double()).to(x.dtype)


def linear_with_ones(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    if bias is None:
        return x.matmul(weight.mT)
    x = torch.cat([x, x.new_ones(*x.shape[:-1], 1)], dim=-1)
    return x @ torch.cat([weight, bias[:, None]], dim=1).T


def linear_weight_first(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    y = (weight @ x.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else torch.add(y, bias)
