"""The numbers of the text on heads."""

from __future__ import annotations

from typing import Any

import torch


def numbers() -> dict[str, Any]:
    """Two tokens with four features, cut into two heads, and dealt out by a reshape alone."""
    x = torch.arange(8).view(1, 2, 4)
    larger = _numbered_through()
    return {
        "x": x[0].tolist(),
        "heads": x.view(1, 2, 2, 2).transpose(1, 2)[0].tolist(),
        "dealt": x.view(1, 2, 2, 2)[0].tolist(),
        "last": larger.numel() - 1,
        "dealt_entry": int(larger.view(2, 2, 3, 4)[1, 0, 2, 3]),
    }


def prediction() -> float:
    """An entry of (2, 3, 8) numbers in two heads."""
    return _numbered_through().view(2, 3, 2, 4).transpose(1, 2)[1, 0, 2, 3].item()


def _numbered_through() -> torch.Tensor:
    return torch.arange(2 * 3 * 8).view(2, 3, 8)
