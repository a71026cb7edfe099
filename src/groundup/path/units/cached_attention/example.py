"""The numbers of the text on the cache of keys and values."""

from __future__ import annotations

from typing import Any

import torch

from .cached_attention import cached_attention

TOKENS = 1000


def numbers() -> dict[str, Any]:
    """Three tokens, one after the other, whose keys have the exponentials 1, 2 and 5; and what caches weigh."""
    keys, values = torch.tensor([1.0, 2.0, 5.0]).log(), torch.tensor([8.0, 5.0, 16.0])
    cache: dict[str, torch.Tensor] = {}
    one = torch.ones(1, 1, 1, 1)
    outs = [cached_attention(one, one * k, one * v, cache).item() for k, v in zip(keys, values, strict=True)]
    return {
        "exps": [round(number, 3) for number in keys.exp().tolist()],
        "v": values.tolist(),
        "outs": outs,
        "after_2": keys[:2].softmax(0).tolist(),
        "after_3": keys.softmax(0).tolist(),
        "mask": torch.ones(2, 5, dtype=torch.long).tril(3).tolist(),
        "gpt2": _kib_a_token(12, 12, 64),
        "llama": _kib_a_token(32, 8, 128),
        "llama_all": _kib_a_token(32, 32, 128),
        "llama_gib": _kib_a_token(32, 8, 128) * 131_072 / 2**20,
        "context": 131_072,
        "n": TOKENS,
    }


def _kib_a_token(n_layers: int, n_kv_heads: int, d_head: int) -> int:
    """A key and a value for each head of each layer, at two bytes a number."""
    return 2 * n_layers * n_kv_heads * d_head * 2 // 2**10


def prediction() -> float:
    """How many times as many keys are computed without a cache, while a text of 1,000 tokens is written."""
    return sum(range(1, TOKENS + 1)) / TOKENS
