"""Right in unusual ways."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def drop(weights: Tensor, p: float, generator: Any) -> Tensor:
    if p == 0:
        return weights
    return weights * (torch.rand(weights.shape, generator=generator) >= p) / (1 - p)


def multi_head_attention_head_by_head(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    t, d, heads = x.shape[1], x.shape[2] // n_heads, []
    for h in range(n_heads):
        own = slice(h * d, (h + 1) * d)
        pairs = ((w_q, b_q), (w_k, b_k), (w_v, b_v))
        q, k, v = (F.linear(x, w[own], b[own] if b is not None else None) for w, b in pairs)
        scores = (q @ k.mT / math.sqrt(d)).masked_fill(torch.ones(t, t).triu(1).bool(), -math.inf)
        heads.append(drop(scores.softmax(-1), dropout, generator) @ v)
    return F.linear(torch.cat(heads, -1), w_o, b_o)


def multi_head_attention_of_torch(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    b, t, c = x.shape
    pairs = ((w_q, b_q), (w_k, b_k), (w_v, b_v))
    q, k, v = (F.linear(x, *pair).view(b, t, n_heads, c // n_heads).transpose(1, 2) for pair in pairs)
    if generator is None:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(generator.initial_seed())
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
    return F.linear(out.transpose(1, 2).contiguous().view(b, t, c), w_o, b_o)


def multi_head_attention_by_einsum(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    c = x.shape[-1]
    zero = torch.zeros(c, dtype=x.dtype)
    q, k, v = (
        torch.einsum("btc,hdc->bthd", x, w.view(n_heads, -1, c)) + (zero if b is None else b).view(n_heads, -1)
        for w, b in ((w_q, b_q), (w_k, b_k), (w_v, b_v))
    )
    scores = torch.einsum("bthd,bshd->bhts", q * q.shape[-1] ** -0.5, k)
    at = torch.arange(x.shape[1])
    weights = torch.where(at[:, None] >= at, scores, -torch.inf).softmax(-1)
    out = torch.einsum("bhts,bshd,ohd->bto", drop(weights, dropout, generator), v, w_o.view(c, n_heads, -1))
    return out if b_o is None else out + b_o


def multi_head_attention_all_at_once(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    b, t, c = x.shape
    qkv = x @ torch.cat((w_q, w_k, w_v)).T
    parts = [qkv[..., i * c : (i + 1) * c] for i in range(3)]
    q, k, v = (
        (part if bias is None else part + bias).unflatten(-1, (n_heads, -1)).permute(0, 2, 1, 3)
        for part, bias in zip(parts, (b_q, b_k, b_v), strict=True)
    )
    e = (q @ k.mT / math.sqrt(c // n_heads)).exp().tril()
    out = drop(e / e.sum(-1, keepdim=True), dropout, generator) @ v
    out = out.permute(0, 2, 1, 3).reshape(b, t, c).matmul(w_o.T)
    if b_o is not None:
        out += b_o
    return out


def multi_head_attention_heads_in_the_batch(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    def split(w: Tensor, bias: Tensor | None) -> Tensor:
        return torch.cat(F.linear(x, w, bias).chunk(n_heads, -1), 0)  # (H*B, T, D)

    q, k, v = split(w_q, b_q), split(w_k, b_k), split(w_v, b_v)
    mask = torch.full((x.shape[1], x.shape[1]), -1e30, dtype=x.dtype).triu(1)
    weights = torch.softmax(torch.baddbmm(mask, q, k.mT, alpha=q.shape[-1] ** -0.5), -1)
    out = torch.cat(torch.bmm(drop(weights, dropout, generator), v).chunk(n_heads, 0), -1)
    return F.linear(out, w_o, b_o)


def multi_head_attention_summed_over_heads(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
) -> Tensor:
    out = torch.zeros_like(x) if b_o is None else b_o.expand_as(x).clone()
    for rows in torch.arange(x.shape[-1]).chunk(n_heads):
        q = x @ w_q[rows].T + (0 if b_q is None else b_q[rows])
        k = x @ w_k[rows].T  # a bias of the keys shifts all scores of a query alike: the softmax does not see it
        v = x @ w_v[rows].T + (0 if b_v is None else b_v[rows])
        scores = q @ k.mT / math.sqrt(len(rows))
        scores[..., torch.ones(x.shape[1], x.shape[1]).triu(1).bool()] = -math.inf
        out = out + drop(torch.softmax(scores, -1), dropout, generator).to(x.dtype) @ v @ w_o[:, rows].T
    return out
