"""The numbers of the text on the causal mask."""

from __future__ import annotations

from typing import Any

import torch


def numbers() -> dict[str, Any]:
    """The mask of four tokens, and the weights where all scores are equal."""
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    even = _even_weights(4)
    return {
        "mask": mask.int().tolist(),
        "allowed": int(mask.sum()),
        "pairs": mask.numel(),
        "even": even.tolist(),
        "last": even.sum(0)[3].item(),
        "first_of_1000": _even_weights(1000).sum(0)[0].item(),
    }


def prediction() -> float:
    """How much weight the first of four tokens is given altogether, where all scores are equal."""
    return _even_weights(4).sum(0)[0].item()


def _even_weights(t: int) -> torch.Tensor:
    """The weights of t tokens whose scores are all equal: (T, T)."""
    allowed = torch.ones(t, t).tril()
    return allowed / allowed.sum(1, keepdim=True)
