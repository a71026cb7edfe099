"""The numbers of the text on decay groups."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ....model.transformer import init_gpt
from ....randomness import seeded_generator
from .decay_groups import decay_groups

N_TOKENS, CONTEXT, LAYERS, HEADS, WIDTH = 512, 64, 4, 4, 128  # the preset first-gpt


def numbers() -> dict[str, Any]:
    """How many names and numbers of a small GPT are in each group."""
    p = init_gpt(N_TOKENS, CONTEXT, LAYERS, HEADS, WIDTH, seeded_generator(0))
    decay, no_decay = decay_groups(list(p.items()))
    tables = [name for name in no_decay if p[name].dim() == 2]
    vectors = [name for name in no_decay if p[name].dim() == 1]
    groups = {"decay": decay, "no_decay": no_decay, "tables": tables, "vectors": vectors}
    sizes = {f"size_{name}": _size(p, group) for name, group in groups.items()}
    lengths = {f"n_{name}": len(group) for name, group in groups.items()}
    return {"layers": LAYERS, "width": WIDTH, "n_tokens": N_TOKENS} | sizes | lengths


def prediction() -> float:
    """The share of a row's length that is left after 10,000 steps without a gradient."""
    lr, weight_decay, steps = 3e-4, 0.1, 10_000
    return (1 - lr * weight_decay) ** steps


def _size(p: dict[str, Tensor], names: list[str]) -> int:
    return sum(p[name].numel() for name in names)
