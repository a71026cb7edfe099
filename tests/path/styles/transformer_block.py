"""Right in unusual ways."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def drop(x: Tensor, p: float, generator: Any) -> Tensor:
    if p == 0:
        return x
    return x * (torch.rand(x.shape, generator=generator) >= p) / (1 - p)


def norm(x: Tensor, p: dict[str, Tensor], name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p.get(f"{name}.bias"))


def heads_of(x: Tensor, p: dict[str, Tensor], n_heads: int, dropout: float, generator: Any) -> Tensor:
    q, k, v = (
        F.linear(x, p[f"attn.w_{one}"], p.get(f"attn.b_{one}")).unflatten(-1, (n_heads, -1)).transpose(1, 2)
        for one in "qkv"
    )
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
    out = drop(scores.softmax(-1), dropout, generator) @ v
    return F.linear(out.transpose(1, 2).flatten(2), p["attn.w_o"], p.get("attn.b_o"))


def mlp(x: Tensor, p: dict[str, Tensor]) -> Tensor:
    hidden = F.gelu(F.linear(x, p["mlp.w_up"], p.get("mlp.b_up")), approximate="tanh")
    return F.linear(hidden, p["mlp.w_down"], p.get("mlp.b_down"))


def transformer_block_plain(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    x = x + drop(heads_of(norm(x, p, "ln1"), p, n_heads, dropout, generator), dropout, generator)
    return x + drop(mlp(norm(x, p, "ln2"), p), dropout, generator)


def transformer_block_of_the_book(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    shortcut = x
    x = norm(x, p, "ln1")
    x = heads_of(x, p, n_heads, dropout, generator)
    x = drop(x, dropout, generator)
    x = x + shortcut
    shortcut = x
    x = norm(x, p, "ln2")
    x = mlp(x, p)
    x = drop(x, dropout, generator)
    return x + shortcut


def transformer_block_of_torch(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    with torch.random.fork_rng(enabled=generator is not None):
        if generator is not None:
            torch.manual_seed(generator.initial_seed())
        q, k, v = (
            F.linear(norm(x, p, "ln1"), p[f"attn.w_{one}"], p.get(f"attn.b_{one}"))
            .view(*x.shape[:2], n_heads, -1)
            .transpose(1, 2)
            for one in "qkv"
        )
        found = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        found = found.transpose(1, 2).reshape(x.shape)
        x = x + F.dropout(F.linear(found, p["attn.w_o"], p.get("attn.b_o")), dropout)
        return torch.add(x, F.dropout(mlp(norm(x, p, "ln2"), p), dropout))


def transformer_block_all_parameters_there(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    c, f = x.shape[-1], p["mlp.w_up"].shape[0]
    sizes = {"mlp.b_up": f, "mlp.b_down": c, "ln1.bias": c, "ln2.bias": c} | {f"attn.b_{one}": c for one in "qkvo"}
    p = {name: x.new_zeros(n) for name, n in sizes.items()} | p
    out = x.clone()
    out += drop(heads_of(norm(out.clone(), p, "ln1"), p, n_heads, dropout, generator), dropout, generator)
    out = out + drop(mlp(norm(out, p, "ln2"), p), dropout, generator)
    return out


def transformer_block_in_double(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    wide = {name: one.double() for name, one in p.items()}
    return transformer_block_plain(x.double(), wide, n_heads, dropout=dropout, generator=generator).to(x.dtype)


def transformer_block_sequence_by_sequence(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    out = [transformer_block_plain(one[None], p, n_heads, dropout=dropout, generator=generator)[0] for one in x]
    return torch.stack(out)


def transformer_block_branch_by_branch(x, p, n_heads, *, dropout=0.0, generator=None) -> Tensor:
    total = x
    for name in ("ln1", "ln2"):
        normed = norm(total, p, name)
        added = heads_of(normed, p, n_heads, dropout, generator) if name == "ln1" else mlp(normed, p)
        if dropout:
            kept = torch.empty_like(added, dtype=torch.float32).bernoulli_(1 - dropout, generator=generator)
            added = added * kept.to(added.dtype) / (1 - dropout)
        total = total + added
    return total
