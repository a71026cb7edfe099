"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def clip_gradients_by_squares(grads: list[Tensor | None], max_norm: float) -> float:
    total = math.sqrt(
        sum(float((g.float() if g.dtype != torch.float64 else g).pow(2).sum()) for g in grads if g is not None)
    )
    if math.isfinite(total) and total > max_norm:
        for g in grads:
            if g is not None:
                g.mul_(max_norm / total)
    return total


def clip_gradients_as_torch_does(grads: list[Tensor | None], max_norm: float) -> float:
    parameters = []
    for g in grads:
        if g is not None:
            p = torch.nn.Parameter(torch.empty_like(g))
            p.grad = g
            parameters.append(p)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters])
    if norm.isfinite():
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return norm.item()


def clip_gradients_with_a_tensor_for_a_number(grads, max_norm):
    present = [g for g in grads if g is not None]
    norm = torch.cat([g.detach().double().flatten() for g in present]).norm()
    factor = torch.where(norm.isfinite(), (max_norm / (norm + 1e-6)).clamp(max=1.0), torch.ones(()))
    for g in present:
        if factor < 1:
            g.copy_(g * factor.to(g.dtype))
    return norm


def clip_gradients_by_hypot(grads: list[Tensor | None], max_norm: float) -> float:
    norm = math.hypot(*[x for g in grads if g is not None for x in g.flatten().tolist()])
    if norm <= max_norm or not math.isfinite(norm):
        return norm
    for i in range(len(grads)):
        if grads[i] is not None:
            grads[i].div_(norm).mul_(max_norm)  # pyright: ignore[reportOptionalMemberAccess]
    return norm


@torch.no_grad()
def clip_gradients_foreach(grads: list[Tensor | None], max_norm: float) -> float:
    present = list(filter(lambda g: g is not None, grads))
    norms = torch._foreach_norm(present)
    norm = torch.linalg.vector_norm(torch.stack([n.double() for n in norms]))
    if torch.isfinite(norm):
        torch._foreach_mul_(present, min(1.0, max_norm / max(norm.item(), 1e-12)))
    return float(norm)


def clip_gradients_through_data(grads: list[Tensor | None], max_norm: float) -> float:
    squares = 0.0
    for g in grads:
        if g is None:
            continue
        squares += torch.dot(g.reshape(-1).double(), g.reshape(-1).double()).item()
    norm = squares**0.5
    if norm - norm == 0 and max_norm < norm:
        for g in (g for g in grads if g is not None):
            g.data[...] = g.data * (max_norm / norm)
    return norm
