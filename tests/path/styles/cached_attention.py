"""Right in unusual ways."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F


def cached_attention_of_torch(q: Any, k: Any, v: Any, cache: Any) -> Any:
    for name, new in (("k", k), ("v", v)):
        cache[name] = torch.cat((cache[name], new), -2) if name in cache else new
    t, s = q.shape[2], cache["k"].shape[2]
    mask = torch.arange(s) <= torch.arange(s - t, s)[:, None]
    return F.scaled_dot_product_attention(q, cache["k"], cache["v"], attn_mask=mask, enable_gqa=True)


def cached_attention_by_einsum(q: Any, k: Any, v: Any, cache: Any) -> Any:
    past_k, past_v = cache.get("k", k.new_empty(*k.shape[:2], 0, k.shape[3])), cache.get("v", v[:, :, :0])
    cache.update(
        k=torch.concat([past_k, k], dim=2), v=torch.concat([past_v, v], dim=2), length=past_k.size(2) + k.size(2)
    )
    b, h, t, d = q.shape
    g, s = k.shape[1], cache["length"]
    grouped = q.float().view(b, g, h // g, t, d)
    scores = torch.einsum("bgntd,bgsd->bgnts", grouped, cache["k"].float()) * d**-0.5
    scores = scores + torch.full((t, s), -math.inf).triu(s - t + 1)
    out = torch.einsum("bgnts,bgsd->bgntd", scores.softmax(-1), cache["v"].float())
    return out.reshape(b, h, t, d).to(q.dtype)


def cached_attention_token_by_token(q: Any, k: Any, v: Any, cache: Any) -> Any:
    """Nobody needs a mask who appends one token at a time."""
    outs = []
    for i in range(q.shape[2]):
        for name, new in (("k", k), ("v", v)):
            cache[name] = torch.cat([*([cache[name]] if cache.get(name) is not None else []), new[:, :, i : i + 1]], 2)
        n_shared = q.shape[1] // k.shape[1]
        keys, values = (torch.repeat_interleave(cache[name], n_shared, 1) for name in "kv")
        weights = torch.softmax(q[:, :, i : i + 1] @ keys.transpose(2, 3) / math.sqrt(q.shape[3]), dim=-1)
        outs.append(torch.matmul(weights, values))
    return torch.cat(outs, dim=2)


def cached_attention_head_by_head(q: Any, k: Any, v: Any, cache: Any) -> Any:
    if not cache:
        cache["k"], cache["v"] = k.clone(), v.clone()
    else:
        cache["k"], cache["v"] = torch.cat([cache["k"], k], 2), torch.cat([cache["v"], v], 2)
    n_heads, n_new, n_all = q.shape[1], q.shape[2], cache["k"].shape[2]
    allowed = torch.ones(n_all, n_all).tril()[n_all - n_new :].bool()
    heads = []
    for h in range(n_heads):
        g = h * k.shape[1] // n_heads
        scores = (q[:, h] / q.shape[-1] ** 0.5) @ cache["k"][:, g].mT
        heads.append(scores.masked_fill(~allowed, -math.inf).softmax(2) @ cache["v"][:, g])
    return torch.stack(heads, 1)


def cached_attention_in_place(q: Any, k: Any, v: Any, cache: Any) -> Any:
    """Room for both, filled; and a view of expanded heads."""
    n_past = cache["k"].shape[2] if cache else 0
    n_new = q.shape[2]
    for name, new in {"k": k, "v": v}.items():
        room = new.new_zeros(new.shape[0], new.shape[1], n_past + n_new, new.shape[3])
        if n_past:
            room[:, :, :n_past] = cache[name]
        room[:, :, n_past:].copy_(new)
        cache[name] = room
    b, g, s, d = cache["k"].shape
    keys, values = (cache[name].unsqueeze(2).expand(b, g, q.shape[1] // g, s, d).flatten(1, 2) for name in "kv")
    scores = q.double().matmul(keys.double().mT).mul_(1 / math.sqrt(d))
    for i in range(n_new):
        scores[:, :, i, n_past + i + 1 :] = -1e30
    weights = scores.sub_(scores.amax(-1, True)).exp_()
    return (weights / weights.sum(-1, keepdim=True)).to(values.dtype).matmul(values)
