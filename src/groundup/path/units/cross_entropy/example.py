"""The numbers of the text on the cross-entropy."""

from __future__ import annotations

import math
from typing import Any

import torch

from .cross_entropy import cross_entropy

GPT2, GEMMA = 50257, 262144  # tokens


def numbers() -> dict[str, Any]:
    """Three logits and what each target would lose; what a model loses that knows nothing."""
    logits = torch.tensor([2.0, 1.0, 0.0])
    losses = [cross_entropy(logits, torch.tensor(target)).item() for target in range(3)]
    return {
        "logits": logits.tolist(),
        "exps": logits.exp().tolist(),
        "total": logits.exp().sum().item(),
        "log_total": logits.logsumexp(0).item(),
        "probabilities": logits.softmax(0).tolist(),
        "losses": losses,
        "mean": cross_entropy(logits.expand(2, 3), torch.tensor([0, 2])).item(),
        "v": GPT2,
        "gemma": GEMMA,
        "flat": math.log(GPT2),
        "good": -math.log(0.9),
        "bad": -math.log(1e-6),
    }


def prediction() -> float:
    """The mean loss of 99 targets with a probability of 0.9 and one with a millionth."""
    probabilities = torch.full((100,), 0.9, dtype=torch.float64)
    probabilities[-1] = 1e-6
    logits = torch.stack([probabilities.log(), (1 - probabilities).log()], dim=1)
    return cross_entropy(logits, torch.zeros(100, dtype=torch.int64)).item()
