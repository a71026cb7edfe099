"""The numbers of the text on accumulating gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .accumulate_gradients import accumulate_gradients

SHORT, LONG = torch.tensor([2.0]), torch.ones(3)
FEW, MANY = 10, 990  # tokens of two micro-batches


def numbers() -> dict[str, Any]:
    """One weight, and two micro-batches of unequal size: the sums of each, and of both."""
    sums = [_sums([one]) for one in (SHORT, LONG)]
    mean, right = _means([SHORT, LONG])
    of_each = [_means([one]) for one in (SHORT, LONG)]
    return {
        "n": [len(SHORT), len(LONG)],
        "loss": [loss for loss, _ in sums],
        "grad": [grad for _, grad in sums],
        "tokens": len(SHORT) + len(LONG),
        "total": sum(loss for loss, _ in sums),
        "whole": sum(grad for _, grad in sums),
        "mean": mean,
        "right": right,
        "mean_of_means": sum(loss for loss, _ in of_each) / 2,
        "wrong": sum(grad for _, grad in of_each) / 2,
        "few": FEW,
        "many": MANY,
    }


def prediction() -> float:
    """How much more a token of the small micro-batch weighs in the mean of means."""
    return (1 / FEW / 2) / (1 / MANY / 2)


def _means(micro_batches: list[Tensor]) -> tuple[float, float]:
    """The mean loss and its gradient, with a weight of 1 and a loss of (weight · x)²."""
    weight = torch.ones((), requires_grad=True)
    mean = accumulate_gradients(lambda x: ((weight * x).square().sum(), len(x)), [weight], micro_batches)
    return mean, 0.0 if weight.grad is None else weight.grad.item()


def _sums(micro_batches: list[Tensor]) -> tuple[float, float]:
    mean, gradient = _means(micro_batches)
    n = sum(map(len, micro_batches))
    return mean * n, gradient * n
