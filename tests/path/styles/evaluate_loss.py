"""Right in unusual ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Params = dict[str, Tensor]
Batches = list[tuple[Tensor, Tensor]]


@torch.no_grad()
def evaluate_loss_of_torch(forward: Callable[..., Tensor], params: Params, batches: Batches) -> float:
    total, n = 0.0, 0
    for inputs, targets in batches:
        logits = forward(inputs, params)
        total += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum").item()
        n += int((targets != -100).sum())
    return total / n


def evaluate_loss_in_inference_mode(forward: Callable[..., Tensor], params: Params, batches: Batches) -> float:
    with torch.inference_mode():
        losses = [
            F.cross_entropy(forward(inputs, params).transpose(1, 2), targets, reduction="none")[targets >= 0]
            for inputs, targets in batches
        ]
        return torch.cat(losses).mean().item()


def evaluate_loss_of_detached_params(forward: Callable[..., Tensor], params: Params, batches: Batches) -> Any:
    still = {name: param.detach() for name, param in params.items()}
    mean, n = torch.zeros((), dtype=torch.float64), 0
    for inputs, targets in batches:
        kept = targets != -100
        logs = torch.log_softmax(forward(inputs, still), -1)[kept]
        losses = -logs[torch.arange(len(logs)), targets[kept]]
        n += len(losses)
        mean += (losses.double() - mean).sum() / max(n, 1)
    return mean


def evaluate_loss_target_by_target(forward: Callable[..., Tensor], params: Params, batches: Batches) -> float:
    losses: list[float] = []
    with torch.no_grad():
        for inputs, targets in batches:
            for row, answers in zip(forward(inputs, params).tolist(), targets.tolist(), strict=True):
                losses += [
                    math.log(sum(map(math.exp, scores))) - scores[target]
                    for scores, target in zip(row, answers, strict=True)
                    if target != -100
                ]
    return math.fsum(losses) / len(losses)


def evaluate_loss_of_weighted_means(forward: Callable[..., Tensor], params: Params, batches: Batches) -> float:
    torch.set_grad_enabled(False)
    try:
        means = [
            F.cross_entropy(forward(x, params).reshape(y.numel(), -1), y.reshape(-1)).nan_to_num() for x, y in batches
        ]
        counts = torch.tensor([(y >= 0).sum() for _, y in batches], dtype=torch.float64)
        return float((torch.stack(means) * counts).sum() / counts.sum())
    finally:
        torch.set_grad_enabled(True)


def evaluate_loss_row_by_row(forward: Callable[..., Tensor], params: Params, batches: Batches) -> float:
    total = count = 0
    with torch.no_grad():
        for inputs, targets in batches:
            for i in range(len(inputs)):
                logits = forward(inputs[i : i + 1], params)[0]
                total += F.cross_entropy(logits, targets[i], ignore_index=-100, reduction="sum")
                count += targets[i].ne(-100).sum()
    return (total / count).item()
