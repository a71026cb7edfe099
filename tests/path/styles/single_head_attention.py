"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def single_head_attention_of_torch(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    q, k, v = (F.linear(x, w) for w in (w_q, w_k, w_v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def single_head_attention_by_einsum(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    scores = torch.einsum("btc,dc,bse,de->bts", x, w_q, x, w_k) / math.sqrt(w_q.shape[0])
    scores = scores + torch.full(scores.shape[1:], -math.inf, dtype=x.dtype).triu(1)
    return torch.einsum("bts,bsc,dc->btd", torch.softmax(scores, -1), x, w_v)


def single_head_attention_token_by_token(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    rows = []
    for i in range(x.shape[1]):
        seen = x[:, : i + 1]
        q, k, v = x[:, i : i + 1] @ w_q.T, seen @ w_k.T, seen @ w_v.T
        rows.append(torch.softmax(q @ k.mT / k.shape[-1] ** 0.5, dim=-1) @ v)
    return torch.cat(rows, dim=1)


def single_head_attention_sequence_by_sequence(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    out = torch.zeros(*x.shape[:2], len(w_v), dtype=x.dtype)
    for b, one in enumerate(x):
        q, k, v = one.mm(w_q.t()), one.mm(w_k.t()), one.mm(w_v.t())
        scores = (q / math.sqrt(len(w_q))).mm(k.t())
        scores[torch.ones_like(scores, dtype=torch.bool).triu(1)] = -1e30
        out[b] = scores.softmax(1).mm(v)
    return out


def single_head_attention_all_at_once(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    q, k, v = (x @ torch.cat([w_q, w_k, w_v]).T).chunk(3, dim=-1)
    scores = q @ k.transpose(1, 2) * k.size(-1) ** -0.5
    weights = scores.exp().tril()
    return weights @ v / weights.sum(-1, keepdim=True)


def single_head_attention_in_float64(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    q, k, v = (x.double() @ w.double().T for w in (w_q, w_k, w_v))
    at = torch.arange(x.shape[1])
    scores = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(at > at[:, None], float("-inf"))
    return (F.softmax(scores, dim=-1) @ v).to(x.dtype)
