"""The numbers of the text on token embeddings."""

from __future__ import annotations

from typing import Any

import torch

from .token_embedding import token_embedding

VOCABULARY, WIDTH, CONTEXT, LAYERS = 50257, 768, 1024, 12  # GPT-2 small


def numbers() -> dict[str, Any]:
    """A table of four tokens, a text of three, and the sizes of real tables."""
    weight = torch.tensor([[0.5, 1.0], [-2.0, 0.0], [3.0, 0.25], [1.0, -1.0]], requires_grad=True)
    ids = torch.tensor([2, 0, 2])
    rows = token_embedding(ids, weight)
    rows.sum().backward()
    assert weight.grad is not None
    return {
        "weight": weight.tolist(),
        "ids": ids.tolist(),
        "rows": rows.tolist(),
        "gradient": weight.grad.int().tolist(),
        "vocabulary": VOCABULARY,
        "width": WIDTH,
        "table": VOCABULARY * WIDTH,
        "total": _total(),
    }


def prediction() -> float:
    """The share of GPT-2's parameters that stand in its table, in per cent."""
    return round(100 * VOCABULARY * WIDTH / _total(), 1)


def _total() -> int:
    """GPT-2 small's parameters; its output layer is the table once more."""
    block = 12 * WIDTH**2 + 13 * WIDTH
    return VOCABULARY * WIDTH + CONTEXT * WIDTH + LAYERS * block + 2 * WIDTH
