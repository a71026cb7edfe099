"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def greedy_by_max(logits: Tensor) -> Tensor:
    return torch.max(logits, dim=-1).indices


def greedy_by_loop(logits: Tensor) -> Tensor:
    best = []
    for row in logits.reshape(-1, logits.shape[-1]).tolist():
        at = 0
        for i, score in enumerate(row):
            if score > row[at]:
                at = i
        best.append(at)
    return torch.tensor(best).reshape(logits.shape[:-1])


def greedy_in_python(logits: Tensor) -> Tensor | int:
    if logits.ndim == 1:
        scores = logits.tolist()
        return scores.index(max(scores))
    return torch.stack([torch.as_tensor(greedy_in_python(row)) for row in logits])


def greedy_of_equal_ones(logits: Tensor) -> Tensor:
    is_best = logits == logits.amax(-1, keepdim=True)
    ids = torch.arange(logits.shape[-1]).expand_as(logits)
    return ids.masked_fill(~is_best, logits.shape[-1]).amin(-1)


def greedy_by_sorting(logits: Tensor) -> Tensor:
    return torch.sort(logits, dim=-1, descending=True, stable=True)[1].select(-1, 0).int()


def greedy_with_numpy(logits: Tensor) -> Tensor:
    return torch.as_tensor(logits.float().numpy().argmax(axis=-1))
