"""Right in unusual ways."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def bent(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


def feed_forward_of_torch(x, w_up, b_up, w_down, b_down) -> Tensor:
    return F.linear(F.gelu(F.linear(x, w_up, b_up), approximate="tanh"), w_down, b_down)


def feed_forward_plain(x, w_up, b_up, w_down, b_down) -> Tensor:
    return bent(x @ w_up.T + b_up) @ w_down.T + b_down


def feed_forward_by_einsum(x, w_up, b_up, w_down, b_down) -> Tensor:
    hidden = bent(torch.einsum("...c,fc->...f", x, w_up) + b_up)
    return torch.einsum("...f,cf->...c", hidden, w_down).add_(b_down)


def feed_forward_feature_by_feature(x, w_up, b_up, w_down, b_down) -> Tensor:
    out = b_down.expand(x.shape).clone()
    for f in range(len(w_up)):
        hidden = bent((x * w_up[f]).sum(-1, keepdim=True) + b_up[f])
        out = out + hidden * w_down[:, f]
    return out


def feed_forward_columns(x, w_up, b_up, w_down, b_down) -> Tensor:
    flat = x.reshape(-1, x.shape[-1]).T
    hidden = bent(torch.addmm(b_up[:, None], w_up, flat))
    return torch.addmm(b_down[:, None], w_down, hidden).T.reshape(x.shape)


def feed_forward_with_ones(x, w_up, b_up, w_down, b_down) -> Tensor:
    def with_one(y: Tensor) -> Tensor:
        return torch.cat((y, torch.ones_like(y[..., :1])), -1)

    hidden = bent(with_one(x) @ torch.cat((w_up, b_up[:, None]), 1).mT)
    return with_one(hidden) @ torch.cat((w_down, b_down[:, None]), 1).mT


def feed_forward_in_double(x, w_up, b_up, w_down, b_down) -> Tensor:
    layers = nn.Sequential(nn.Linear(1, 1), nn.GELU(approximate="tanh"), nn.Linear(1, 1))
    names = ("0.weight", "0.bias", "2.weight", "2.bias")
    tensors = {name: one.double() for name, one in zip(names, (w_up, b_up, w_down, b_down), strict=True)}
    return torch.func.functional_call(layers, tensors, (x.double(),)).to(x.dtype)
