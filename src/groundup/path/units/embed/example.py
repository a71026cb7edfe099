"""The numbers of the text on token plus position."""

from __future__ import annotations

from typing import Any

import torch

from .embed import embed


def numbers() -> dict[str, Any]:
    """Two sentences of the same three tokens."""
    tokens = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    positions = torch.tensor([[0.1, 0.0], [0.2, 0.5], [0.3, 1.0], [0.4, 1.5]])
    ids = torch.tensor([[0, 1, 2], [2, 1, 0]])
    return {
        "tokens": tokens.tolist(),
        "positions": positions.tolist(),
        "ids": ids.tolist(),
        "out": embed(ids, tokens, positions).tolist(),
        "context": 1024,
    }


def prediction() -> int:
    """The rows of 1,024 positions that 100 tokens never reach."""
    positions = torch.zeros(1024, 1, requires_grad=True)
    embed(torch.zeros(4, 100, dtype=torch.long), torch.zeros(1, 1), positions).sum().backward()
    assert positions.grad is not None
    return int((positions.grad == 0).sum())
