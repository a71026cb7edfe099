"""Attention with a cache of keys and values, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw, Kept
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..causal_mask.causal_mask import causal_mask
from ..scaled_dot_product_attention.scaled_dot_product_attention import scaled_dot_product_attention

COARSE = 5e-5  # bfloat16 rounds scores, weights and sums

Cache = dict[str, Tensor]


@reference
def cached_attention(q: Tensor, k: Tensor, v: Tensor, cache: dict[str, Tensor], *, wrong: Wrong = RIGHT) -> Tensor:
    """Causal attention of new tokens over all tokens so far, whose keys and values need no second computation.

    q: (B, H, T, D), k, v: (B, G, T, D) of the new tokens, which are appended to cache["k"], cache["v"] -> (B, H, T, D).
    """
    n_heads, n_new = q.shape[1:3]
    if "cached_attention-last-query-only" in wrong:
        q, n_new = q[:, :, -1:], 1
    if "cached_attention-repeated-heads-stored" in wrong:
        k, v = (_shared(one, n_heads, wrong) for one in (k, v))  # (B, H, T, D)
    only_past = "cached_attention-appended-afterwards" in wrong and bool(cache)
    k, v = _with_past(k, v, cache, wrong)  # (B, G, S, D)
    mask = None if only_past else _mask(n_new, k.shape[2], wrong)  # (T, S)
    if k.shape[1] != n_heads:
        k, v = (_shared(one, n_heads, wrong) for one in (k, v))  # (B, H, S, D)
    if "cached_attention-scaled-by-model-width" in wrong:
        q = q / math.sqrt(n_heads)
    out = scaled_dot_product_attention(q, k, v, mask, wrong=wrong)  # (B, H, T, D)
    if "cached_attention-heads-merged" in wrong:
        return out.transpose(1, 2).flatten(2)  # (B, T, H*D)
    if "cached_attention-cache-returned" in wrong:
        return out, cache  # pyright: ignore[reportReturnType] -- the mistake is just that
    return out


def _with_past(k: Tensor, v: Tensor, cache: Cache, wrong: Wrong) -> tuple[Tensor, Tensor]:
    """What is attended to; and the new ones go into the cache. k, v: (B, G, T, D)."""
    name_k, name_v = "k", "v"
    if "cached_attention-other-names" in wrong:
        name_k, name_v = "keys", "values"
    if "cached_attention-stored-under-each-other-s-name" in wrong:
        name_k, name_v = name_v, name_k
    if "cached_attention-cache-unused" in wrong:
        return k, v
    if name_k not in cache and "cached_attention-empty-cache-fails" in wrong:
        raise KeyError(name_k)
    past = cache.get(name_k, k[:, :, :0]), cache.get(name_v, v[:, :, :0])  # (B, G, S, D)
    both = _joined(past[0], k, wrong), _joined(past[1], k if "cached_attention-keys-for-values" in wrong else v, wrong)
    stored = both
    if "cached_attention-cache-overwritten" in wrong or "cached_attention-only-new-stored-and-seen" in wrong:
        stored = k, v
    if "cached_attention-appended-twice" in wrong:
        stored = _joined(both[0], k, wrong), _joined(both[1], v, wrong)
    if "cached_attention-keys-stored-for-values" in wrong:
        stored = both[0], both[0]
    if "cached_attention-values-overwritten" in wrong:
        stored = both[0], v
    if "cached_attention-exchanged-when-stored" in wrong:
        stored = both[1], both[0]
    if "cached_attention-not-stored" not in wrong:
        cache[name_k], cache[name_v] = stored
    if "cached_attention-past-ignored" in wrong or "cached_attention-only-new-stored-and-seen" in wrong:
        return k, v
    if "cached_attention-appended-afterwards" in wrong and past[0].shape[2]:
        return past
    return both


def _joined(past: Tensor, new: Tensor, wrong: Wrong) -> Tensor:
    """One after the other: (B, G, S, D)."""
    if not past.shape[2]:
        return new
    if "cached_attention-prepended" in wrong:
        return torch.cat([new, past], dim=2)
    if "cached_attention-appended-to-the-batch" in wrong:
        return torch.cat([past, new], dim=0)
    if "cached_attention-appended-to-the-features" in wrong:
        return torch.cat([past, new], dim=3)
    to_the_heads = "cached_attention-appended-to-the-heads" in wrong or "cached_attention-further-heads" in wrong
    return torch.cat([past, new], dim=1 if to_the_heads else 2)


def _mask(n_new: int, n_all: int, wrong: Wrong) -> Tensor | None:
    """True where a new token may look: at all that is past, at itself and at what is new before it. (T, S)."""
    n_past = n_all - n_new
    if "cached_attention-not-causal" in wrong:
        return None
    if "cached_attention-causal-without-past-only" in wrong and n_past:
        return None
    if "cached_attention-mask-of-all" in wrong:
        return causal_mask(n_all, wrong=wrong)  # (S, S)
    from_the_top = "cached_attention-several-masked-from-the-top" in wrong and n_new > 1
    if from_the_top or "cached_attention-mask-from-the-top" in wrong:
        return torch.ones(n_new, n_all, dtype=torch.bool).tril()  # (T, S)
    if "cached_attention-new-hidden" in wrong:
        return torch.arange(n_all).expand(n_new, n_all) < n_past  # (T, S)
    if "cached_attention-mask-of-the-new-only" in wrong:
        return causal_mask(n_new, wrong=wrong)  # (T, T)
    return torch.cat([torch.ones(n_new, n_past, dtype=torch.bool), causal_mask(n_new, wrong=wrong)], dim=1)  # (T, S)


def _shared(x: Tensor, n_heads: int, wrong: Wrong) -> Tensor:
    """Key or value heads, each as often as query heads use it: (B, G, S, D) -> (B, H, S, D)."""
    n_shared = n_heads // x.shape[1]
    if "cached_attention-heads-not-shared" in wrong:
        return x
    if "cached_attention-further-heads" in wrong and not n_shared:
        return x
    if "cached_attention-heads-in-turn" in wrong:
        return x.repeat(1, n_shared, 1, 1)
    if "cached_attention-first-head-for-all" in wrong:
        return x[:, :1].expand(-1, n_heads, -1, -1)
    if "cached_attention-heads-averaged" in wrong:
        return x.mean(1, keepdim=True).expand(-1, n_heads, -1, -1)
    return x.repeat_interleave(n_shared, dim=1)


def cases(draw: Draw) -> Iterator[Case]:
    """Token by token, by hand and of any size; then in pieces, from a cache that is there, with fewer key heads."""
    one_by_one = "token by token, each sees itself and all before it"
    yield Case(one_by_one, _by_hand())
    yield Case(one_by_one, _by_hand()[:1])
    for b, h, d, n in ((1, 1, 2, 3), (2, 2, 4, 4), (1, 3, 5, 6), (3, 2, 2, 2), (2, 4, 4, 3)):
        yield Case(one_by_one, _calls(draw, b, h, h, d, [1] * n))
    prompt = "first a prompt, then token by token"
    for b, h, d, lengths in ((1, 1, 2, [2, 1]), (2, 2, 4, [3, 1, 1]), (1, 3, 3, [5, 1]), (2, 2, 2, [2, 1, 1, 1])):
        yield Case(prompt, _calls(draw, b, h, h, d, lengths))
    pieces = "several new tokens at once: each sees the past, itself and the new ones before it"
    for b, h, d, lengths in (
        (1, 1, 2, [1, 2]), (1, 1, 3, [2, 2]), (2, 2, 4, [2, 3]), (1, 3, 5, [4, 2, 3]), (2, 2, 2, [2, 2, 2]),
        (3, 3, 3, [3, 3]), (1, 2, 4, [4, 4]), (2, 1, 3, [1, 1, 5]),
    ):  # fmt: skip
        yield Case(pieces, _calls(draw, b, h, h, d, lengths))
    for b, h, d, n in ((1, 1, 2, 3), (2, 3, 4, 4), (1, 4, 4, 4)):
        yield Case("an empty cache: causal attention", _calls(draw, b, h, h, d, [n]))
    for b, h, d, n_past, lengths in ((1, 1, 2, 2, [1]), (2, 2, 3, 4, [1, 1]), (1, 2, 4, 3, [2]), (2, 3, 3, 3, [3, 1])):
        yield Case("it goes on from a cache that holds tokens", _calls(draw, b, h, h, d, lengths, n_past))
    shared = "query head h uses key and value head h // (H / G)"
    for b, h, g, d, lengths in (
        (1, 2, 1, 2, [1, 1]), (1, 4, 2, 2, [2, 1]), (2, 4, 2, 3, [2, 2]), (2, 6, 3, 4, [3, 1, 1]), (1, 6, 2, 3, [2, 3]),
        (3, 4, 1, 2, [1, 1, 1]), (1, 8, 2, 4, [4, 4]), (2, 4, 2, 2, [2, 2, 2]),
    ):  # fmt: skip
        yield Case(shared, _calls(draw, b, h, g, d, lengths))
    for b, h, g, n_past, lengths in ((1, 4, 2, 2, [1]), (2, 6, 3, 3, [2, 1])):
        yield Case(shared, _calls(draw, b, h, g, 3, lengths, n_past))
    holds = "the cache holds k and v of all tokens, the oldest first, with their G heads"
    for b, h, g, d, lengths in (
        (1, 1, 1, 1, [1, 1]),
        (1, 2, 2, 2, [2, 1]),
        (2, 4, 2, 3, [1, 2]),
        (2, 4, 1, 2, [2, 2, 1]),
    ):
        yield Case(holds, _calls(draw, b, h, g, d, lengths), view=_caches)
    yield Case(holds, _calls(draw, 2, 4, 2, 3, [2, 1], 2), view=_caches)
    for dtype in (torch.float64, torch.bfloat16):
        for lengths in ([2, 1], [1, 3]):
            calls = _calls(draw, 2, 4, 2, 4, lengths, dtype=dtype)
            yield Case("keeps the dtype", calls, tier=EDGE, tolerance=COARSE)


def _calls(
    draw: Draw, b: int, h: int, g: int, d: int, lengths: list[int], n_past: int = 0, dtype: torch.dtype | None = None
) -> tuple[Call, ...]:
    """One after the other with one cache, for so many new tokens each. n_past: tokens that are in it before."""
    past = {name: draw.tensor(b, g, n_past, d, dtype=dtype) for name in "kv"} if n_past else {}
    cache = Kept("cache", past)
    return tuple(
        Call(
            (
                draw.tensor(b, h, n, d, dtype=dtype),
                draw.tensor(b, g, n, d, dtype=dtype),
                draw.tensor(b, g, n, d, dtype=dtype),
                cache,
            )
        )
        for n in lengths
    )


def _by_hand() -> tuple[Call, ...]:
    """Three tokens with one head and one feature, whose exponentials are 1, 2 and 5."""
    cache = Kept("cache", {})
    ones = torch.ones(1, 1, 1, 1)
    tokens = zip((1.0, 2.0, 5.0), (8.0, 5.0, 16.0), strict=True)
    return tuple(Call((ones, ones * math.log(exp_of_score), ones * value, cache)) for exp_of_score, value in tokens)


def _caches(seen: list[Observation]) -> list[dict[str, Tensor]]:
    """What the cache holds after each call under its two names; whatever else is in it is the learner's own."""
    return [{name: one["arguments"][3][name] for name in "kv"} for one in seen]


EXAMPLE_SIZE = "S = 2,048"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    past = {name: draw.tensor(1, 2, 2047, 64) for name in "kv"}
    return Call((draw.tensor(1, 8, 1, 64), draw.tensor(1, 2, 1, 64), draw.tensor(1, 2, 1, 64), past))
