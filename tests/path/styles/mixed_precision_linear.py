"""Right in unusual ways."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def mixed_precision_linear_of_torch(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    return F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype) if bias is not None else None).to(x.dtype)


def mixed_precision_linear_by_einsum(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    y = torch.einsum("...i,oi->...o", x.to(dtype), weight.to(dtype))
    if bias is not None:
        y += bias.to(dtype)
    return y.type(x.dtype)


def mixed_precision_linear_of_rounded_float32(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    """The inputs rounded to dtype, the sum in float32, and that rounded again, as hardware does it."""
    y = x.to(dtype).float() @ weight.to(dtype).float().T
    if bias is not None:
        y = y + bias.to(dtype).float()
    return y.to(dtype).to(x.dtype)


def mixed_precision_linear_output_by_output(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    narrow = x.to(dtype)
    columns = [(narrow * row.to(dtype)).sum(-1) for row in weight]
    if bias is not None:
        columns = [column + b for column, b in zip(columns, bias.to(dtype), strict=True)]
    return torch.stack(columns, -1).to(x.dtype)


def mixed_precision_linear_term_by_term(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    """Every sum in the narrow dtype, one product after the other."""
    narrow_x, narrow_weight = x.to(dtype), weight.to(dtype)
    y = torch.zeros(*x.shape[:-1], weight.shape[0], dtype=dtype)
    if bias is not None:
        y = y + bias.to(dtype)
    for i in range(x.shape[-1]):
        y = y + narrow_x[..., i, None] * narrow_weight[:, i]
    return y.to(x.dtype)


def mixed_precision_linear_flat(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    flat = x.reshape(-1, x.shape[-1]).to(dtype)
    w = weight.to(dtype).t()
    y = flat.mm(w) if bias is None else torch.addmm(bias.to(dtype), flat, w)
    return y.view(*x.shape[:-1], -1).to(x.dtype)


def mixed_precision_linear_under_autocast(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    if dtype == torch.float32 or x.dtype == torch.float64:  # autocast leaves these as they are
        b = None if bias is None else bias.to(dtype)
        return F.linear(x.to(dtype), weight.to(dtype), b).to(x.dtype)
    with torch.autocast("cpu", dtype):
        y = F.linear(x, weight, bias)
    return y.to(x.dtype)


class _Narrow(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.was = x.dtype
        return x.to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0].to(ctx.was), None


def mixed_precision_linear_by_own_backward(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
) -> Tensor:
    def narrow(tensor: Tensor) -> Any:
        return _Narrow.apply(tensor, dtype)

    y = torch.matmul(narrow(x), narrow(weight).mT)
    return (y if bias is None else y + narrow(bias)).to(x.dtype)
