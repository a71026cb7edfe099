"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor

Tensors = list[Tensor]


def sgd_step_without_gradient(params: Tensors, grads: Tensors, lr: float) -> None:
    with torch.no_grad():
        for p, g in zip(params, grads, strict=False):
            p -= lr * g  # noqa: PLW2901 -- in place


def sgd_step_data(params: Tensors, grads: Tensors, lr: float) -> None:
    for i in range(len(params)):
        params[i].data = params[i].data - lr * grads[i]


def sgd_step_add(params: Tensors, grads: Tensors, lr: float) -> Tensors:
    for p, g in zip(params, grads, strict=True):
        p.add_(g, alpha=-lr)
    return params


def sgd_step_foreach(params: Tensors, grads: Tensors, lr: float) -> None:
    torch._foreach_sub_(params, torch._foreach_mul(grads, lr))


def sgd_step_slices(params: Tensors, grads: Tensors, lr: float) -> None:
    for p, g in zip(params, grads, strict=False):
        p[...] = p + (-lr) * g


def sgd_step_numpy(params: Tensors, grads: Tensors, lr: float) -> None:
    for p, g in zip(params, grads, strict=False):
        p.copy_(torch.from_numpy(p.double().numpy() - lr * g.double().numpy()))


def sgd_step_of_torch(params: Tensors, grads: Tensors, lr: float) -> None:
    for p, g in zip(params, grads, strict=False):
        leaf = p.detach().requires_grad_()
        leaf.grad = g.clone()
        torch.optim.SGD([leaf], lr=lr).step()


def sgd_step_of_an_optimizer(params: list[Tensor], grads: list[Tensor], lr: float) -> list[Tensor]:
    leaves = [param.detach().requires_grad_() for param in params]
    for leaf, grad in zip(leaves, grads, strict=True):
        leaf.grad = grad.clone()
    torch.optim.SGD(leaves, lr=lr).step()
    return params
