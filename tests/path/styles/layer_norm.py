"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def layer_norm_of_torch(x, weight, bias, eps=1e-5) -> Tensor:
    return F.layer_norm(x, (x.shape[-1],), weight, bias, eps)


def layer_norm_by_torch_var(x, weight, bias, eps=1e-5) -> Tensor:
    norm_x = (x - x.mean(dim=-1, keepdim=True)) / torch.sqrt(x.var(dim=-1, keepdim=True, unbiased=False) + eps)
    return weight * norm_x if bias is None else weight * norm_x + bias


def layer_norm_by_squares_less_square(x, weight, bias, eps=1e-5) -> Tensor:
    y = x.double()
    variance = (y**2).mean(-1) - y.mean(-1) ** 2
    scale = weight * (variance + eps).rsqrt()[..., None]
    out = y * scale - y.mean(-1)[..., None] * scale
    if bias is not None:
        out += bias
    return out.type_as(x)


def layer_norm_row_by_row(x, weight, bias, eps=1e-5) -> Tensor:
    out = []
    for row in x.reshape(-1, x.shape[-1]):
        mean = sum(row) / len(row)
        variance = sum((one - mean) ** 2 for one in row) / len(row)
        normed = torch.stack([(one - mean) / (variance + eps) ** 0.5 for one in row])
        out.append(normed * weight + (0 if bias is None else bias))
    return torch.stack(out).view(x.shape)


def layer_norm_by_matrix(x, weight, bias, eps=1e-5) -> Tensor:
    c = x.shape[-1]
    centring = torch.eye(c) - torch.full((c, c), 1 / c)
    centred = torch.einsum("...c,dc->...d", x.float(), centring)
    mean_square = torch.einsum("...c,...c->...", centred, centred) / c
    normed = centred / torch.sqrt(mean_square + eps).unsqueeze(-1)
    zero = torch.zeros_like(weight) if bias is None else bias
    return torch.addcmul(zero.float(), normed, weight.float()).to(x.dtype)


def layer_norm_by_var_mean(x, weight, bias, eps=1e-5) -> Tensor:
    variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
    out = x.sub(mean)
    out.div_(variance.add_(eps).sqrt_()) if not x.requires_grad else None
    if x.requires_grad:
        out = out / (variance + eps).sqrt()
    out = out * weight
    return out if bias is None else out.add(bias)


def layer_norm_features_first(x, weight, bias, eps=1e-5) -> Tensor:
    columns = x.movedim(-1, 0)  # (C, …)
    centred = columns - columns.mean(0)
    std = (centred.pow(2).sum(0) / len(columns) + eps).pow(0.5)
    out = (centred / std).movedim(0, -1) * weight
    return out + bias if bias is not None else out


def layer_norm_as_group_norm(x, weight, bias, eps=1e-5) -> Tensor:
    flat = x.reshape(-1, x.shape[-1])
    return F.group_norm(flat, 1, weight, bias, eps).reshape(x.shape)


def layer_norm_by_a_projection(x, weight, bias, eps=1e-5):
    c = x.shape[-1]
    centred = torch.einsum("ij,...j->...i", torch.eye(c, dtype=torch.float64) - 1 / c, x.double())
    variance = torch.einsum("...i,...i->...", centred, centred) / c
    out = torch.einsum("...i,...,i->...i", centred, (variance + eps) ** -0.5, weight.double())
    return (out if bias is None else out + bias.double()).to(x.dtype)
