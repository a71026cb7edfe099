"""Attention in one call: PyTorch's fused kernel never writes the (T, S) scores to memory.

Equals `model.attention.attention` for every library part that it covers. With dropout the plain joint runs: the fused
kernel draws its mask from a state that no generator of ours can reach.

Source: Dao et al. 2022 (FlashAttention), section 3.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from ..model.attention import Cache, attention, sliding_window_mask

WORTH_BFLOAT16 = 256  # tokens: with 64 of them bfloat16 takes 3 times as long as float32, with 1,024 two thirds


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
        k, v = append_in_place(k, v, cache, window)
        if "shared_k" in cache and q.shape[2] == 1:
            return attention_with_shared(q, k, v, cache, window)
        if "shared_k" in cache:
            shared = (cache[name].expand(len(q), -1, -1, -1) for name in ("shared_k", "shared_v"))
            k, v = (torch.cat(pair, dim=2) for pair in zip(shared, (k, v), strict=True))  # (B, G, S, D)
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
    if is_wider_faster(q):
        with torch.autocast("cpu", enabled=False):
            q, k, v = q.float(), k.float(), v.float()
            mixed = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, enable_gqa=shared)
        return mixed.bfloat16()
    return functional.scaled_dot_product_attention(q, k, v, mask, is_causal=is_causal, enable_gqa=shared)


def is_wider_faster(q: Tensor) -> bool:
    """Whether torch's kernel is faster in float32: its backward pass in bfloat16 is slow for few tokens, on a CPU."""
    return q.is_cpu and q.dtype == torch.bfloat16 and q.requires_grad and q.shape[2] < WORTH_BFLOAT16


def append_in_place(k: Tensor, v: Tensor, cache: Cache, window: int | None = None) -> tuple[Tensor, Tensor]:
    """As model.attention.append_to_cache, with room to grow: n tokens cost n copies, not n².

    k, v: (B, G, T, D) -> (B, G, S, D), without a shared beginning. cache["k"] and cache["v"] are parts of larger
    buffers; a full one is left for one twice as large as what is still seen.
    """
    if "k" not in cache:
        cache["k"], cache["v"] = k, v
        return k, v
    n_tokens = k.shape[2]
    for name, new in (("k", k), ("v", v)):
        old, buffer = cache[name], cache.get(f"{name}_buffer")
        if window is not None and old.shape[2] >= window:
            old = old[:, :, old.shape[2] - window + 1 :]  # (B, G, S, D)
        b, g, n_kept, d = old.shape
        end = int(old.storage_offset()) // d + n_kept
        # Whoever reorders a cache puts a new tensor in its place: then the buffer is no longer what holds it.
        if buffer is None or not is_inside(old, buffer) or end + n_tokens > buffer.shape[2]:
            buffer = old.new_empty(b, g, max(64, 2 * (n_kept + n_tokens)), d)
            buffer[:, :, :n_kept] = old
            end = n_kept
            cache[f"{name}_buffer"] = buffer
        buffer[:, :, end : end + n_tokens] = new
        cache[name] = buffer[:, :, end - n_kept : end + n_tokens]
    return cache["k"], cache["v"]


def is_inside(part: Tensor, buffer: Tensor) -> bool:
    """Whether a tensor is a stretch of tokens in a buffer."""
    return part.untyped_storage().data_ptr() == buffer.untyped_storage().data_ptr() and part.stride() == buffer.stride()


def attention_with_shared(q: Tensor, k: Tensor, v: Tensor, cache: Cache, window: int | None = None) -> Tensor:
    """One new token a row, whose rows began alike: all of them read the one copy of their common beginning.

    q: (B, H, 1, D), k, v: (B, G, S, D) of what the rows have by themselves -> (B, H, 1, D).
    """
    b, n_heads, _, d = q.shape
    g, n_own = k.shape[1:3]
    shared_k, shared_v = cache["shared_k"], cache["shared_v"]
    if window is not None:
        in_sight = max(0, shared_k.shape[2] + min(0, n_own - window))
        shared_k, shared_v = shared_k[:, :, in_sight:], shared_v[:, :, in_sight:]
    # For the shared keys, the heads and rows that use one are so many queries of one text.
    q = q.view(b, g, n_heads // g, d) / math.sqrt(d)  # (B, G, H/G, D)
    together = q.transpose(0, 1).reshape(1, g, -1, d)
    to_shared = (together @ shared_k.mT).view(g, b, n_heads // g, -1).transpose(0, 1)
    weights = torch.cat([to_shared, q @ k.mT], dim=-1).softmax(dim=-1)
    of_shared, of_own = weights.split([shared_k.shape[2], n_own], dim=-1)
    from_shared = of_shared.transpose(0, 1).reshape(1, g, b * n_heads // g, -1) @ shared_v
    mixed = from_shared.view(g, b, n_heads // g, d).transpose(0, 1) + of_own @ v  # (B, G, H/G, D)
    return mixed.reshape(b, n_heads, 1, d)  # (B, H, 1, D)
