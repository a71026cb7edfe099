"""The numbers of the text on windows."""

from __future__ import annotations

from typing import Any

import torch

from .next_token_windows import next_token_windows


def numbers() -> dict[str, Any]:
    """Seven ids in windows of three."""
    ids, length, stride = torch.tensor([5, 9, 2, 7, 3, 8, 6]), 3, 2
    inputs, targets = next_token_windows(ids, length, stride)
    left_out = len(inputs) * stride
    return {
        "ids": ids.tolist(),
        "n": len(ids),
        "length": length,
        "stride": stride,
        "inputs": inputs.tolist(),
        "targets": targets.tolist(),
        "left_out": left_out,
        "rest": ids[left_out:].tolist(),
        "n_starts": len(ids) - length,
        "last_start": len(ids) - length - 1,
    }


def prediction() -> int:
    """The windows of 8 tokens, end to end, in a text of 1,000."""
    return len(next_token_windows(torch.arange(1000), 8, 8)[0])
