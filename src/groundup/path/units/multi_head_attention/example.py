"""The numbers of the text on multi-head attention."""

from __future__ import annotations

import math
from typing import Any

import torch

C, H, T = 768, 12, 1024  # of GPT-2 small


def numbers() -> dict[str, Any]:
    """What the second of two tokens sees, with one head and with two; every projection leaves its input as it is."""
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    q = x[1]
    one = (x @ q / math.sqrt(2)).softmax(0)
    two = (x * q).T.softmax(1)
    return {
        "x": x.tolist(),
        "one": one.tolist(),
        "one_out": (one @ x).tolist(),
        "two": two.tolist(),
        "two_out": (two * x.T).sum(1).tolist(),
        "c": C,
        "h": H,
        "t": T,
        "output": T * C,
        "tables": H * T * T,
    }


def prediction() -> float:
    """How many times as many numbers the attention weights hold as the output."""
    return H * T * T / (T * C)
