"""The numbers of the text on GPT-2's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...case import Draw
from .convert_gpt2_weights import convert_gpt2_weights, gpt2_weights

N_LAYERS = 12


def numbers() -> dict[str, Any]:
    """A vector through a stored weight, turned and not; a c_attn to cut; how many tensors a file has."""
    x, stored = torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # (in,), (in, out)
    c_attn = torch.arange(1.0, 13.0).view(2, 6)  # (C, 3*C)
    w_q, w_k, w_v = c_attn.T.chunk(3)  # (C, C)
    return {
        "x": x.tolist(),
        "w": stored.tolist(),
        "out": (x @ stored).tolist(),
        "not_turned": (x @ stored.T).tolist(),
        "c_attn": c_attn.tolist(),
        "q": w_q.tolist(),
        "k": w_k.tolist(),
        "v": w_v.tolist(),
        "layers": N_LAYERS,
        "theirs": len(_file()),
    }


def prediction() -> float:
    """How many tensors the converted file has."""
    return len(convert_gpt2_weights(_file(), N_LAYERS))


def _file() -> dict[str, Tensor]:
    """A tiny model of twelve layers, each with its causal mask, as it was published."""
    masks = {f"h.{i}.attn.bias": torch.ones(1, 1, 2, 2).tril() for i in range(N_LAYERS)}
    return gpt2_weights(Draw(0), 4, 2, 3, 3, N_LAYERS) | masks
