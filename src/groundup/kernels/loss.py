"""From the last hidden states to the loss. Equals the joint `training.loss.head_loss`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ..model.transformer import soft_cap
from .linear import fused_linear


def fused_head_loss(hidden: Tensor, weight: Tensor, targets: Tensor, logit_soft_cap: float | None = None) -> Tensor:
    """Mean cross-entropy over the targets that are not -100. hidden: (…, C), weight: (V, C), targets: (…) -> scalar."""
    logits = soft_cap(fused_linear(hidden, weight), logit_soft_cap).flatten(0, -2)
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    counted = targets.flatten() != -100
    total = functional.cross_entropy(logits, targets.flatten(), ignore_index=-100, reduction="sum")  # ()
    return total / counted.sum().clamp(min=1)  # nothing counted: 0, with a gradient of 0
