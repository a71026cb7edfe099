"""The numbers of the text on the whole model."""

from __future__ import annotations

from typing import Any

import torch

from ..layer_norm.layer_norm import layer_norm

V, C, T = 50257, 768, 1024  # of GPT-2 small


def numbers() -> dict[str, Any]:
    """One token on its way through a model of two blocks, whose additions are given."""
    wte = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 1.0], [-1.0, 0.0, 1.0], [2.0, -1.0, 0.0]])
    token, position = wte[0], torch.tensor([0.0, 1.0, 0.0])
    added = torch.tensor([[-1.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
    x = token + position
    stream = x + added.sum(0)
    normed = layer_norm(stream, torch.ones(3), torch.zeros(3))
    logits = wte @ normed
    return {
        "wte": wte.tolist(),
        "token": token.tolist(),
        "position": position.tolist(),
        "x": x.tolist(),
        "added": added.tolist(),
        "stream": stream.tolist(),
        "normed": normed.tolist(),
        "logits": logits.tolist(),
        "best": int(logits.argmax()),
        "v": V,
        "c": C,
        "t": T,
        "stream_size": T * C,
        "logits_size": T * V,
        "megabytes": 4 * T * V / 1e6,
        "table_size": V * C,
    }


def prediction() -> float:
    """How many times as many numbers the logits hold as the stream."""
    return round(V / C, 1)
