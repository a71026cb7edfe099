"""Attention: how a token looks at the tokens before it, and takes from each what it needs.

Every token asks a question (its query), offers a description of itself (its key), and has something to hand over (its
value). A query is compared with all keys; a softmax turns the comparisons into weights that add up to 1; the token
receives the values, weighted. A mask keeps it from looking at what comes after it, since that is what it must learn to
predict. Several heads do this side by side, each with its own slice of the features.

    x ── w_q ──> q ┐
    x ── w_k ──> k ┼─> softmax(q·k / √D, masked) @ v ── w_o ──> out
    x ── w_v ──> v ┘

Read next: `norm.py`. The same with one fused call: `kernels/attention.py`.
Sources: Vaswani et al. 2017, section 3.2; Ainslie et al. 2023 (several query heads share one key and value head).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .dropout import dropout
from .linear import linear

if TYPE_CHECKING:
    from .config import ModelConfig
    from .parts import ModelParts

# Of one layer: "k" and "v" (B, G, S, D) of the tokens so far; empty before the first. "shared_k" and "shared_v"
# (1, G, S, D) hold what came before those, where all rows began with the same tokens.
Cache = dict[str, Tensor]


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Turn scores into weights that add up to 1 along `dim`.

    x: any shape; returns its shape and dtype. A row of nothing but -inf gives zeros: nothing is allowed, nothing taken.
    """
    # exp() of a large score overflows. Shifting all scores by the largest changes no ratio: no gradient goes that way.
    largest = x.detach().amax(dim=dim, keepdim=True)  # (…, 1)
    largest = largest.masked_fill(largest == -math.inf, 0.0)  # (…, 1) -inf - -inf would be NaN
    exponentials = (x - largest).exp()  # (…)
    total = exponentials.sum(dim=dim, keepdim=True)  # (…, 1)
    return exponentials / total.masked_fill(total == 0, 1.0)


def causal_mask(t: int, device: torch.device | str | None = None) -> Tensor:
    """True where a token (row) may look at another (column): at itself and at all before.

    Returns (T, T), boolean.
    """
    return torch.ones(t, t, dtype=torch.bool, device=device).tril()  # (T, T)


def sliding_window_mask(t: int, window: int) -> Tensor:
    """True where a token may look at another: at itself and at the window - 1 tokens before.

    Returns (T, T), boolean.
    Source: Beltagy et al. 2020 (Longformer), section 3.1; Jiang et al. 2023 (Mistral), section 2.
    """
    seen = torch.ones(t, t, dtype=torch.bool).tril()  # (T, T)
    return seen.triu(1 - window)


def document_numbers(ids: Tensor, end_of_text: int) -> Tensor:
    """Which document each token belongs to: the number of ends of texts before it. An end belongs to what it ends.

    ids: (B, T) -> (B, T).
    """
    ends = ids == end_of_text  # (B, T)
    return ends.cumsum(1) - ends.long()  # (B, T)


def same_document_mask(documents: Tensor) -> Tensor:
    """True where two tokens belong to one document. documents: (B, T) -> (B, 1, T, T), the same for all heads."""
    return (documents[:, :, None] == documents[:, None, :]).unsqueeze(1)  # (B, 1, T, T)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None, *, softmax=softmax) -> Tensor:
    """How much each query takes from each key.

    q: (…, T, D), k: (…, S, D), mask: boolean, broadcasts to (…, T, S) -> (…, T, S); rows add up to 1, or to 0 where
    nothing is allowed.
    """
    # The product of two vectors of D independent numbers has variance D: divide by √D, or the softmax saturates.
    scores = (q / math.sqrt(q.shape[-1])) @ k.mT  # (…, T, S)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return softmax(scores, dim=-1)


def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, attention_weights=attention_weights
) -> Tensor:
    """Weighted values: what each query takes home.

    q: (…, T, D), k, v: (…, S, D), mask as in attention_weights -> (…, T, D).
    Source: Vaswani et al. 2017, equation 1.
    """
    weights = attention_weights(q, k, mask)  # (…, T, S)
    return weights @ v  # (…, T, D)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """Cut the features into heads, and put the heads where they are computed side by side.

    x: (B, T, H*D) -> (B, H, T, D).
    """
    b, t, width = x.shape
    return x.view(b, t, n_heads, width // n_heads).transpose(1, 2)  # (B, H, T, D)


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads back side by side: the inverse of split_heads.

    x: (B, H, T, D) -> (B, T, H*D).
    """
    return x.transpose(1, 2).flatten(2)  # (B, T, H*D)


def single_head_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    *,
    linear=linear,
    causal_mask=causal_mask,
    scaled_dot_product_attention=scaled_dot_product_attention,
) -> Tensor:
    """Causal attention with one head.

    x: (B, T, C), w_q, w_k, w_v: (D, C) -> (B, T, D).
    """
    q, k, v = linear(x, w_q), linear(x, w_k), linear(x, w_v)  # (B, T, D)
    return scaled_dot_product_attention(q, k, v, causal_mask(x.shape[1]).to(x.device))


