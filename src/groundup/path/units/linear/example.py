"""The numbers of the text on linear layers."""

from __future__ import annotations

from typing import Any

import torch

from .linear import linear


def numbers() -> dict[str, Any]:
    """A layer with two inputs and three outputs, the size of a real one, and two layers in a row."""
    x = torch.tensor([1.0, 2.0])
    weight = torch.tensor([[1.0, 10.0], [3.0, -1.0], [0.0, 0.5]])
    bias = torch.tensor([0.0, 5.0, -1.0])
    llama_in, llama_out = 4096, 128256
    first, second = _two_layers()
    return {
        "x": x.tolist(),
        "weight": weight.tolist(),
        "bias": bias.tolist(),
        "y": linear(x, weight, bias).tolist(),
        "llama_in": llama_in,
        "llama_out": llama_out,
        "llama_total": llama_in * llama_out,
        "between": len(first[1]),
        "two_layers": sum(tensor.numel() for tensor in (*first, *second)),
    }


def prediction() -> float:
    """How many numbers a single layer holds that does what two in a row do."""
    (w1, b1), (w2, b2) = _two_layers()
    weight, bias = w2 @ w1, linear(b1, w2, b2)
    x = torch.tensor([0.5, -2.0])
    assert torch.allclose(linear(linear(x, w1, b1), w2, b2), linear(x, weight, bias), rtol=1e-3)
    return weight.numel() + bias.numel()


def _two_layers() -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    wave = torch.arange(5000.0).sin() / 30
    return (wave[:2000].view(1000, 2), wave[2000:3000]), (wave[3000:].view(2, 1000), torch.tensor([1.0, -1.0]))
