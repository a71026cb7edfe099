"""The numbers of the text on the first weights and on counting them."""

from __future__ import annotations

import math
from typing import Any

from .count_parameters import count_parameters

V, L, N, H, C = 50257, 1024, 12, 12, 768  # of GPT-2 small


def numbers() -> dict[str, Any]:
    """GPT-2 small, counted."""
    attention, feed_forward, norms = 4 * (C * C + C), 8 * C * C + 5 * C, 4 * C
    block = attention + feed_forward + norms
    return {
        "v": V,
        "l": L,
        "n": N,
        "c": C,
        "wte": V * C,
        "wpe": L * C,
        "attention": attention,
        "feed_forward": feed_forward,
        "norms": norms,
        "block": block,
        "blocks": N * block,
        "ln_f": 2 * C,
        "all": count_parameters(V, L, N, H, C),
        "untied": count_parameters(V, L, N, H, C, tied=False),
        "terms": 2 * N,
        "root": math.sqrt(2 * N),
        "small": 0.02 / math.sqrt(2 * N),
        "spread": 0.02 * math.sqrt(C),
        "wild": math.sqrt(C),
        "even": math.log(V),
        "wide": 2 * C,
        "tables": 100 * (V + L) * C / count_parameters(V, L, N, H, C),
    }


def prediction() -> float:
    """How many times as many parameters a GPT-2 small of twice the width has."""
    return round(count_parameters(V, L, N, H, 2 * C) / count_parameters(V, L, N, H, C), 2)
