"""Attention in one call: PyTorch's fused kernel never writes the (T, S) scores to memory.

Equals `model.attention.attention` for every library part that it covers. With dropout the plain joint runs: the fused
kernel draws its mask from a state that no generator of ours can reach.

Source: Dao et al. 2022 (FlashAttention), section 3.1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..model.attention import Cache, attention, sliding_window_mask


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int | None = None,
    cache: Cache | None = None,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    same_document: Tensor | None = None,
) -> Tensor:
    """Causal attention as the config asks for it. q: (B, H, T, D), k, v: (B, G, T, D) -> (B, H, T, D)."""
    if dropout > 0:
        return attention(q, k, v, window, cache, dropout, generator, same_document)
    if cache is not None:
        k, v = append_in_place(k, v, cache)  # (B, G, S, D)
    n_tokens, n_context = q.shape[2], k.shape[2]
    mask = None
    if window is not None and window < n_context:
        mask = sliding_window_mask(n_context, window).to(q.device)[-n_tokens:]  # (T, S)
    elif 1 < n_tokens < n_context:
        mask = torch.ones(n_tokens, n_context, dtype=torch.bool, device=q.device).tril(n_context - n_tokens)  # (T, S)
    if same_document is not None:
        seen = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=q.device).tril()  # (T, T)
        mask = same_document & (seen if mask is None else mask)  # (B, 1, T, T)
    is_causal = mask is None and n_tokens > 1  # one token alone may see everything before it
    shared = q.shape[1] != k.shape[1]
    return functional.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, enable_gqa=shared)


def append_in_place(k: Tensor, v: Tensor, cache: Cache) -> tuple[Tensor, Tensor]:
    """As model.attention.append_to_cache, with room to grow: n tokens cost n copies, not n².

    k, v: (B, G, T, D) -> (B, G, S, D). The buffers double when they are full; cache["k"] and cache["v"] are their
    filled parts.
    """
    if "k" not in cache:
        cache["k"], cache["v"] = k, v
        return k, v
    past, n_context = cache["k"].shape[2], cache["k"].shape[2] + k.shape[2]
    for name, new in (("k", k), ("v", v)):
        old, buffer = cache[name], cache.get(f"{name}_buffer")
        # Whoever reorders a cache puts a new tensor in its place: then the buffer is no longer what holds it.
        if buffer is None or buffer.shape[2] < n_context or buffer.data_ptr() != old.data_ptr():
            b, g, _, d = old.shape
            buffer = old.new_empty(b, g, max(64, 2 * n_context), d)
            buffer[:, :, :past] = old
            cache[f"{name}_buffer"] = buffer
        buffer[:, :, past:n_context] = new
        cache[name] = buffer[:, :, :n_context]
    return cache["k"], cache["v"]
