"""One training step, as the book's reader would write it: everything of this chapter, in order.

The trainer takes the same steps through joints that can be fused; this is the form in which they are all in sight.

Read next: `by_hand.py`, the same step with gradients that no autograd has found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .clipping import clip_gradients
from .loss import Batch, Forward, cross_entropy
from .optimizers import adamw_step, decay_groups


def train_step(
    forward: Forward,
    params: Mapping[str, Tensor],
    batch: Batch,
    state: dict[str, Any],
    *,
    lr: float,
    max_norm: float,
    cross_entropy=cross_entropy,
    clip_gradients=clip_gradients,
    decay_groups=decay_groups,
    adamw_step=adamw_step,
) -> dict[str, float]:
    """Learn from one batch: loss, gradients, clipping, AdamW.

    forward(inputs (B, T), params) -> logits (B, T, V); batch: inputs and targets, both (B, T). state is {} before the
    first step and holds the moments afterwards. Returns `loss` and `grad_norm`, before clipping.
    """
    inputs, targets = batch
    for param in params.values():
        param.grad = None  # a gradient is added to what is there
    loss = cross_entropy(forward(inputs, params), targets)  # ()
    loss.backward()
    grad_norm = clip_gradients([param.grad for param in params.values()], max_norm)

    step = state["step"] = state.get("step", 0) + 1
    moments = state.setdefault("moments", {})  # name: (m, v)
    _, no_decay = decay_groups(list(params.items()))
    for name, param in params.items():
        if param.grad is None:
            continue
        m, v = moments.setdefault(name, (torch.zeros_like(param.detach()), torch.zeros_like(param.detach())))
        if name in no_decay:
            adamw_step(param, param.grad, m, v, step, lr, weight_decay=0.0)
        else:
            adamw_step(param, param.grad, m, v, step, lr)
        param.grad = None
    return {"loss": loss.item(), "grad_norm": grad_norm}
