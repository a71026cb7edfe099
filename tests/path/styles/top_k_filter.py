"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def top_k_filter_by_a_full_sort(logits: Tensor, k: int) -> Tensor:
    if k >= logits.size(-1):
        return logits
    edge = torch.sort(logits, dim=-1, descending=True)[0][..., k - 1]
    return torch.where(logits >= edge.unsqueeze(-1), logits, torch.full_like(logits, -math.inf))


def top_k_filter_by_kthvalue(logits: Tensor, k: int) -> Tensor:
    size = logits.shape[-1]
    edge, _ = torch.kthvalue(logits, max(1, size - k + 1), dim=-1, keepdim=True)
    out = logits.clone()
    out[out < edge] = float("-inf")
    return out


def top_k_filter_with_an_additive_mask(logits: Tensor, k: int) -> Tensor:
    edge = torch.topk(logits, min(k, logits.shape[-1]), sorted=False)[0].min(dim=-1, keepdim=True)[0]
    mask = torch.zeros_like(logits).masked_fill(logits < edge, float("-inf"))
    return logits + mask


def top_k_filter_in_plain_python(logits: Tensor, k: int) -> Tensor:
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    kept = []
    for row in rows:
        edge = sorted(row, reverse=True)[:k][-1]
        kept.append([score if score >= edge else -math.inf for score in row])
    return torch.tensor(kept, dtype=logits.dtype).reshape(logits.shape)


def top_k_filter_by_counting_the_better_ones(logits: Tensor, k: int) -> Tensor:
    better = (logits.unsqueeze(-2) > logits.unsqueeze(-1)).sum(-1)
    return logits.masked_fill(better >= k, -math.inf)


def top_k_filter_one_maximum_after_the_other(logits: Tensor, k: int) -> Tensor:
    left, kept = logits.clone(), torch.zeros_like(logits, dtype=torch.bool)
    for _ in range(min(k, logits.shape[-1])):
        enough = kept.sum(-1, keepdim=True) >= k
        best = (left == left.amax(-1, keepdim=True)) & ~enough
        kept |= best
        left = left.masked_fill(best, -math.inf)
    return torch.where(kept, logits, -math.inf).to(logits.dtype)


def top_k_filter_padded(logits: Tensor, k: int) -> Tensor:
    padded = F.pad(logits, (0, k), value=-math.inf)
    return logits.masked_fill(logits < padded.topk(k, dim=-1).values[..., [-1]], -math.inf)
