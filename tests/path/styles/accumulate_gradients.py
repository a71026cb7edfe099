"""Right in unusual ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Loss = Callable[[Any], tuple[Tensor, int]]


def accumulate_gradients_then_divided(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    for param in params:
        param.grad = None
    total, n_tokens = 0.0, 0
    for micro_batch in micro_batches:
        loss, n = loss_fn(micro_batch)
        loss.backward()
        total += loss.item()
        n_tokens += n
    for param in params:
        if param.grad is not None:
            param.grad /= n_tokens
    return total / n_tokens


def accumulate_gradients_of_one_graph(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    torch.optim.SGD(params, lr=0.1).zero_grad()
    pairs = [loss_fn(micro_batch) for micro_batch in micro_batches]
    mean = sum(loss for loss, _ in pairs) / sum(n for _, n in pairs)
    mean.backward()
    return mean.item()


def accumulate_gradients_counting_first(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    with torch.no_grad():
        n_tokens = sum(loss_fn(micro_batch)[1] for micro_batch in micro_batches)
    for param in params:
        if param.grad is not None:
            param.grad.zero_()
    mean = 0.0
    for micro_batch in micro_batches:
        loss = loss_fn(micro_batch)[0] / n_tokens
        loss.backward()
        mean += loss.detach().item()
    return mean


def accumulate_gradients_by_autograd_grad(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    sums = [torch.zeros_like(param, dtype=torch.float64) for param in params]
    total, n_tokens = torch.zeros((), dtype=torch.float64), 0
    for micro_batch in reversed(micro_batches):
        loss, n = loss_fn(micro_batch)
        for one, gradient in zip(sums, torch.autograd.grad(loss, params, allow_unused=True), strict=True):
            one.add_(0 if gradient is None else gradient)
        total += loss.detach()
        n_tokens += n
    for param, one in zip(params, sums, strict=True):
        param.grad = (one / n_tokens).to(param.dtype)
    return (total / n_tokens).item()


def accumulate_gradients_of_weighted_means(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    """A running mean: what is there shrinks by the share of the new tokens."""
    mean, n_tokens = 0.0, 0
    for param in params:
        param.grad = torch.zeros_like(param)
    for micro_batch in micro_batches:
        loss, n = loss_fn(micro_batch)
        if n == 0:
            continue
        share = n / (n_tokens + n)
        for param in params:
            param.grad.mul_(1 - share)  # pyright: ignore[reportOptionalMemberAccess] -- just made
        (share * loss / n).backward()
        mean += share * (loss.item() / n - mean)
        n_tokens += n
    return mean


def accumulate_gradients_by_weights_of_one(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    for param in params:
        param.grad = None
    losses, counts = zip(*map(loss_fn, micro_batches), strict=True)
    n_tokens = torch.tensor(counts).sum()
    torch.autograd.backward(losses, [torch.ones_like(loss) / n_tokens for loss in losses])
    return torch.stack(losses).sum().div(n_tokens).item()


def accumulate_gradients_backward_once_from_all(loss_fn: Loss, params: list[Tensor], micro_batches: list) -> float:
    for param in params:
        if param.grad is not None:
            param.grad.detach_().zero_()
    pairs = [loss_fn(one) for one in micro_batches]
    n = sum(int(count) for _, count in pairs)
    torch.autograd.backward([loss for loss, _ in pairs], [torch.full_like(loss, 1 / n) for loss, _ in pairs])
    return sum(float(loss.detach()) for loss, _ in pairs) / n
