"""The numbers of the text on a training step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .train_step import train_step

LR, MAX_NORM = 0.1, 0.5
BATCH = torch.tensor([[0]]), torch.tensor([[0]])


def numbers() -> dict[str, Any]:
    """Two steps of a model with two rows of one number each, and what they leave behind."""
    params, state = {"lm_head.weight": torch.zeros(2, 1, requires_grad=True)}, {}
    seen: dict[str, list[float]] = {key: [] for key in ("loss", "gradient", "norm", "clipped", "m", "v", "weight")}
    for _ in range(2):
        (gradient,) = torch.autograd.grad(-_forward(BATCH[0], params)[0, 0].log_softmax(-1)[0], list(params.values()))
        result = train_step(_forward, params, BATCH, state, lr=LR, max_norm=MAX_NORM)
        m, v = state["moments"]["lm_head.weight"]
        first = gradient[0, 0].item()
        seen["loss"].append(result["loss"])
        seen["gradient"].append(first)
        seen["norm"].append(result["grad_norm"])
        seen["clipped"].append(first * min(1.0, MAX_NORM / result["grad_norm"]))
        seen["m"].append(m[0, 0].item())
        seen["v"].append(v[0, 0].item())
        seen["weight"].append(params["lm_head.weight"][0, 0].item())
    return {"start": 0.0, "lr": LR, "max_norm": MAX_NORM, **seen}


def prediction() -> float:
    """How long the first step is with clipped gradients, compared with the same step without."""
    return _first_step(MAX_NORM / 1000) / _first_step(100.0)


def _first_step(max_norm: float) -> float:
    params = {"lm_head.weight": torch.zeros(2, 1, requires_grad=True)}
    train_step(_forward, params, BATCH, {}, lr=LR, max_norm=max_norm)
    return params["lm_head.weight"][0, 0].item()


def _forward(inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
    """The same logits everywhere."""
    return params["lm_head.weight"][:, 0].expand(*inputs.shape, 2)  # (B, T, V)
