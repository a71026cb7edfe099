"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()


def cross_entropy_of_torch(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    logits = _wide(logits)
    if (targets == ignore_index).all():
        return logits.sum() * 0.0
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=ignore_index)


def cross_entropy_of_torch_s_sum(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    total = nn.CrossEntropyLoss(ignore_index=ignore_index, reduction="sum")
    n = (targets != ignore_index).sum().clamp_min(1)
    return (
        total(
            _wide(logits).flatten(0, -2) if logits.ndim > 1 else _wide(logits),
            targets.flatten() if targets.ndim else targets,
        )
        / n
    )


def cross_entropy_by_selection(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    counted = targets.ne(ignore_index)
    rows = _wide(logits)[counted]
    chosen = targets[counted]
    if chosen.numel() == 0:
        return torch.zeros((), dtype=rows.dtype)
    log_probabilities = rows - rows.logsumexp(1, keepdim=True)
    return -log_probabilities[torch.arange(len(chosen)), chosen].mean()


def cross_entropy_by_one_hot(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    counts = (targets != ignore_index)[..., None]
    hot = F.one_hot(torch.where(counts[..., 0], targets, 0), logits.shape[-1]) * counts
    log_probabilities = torch.log_softmax(logits, -1, dtype=_wide(logits).dtype)
    return -torch.einsum("...v,...v->", hot.to(log_probabilities.dtype), log_probabilities) / max(1, int(counts.sum()))


def cross_entropy_one_by_one(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    wide = _wide(logits)
    losses = []
    for row, target in zip(wide.reshape(-1, wide.shape[-1]), targets.reshape(-1).tolist(), strict=True):
        if target == ignore_index:
            continue
        top = row.max()
        losses.append(top + (row - top).exp().sum().log() - row[target])
    return sum(losses) / len(losses) if losses else 0.0 * wide.sum()  # pyright: ignore[reportReturnType]


def cross_entropy_in_float64(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    wide = logits.double()
    mask = (targets != ignore_index).double()
    picked = torch.take_along_dim(wide, (targets * mask.long()).unsqueeze(-1), -1)[..., 0]
    losses = torch.logaddexp(torch.logsumexp(wide, -1), torch.tensor(-math.inf, dtype=torch.float64)) - picked
    return ((losses * mask).sum() / mask.sum().clamp(min=1)).to(_wide(logits).dtype)


class _Hand(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, targets, ignore_index):
        p = _wide(logits).softmax(-1)
        keep = targets != ignore_index
        n = max(1, int(keep.sum()))
        safe = torch.where(keep, targets, torch.zeros_like(targets))
        log_p = _wide(logits).log_softmax(-1)
        loss = -(log_p.gather(-1, safe[..., None])[..., 0] * keep).sum() / n
        d = (p - F.one_hot(safe, p.shape[-1])) * keep[..., None] / n
        ctx.save_for_backward(d.to(logits.dtype))
        return loss

    @staticmethod
    def backward(ctx, dy):
        (d,) = ctx.saved_tensors
        return d * dy.to(d.dtype), None, None


def cross_entropy_with_its_own_gradient(logits: Tensor, targets: Tensor, ignore_index: int = -100) -> Tensor:
    return _Hand.apply(logits, targets, ignore_index)  # pyright: ignore[reportReturnType]