def multi_head_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    n_heads: int,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
    b_o: Tensor | None = None,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    linear=linear,
    split_heads=split_heads,
    merge_heads=merge_heads,
    causal_mask=causal_mask,
    attention_weights=attention_weights,
    scaled_dot_product_attention=scaled_dot_product_attention,
    apply_dropout=dropout,
) -> Tensor:
    """Causal attention with several heads, each on its own slice of the features.

    x: (B, T, C), w_q, w_k, w_v, w_o: (C, C), biases: (C,) or None -> (B, T, C). dropout acts on the attention weights.
    Source: Vaswani et al. 2017, section 3.2.2.
    """
    q = split_heads(linear(x, w_q, b_q), n_heads)  # (B, H, T, D)
    k = split_heads(linear(x, w_k, b_k), n_heads)  # (B, H, T, D)
    v = split_heads(linear(x, w_v, b_v), n_heads)  # (B, H, T, D)
    mask = causal_mask(x.shape[1]).to(x.device)  # (T, T)
    if dropout > 0:
        weights = apply_dropout(attention_weights(q, k, mask), dropout, True, generator)  # (B, H, T, T)
        mixed = weights @ v  # (B, H, T, D)
    else:
        mixed = scaled_dot_product_attention(q, k, v, mask)  # (B, H, T, D)
    return linear(merge_heads(mixed), w_o, b_o)  # (B, T, C)


def grouped_query_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    *,
    scaled_dot_product_attention=scaled_dot_product_attention,
) -> Tensor:
    """Attention in which query head h uses key and value head h // (H / G): fewer keys to keep, nearly as good.

    q: (B, H, T, D), k, v: (B, G, S, D) -> (B, H, T, D).
    Source: Ainslie et al. 2023, section 2.2.
    """
    n_shared = q.shape[1] // k.shape[1]
    k = k.repeat_interleave(n_shared, dim=1)  # (B, H, S, D)
    v = v.repeat_interleave(n_shared, dim=1)  # (B, H, S, D)
    return scaled_dot_product_attention(q, k, v, mask)  # (B, H, T, D)


def append_to_cache(k: Tensor, v: Tensor, cache: Cache, window: int | None = None) -> tuple[Tensor, Tensor]:
    """The keys and values of all tokens so far. k, v: (B, G, T, D) of the new ones -> (B, G, S, D).

    The cache then holds them too, but for a shared beginning, and for what no token will see again through a window:
    its memory does not grow with the text.
    """
    if "k" in cache:
        out_of_sight = 0 if window is None else max(0, cache["k"].shape[2] - window + 1)
        k = torch.cat([cache["k"][:, :, out_of_sight:], k], dim=2)  # (B, G, S, D)
        v = torch.cat([cache["v"][:, :, out_of_sight:], v], dim=2)  # (B, G, S, D)
    cache["k"], cache["v"] = k, v
    if "shared_k" in cache:
        k = torch.cat([cache["shared_k"].expand(len(k), -1, -1, -1), k], dim=2)  # (B, G, S, D)
        v = torch.cat([cache["shared_v"].expand(len(v), -1, -1, -1), v], dim=2)  # (B, G, S, D)
    return k, v


def cached_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cache: Cache,
    *,
    causal_mask=causal_mask,
    grouped_query_attention=grouped_query_attention,
) -> Tensor:
    """Causal attention of new tokens over all tokens so far, whose keys and values need no second computation.

    q: (B, H, T, D), k, v: (B, G, T, D) of the new tokens, which are appended to cache["k"], cache["v"] -> (B, H, T, D).
    Source: Shazeer 2019, section 2.4.1.
    """
    n_tokens = q.shape[2]
    k, v = append_to_cache(k, v, cache)  # (B, G, S, D)
    # The new tokens see all that is past; several of them must still not see each other's future.
    past = torch.ones(n_tokens, k.shape[2] - n_tokens, dtype=torch.bool, device=q.device)
    mask = torch.cat([past, causal_mask(n_tokens).to(q.device)], dim=1)  # (T, S)
    return grouped_query_attention(q, k, v, mask)


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int | None = None,
    cache: Cache | None = None,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    same_document: Tensor | None = None,
    *,
    causal_mask=causal_mask,
    sliding_window_mask=sliding_window_mask,
    attention_weights=attention_weights,
    scaled_dot_product_attention=scaled_dot_product_attention,
    grouped_query_attention=grouped_query_attention,
    cached_attention=cached_attention,
    apply_dropout=dropout,
) -> Tensor:
    """A joint: causal attention as the config asks for it, from the parts above.

    q: (B, H, T, D), k, v: (B, G, T, D) -> (B, H, T, D). With a cache, the tokens go on where the cache ends; without
    one, same_document (B, 1, T, T) may keep them from looking into another document.
    """
    n_tokens, n_shared = q.shape[2], q.shape[1] // k.shape[1]
    if cache is not None and window is None:
        return cached_attention(q, k, v, cache)
    if cache is not None:
        k, v = append_to_cache(k, v, cache, window)  # (B, G, S, D)
    n_context = k.shape[2]
    if window is None:
        mask = causal_mask(n_context).to(q.device)  # (S, S)
    else:
        mask = sliding_window_mask(n_context, window).to(q.device)[-n_tokens:]  # (T, S)
    if same_document is not None:
        mask = mask & same_document  # (B, 1, T, T)
    if dropout > 0:
        shared_k = k.repeat_interleave(n_shared, dim=1)  # (B, H, S, D)
        weights = apply_dropout(attention_weights(q, shared_k, mask), dropout, True, generator)  # (B, H, T, S)
        return weights @ v.repeat_interleave(n_shared, dim=1)  # (B, H, T, D)
    if n_shared == 1:
        return scaled_dot_product_attention(q, k, v, mask)  # (B, H, T, D)
    return grouped_query_attention(q, k, v, mask)  # (B, H, T, D)


