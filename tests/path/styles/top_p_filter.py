"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def top_p_filter_as_in_transformers(logits: Tensor, p: float) -> Tensor:
    if p >= 1.0:
        return logits
    ascending, ids = torch.sort(logits, descending=False)
    remove = ascending.softmax(-1).cumsum(-1) <= 1 - p
    remove[..., -1] = False
    return logits.masked_fill(remove.scatter(-1, ids, remove), -math.inf)


def top_p_filter_by_the_shifted_mask(logits: Tensor, p: float) -> Tensor:
    if p == 1:
        return logits.clone()
    values, ids = torch.sort(logits, dim=-1, descending=True)
    reached = torch.cumsum(F.softmax(values, dim=-1), dim=-1)
    remove = reached >= p
    remove[..., 1:] = remove[..., :-1].clone()
    remove[..., 0] = False
    values = values.masked_fill(remove, -math.inf)
    return torch.empty_like(logits).scatter_(-1, ids, values)


def top_p_filter_in_plain_python(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    out = torch.full_like(logits, -math.inf).reshape(-1, logits.shape[-1])
    for i, row in enumerate(logits.reshape(-1, logits.shape[-1]).tolist()):
        best = max(row)
        weights = [math.exp(score - best) for score in row]
        total, so_far = sum(weights), 0.0
        for token in sorted(range(len(row)), key=lambda token: -row[token]):
            out[i, token] = row[token]
            so_far += weights[token] / total
            if so_far >= p:
                break
    return out.reshape(logits.shape)


def top_p_filter_back_by_a_second_sort(logits: Tensor, p: float) -> Tensor:
    if p > 0.999999:
        return logits
    order = torch.argsort(logits, dim=-1, descending=True)
    probabilities = torch.log_softmax(logits.double(), -1).exp().gather(-1, order)
    before = torch.cat([torch.zeros_like(probabilities[..., :1]), probabilities.cumsum(-1)[..., :-1]], -1)
    keep = before < p
    keep[..., 0] = True
    return torch.where(keep.gather(-1, order.argsort(-1)), logits, -math.inf)


def top_p_filter_by_the_logit_at_the_edge(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    values = logits.float().sort(-1, descending=True).values
    n_kept = (values.softmax(-1).cumsum(-1) < p).sum(-1, keepdim=True) + 1
    edge = values.gather(-1, n_kept.clamp(max=logits.shape[-1]) - 1)
    return logits.masked_fill(logits.float() < edge, -math.inf)


def top_p_filter_by_what_is_better(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    probabilities = logits.double().softmax(-1)
    better = logits.unsqueeze(-2) > logits.unsqueeze(-1)
    before = (probabilities.unsqueeze(-2) * better).sum(-1)
    out = logits.clone()
    out[(before >= p) & better.any(-1)] = -math.inf
    return out


def top_p_filter_in_the_dtype_it_gets(logits: Tensor, p: float) -> Tensor:
    if p >= 1:
        return logits
    values, ids = logits.sort(descending=True)
    probabilities = values.softmax(-1)
    gone = probabilities.cumsum(-1) - probabilities >= p
    gone[..., 0] = False
    return logits.masked_fill(torch.zeros_like(gone).scatter_(-1, ids, gone), float("-inf"))
