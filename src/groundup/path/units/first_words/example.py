"""The numbers of the text on the loop that writes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .generate_tokens import generate_tokens
from .greedy import greedy

PROMPT, NEW = 10, 90


def numbers() -> dict[str, Any]:
    """Four tokens, a table of scores by the last of them, and what is asked on the way."""
    table = torch.tensor([[0.0, 0.0, 0.0, 0.0], [0.0, -1.0, 3.0, 1.0], [1.0, 0.0, -1.0, 2.0], [2.0, 1.0, 0.0, -1.0]])
    seen: list[list[int]] = []

    def next_logits(ids: list[int]) -> Tensor:
        seen.append(ids)
        return table[ids[-1]]

    result = generate_tokens(next_logits, [1], 10, greedy, eos_id=0, context_length=2)
    return {
        "seen": [str(ids) for ids in seen],
        "scores": [str([int(score) for score in table[ids[-1]].tolist()]) for ids in seen],
        "best": result[1:],
        "result": str(result),
        "prompt": PROMPT,
        "new": NEW,
        "kept": PROMPT + NEW - 1,
    }


def prediction() -> float:
    """How many tokens a model without a cache reads while it writes."""
    return sum(range(PROMPT, PROMPT + NEW))