def attention_of_each(
    attention: Callable[..., Tensor], q: Tensor, k: Tensor, v: Tensor, window: int | None, caches: Sequence[Cache]
) -> Tensor:
    """Attention where each token goes on with a text of its own, whose past is its own cache.

    q: (1, H, T, D), k, v: (1, G, T, D), a cache for each token -> (1, H, T, D). Text after text: nothing that one of
    them says can change what another one reads, not even by rounding.
    """
    tokens = zip(q.split(1, dim=2), k.split(1, dim=2), v.split(1, dim=2), caches, strict=True)
    return torch.cat([attention(*token, window, cache) for *token, cache in tokens], dim=2)  # (1, H, T, D)


class Attention(nn.Module):
    """The attention of one block, with its weights: many heads, or several query heads to one key and value head."""

    def __init__(self, config: ModelConfig, parts: ModelParts, name: str) -> None:
        super().__init__()
        self.config, self.parts, self.name = config, parts, name
        c, q_width, kv_width = config.d_model, config.n_heads * config.head_width, config.kv_heads * config.head_width
        self.w_q = nn.Parameter(torch.empty(q_width, c))  # (H*D, C)
        self.w_k = nn.Parameter(torch.empty(kv_width, c))  # (G*D, C)
        self.w_v = nn.Parameter(torch.empty(kv_width, c))  # (G*D, C)
        self.w_o = nn.Parameter(torch.empty(c, q_width))  # (C, H*D)
        widths = {"b_q": q_width, "b_k": kv_width, "b_v": kv_width, "b_o": c}
        for bias, width in widths.items():
            self.register_parameter(bias, nn.Parameter(torch.zeros(width)) if config.bias else None)
        for norm in ("q_norm", "k_norm"):
            self.register_parameter(norm, nn.Parameter(torch.ones(config.head_width)) if config.qk_norm else None)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        cache: Cache | list[Cache] | None = None,
        record: dict[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """x: (B, T, C), positions: (T,), same_document: (B, 1, T, T) or None -> (B, T, C)."""
        config, parts = self.config, self.parts
        rate = config.dropout if self.training else 0.0
        if "multi_head_attention" in parts.own:
            return self._own_attention(x, rate, generator)
        q = parts.split_heads(parts.linear(x, self.w_q, self.b_q), config.n_heads)  # (B, H, T, D)
        k = parts.split_heads(parts.linear(x, self.w_k, self.b_k), config.kv_heads)  # (B, G, T, D)
        v = parts.split_heads(parts.linear(x, self.w_v, self.b_v), config.kv_heads)  # (B, G, T, D)
        if config.qk_norm:
            q, k = parts.rms_norm(q, self.q_norm, config.eps), parts.rms_norm(k, self.k_norm, config.eps)
        if config.position == "rope":
            # Rotate before the scores: q·k then depends only on the distance between two positions.
            q, k = parts.rope(q, positions, config.rope_theta), parts.rope(k, positions, config.rope_theta)
        if isinstance(cache, list):
            mixed = attention_of_each(parts.attention, q, k, v, config.window, cache)  # (B, H, T, D)
        else:
            mixed = parts.attention(q, k, v, config.window, cache, rate, generator, same_document)  # (B, H, T, D)
        out = parts.linear(parts.merge_heads(mixed), self.w_o, self.b_o)  # (B, T, C)
        if record is not None:
            record |= {f"{self.name}.{key}": value for key, value in (("q", q), ("k", k), ("v", v), ("out", out))}
        return out

    def _own_attention(self, x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
        weights = (self.w_q, self.w_k, self.w_v, self.w_o)
        biases = {bias: getattr(self, bias) for bias in ("b_q", "b_k", "b_v", "b_o")}
        random = {"dropout": rate, "generator": generator} if rate > 0 else {}
        return self.parts.multi_head_attention(x, *weights, self.config.n_heads, **biases, **random)
