"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_weights_by_einsum(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.size(-1) ** -0.5
    if mask is not None:
        scores = torch.where(mask, scores, float("-inf"))
    return torch.nan_to_num(F.softmax(scores, dim=-1))


def attention_weights_with_added_mask(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = torch.matmul(q, k.transpose(-1, -2)) / math.sqrt(q.shape[-1])
    if mask is None:
        return scores.softmax(-1)
    bias = torch.zeros(mask.shape, dtype=q.dtype).masked_fill_(mask.logical_not(), -math.inf)
    return (scores + bias).softmax(-1).masked_fill(~mask.any(-1, keepdim=True), 0.0)


def attention_weights_in_float64(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    a = q.double() @ k.double().swapaxes(-2, -1)
    a = a / q.shape[-1] ** 0.5
    if mask is not None:
        a = a.masked_fill(mask == 0, torch.finfo(a.dtype).min)
    a = torch.exp(a - a.max(-1, keepdim=True).values)
    if mask is not None:
        a = a * mask
    return (a / a.sum(-1, keepdim=True).clamp(min=1e-30)).to(q.dtype)


def attention_weights_both_scaled(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    root = q.shape[-1] ** 0.25
    scores = (q / root) @ (k / root).mT
    if mask is not None:
        scores[~mask.expand_as(scores)] = -math.inf
    total = torch.logsumexp(scores, -1, keepdim=True)
    return (scores - total.nan_to_num(neginf=0.0)).exp()


def attention_weights_query_by_query(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    rows = []
    for i in range(q.shape[-2]):
        scores = (q[..., i : i + 1, :] * k).sum(-1) / math.sqrt(q.shape[-1])  # (…, S)
        if mask is not None:
            row = mask[..., i if mask.shape[-2] > 1 else 0, :]
            scores = scores.masked_fill(~row, -math.inf)
        rows.append(torch.softmax(scores, -1).nan_to_num(0.0))
    return torch.stack(rows, -2)


def attention_weights_transposed_twice(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = (k @ q.transpose(-2, -1)).transpose(-2, -1).div(q.shape[-1] ** 0.5)
    if mask is not None:
        scores = scores.masked_fill(torch.logical_not(mask), float("-inf"))
    safe = torch.where(scores.isneginf().all(-1, keepdim=True), torch.zeros_like(scores), scores)
    out = F.softmax(safe, -1, dtype=torch.float32 if q.dtype == torch.bfloat16 else None).to(q.dtype)
    return torch.where(scores.isneginf().all(-1, keepdim=True), torch.zeros_like(out), out)


def attention_weights_of_torch(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """What attention gives for values that are the rows of an identity are its weights."""
    identity = torch.eye(k.shape[-2], dtype=k.dtype).expand(*k.shape[:-1], k.shape[-2])
    return F.scaled_dot_product_attention(q, k, identity, attn_mask=mask).nan_to_num()
