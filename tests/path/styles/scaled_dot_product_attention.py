"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def scaled_dot_product_attention_of_torch(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    if mask is not None:
        out = torch.where(mask.any(-1, keepdim=True), out, torch.zeros_like(out))
    return out


def scaled_dot_product_attention_by_einsum(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = torch.einsum("...td,...sd->...ts", q, k) / math.sqrt(q.size(-1))
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf)
    weights = torch.nan_to_num(torch.softmax(scores, dim=-1))
    return torch.einsum("...ts,...sd->...td", weights, v)


def scaled_dot_product_attention_divided_last(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = q.float() @ k.float().mT * (1 / math.sqrt(q.shape[-1]))
    if q.dtype == torch.float64:
        scores = q @ k.mT * (1 / math.sqrt(q.shape[-1]))
    if mask is not None:
        scores = scores.masked_fill(mask.logical_not(), -math.inf)
    e = (scores - scores.amax(-1, keepdim=True).nan_to_num(neginf=0.0)).exp()
    return (e @ v.to(e.dtype) / e.sum(-1, keepdim=True).clamp_min(1e-20)).to(q.dtype)


def scaled_dot_product_attention_query_by_query(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    out = torch.zeros(*q.shape[:-1], v.shape[-1], dtype=q.dtype)
    for i in range(q.shape[-2]):
        scores = (k * q[..., i, :].unsqueeze(-2)).sum(-1) / q.shape[-1] ** 0.5  # (…, S)
        if mask is not None:
            scores = scores.masked_fill(~mask[..., min(i, mask.shape[-2] - 1), :], -math.inf)
        weights = scores.softmax(-1).nan_to_num(0.0)
        out[..., i, :] = (weights.unsqueeze(-1) * v).sum(-2)
    return out


def scaled_dot_product_attention_of_allowed_keys(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    t, s = q.shape[-2], k.shape[-2]
    seen = (torch.ones(t, s, dtype=torch.bool) if mask is None else mask).expand(*q.shape[:-1], s).reshape(-1, t, s)
    flat = [one.reshape(-1, *one.shape[-2:]) for one in (q, k, v)]
    sequences = []
    for q_one, k_one, v_one, allowed in zip(*flat, seen, strict=True):
        rows = []
        for query, row in zip(q_one, allowed, strict=True):
            keys = row.nonzero()[:, 0]
            weights = torch.softmax(k_one[keys] @ query / math.sqrt(q.shape[-1]), dim=0)
            rows.append(weights @ v_one[keys] if len(keys) else torch.zeros_like(v_one[0]))
        sequences.append(torch.stack(rows))
    return torch.stack(sequences).reshape(*q.shape[:-1], v.shape[-1])


def scaled_dot_product_attention_in_blocks(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    best = q.new_full((*q.shape[:-1], 1), -math.inf)
    total, out = torch.zeros_like(best), q.new_zeros(*q.shape[:-1], v.shape[-1])
    for j in range(k.shape[-2]):
        score = (q * k[..., j : j + 1, :]).sum(-1, keepdim=True) / math.sqrt(q.shape[-1])  # (…, T, 1)
        if mask is not None:
            score = score.masked_fill(~mask[..., j : j + 1], -math.inf)
        new = torch.maximum(best, score)
        safe = new.masked_fill(new.isneginf(), 0.0)
        old, now = (best - safe).exp(), (score - safe).exp()
        total, out, best = total * old + now, out * old + now * v[..., j : j + 1, :], new
    return out / total.masked_fill(total == 0, 1.0)
