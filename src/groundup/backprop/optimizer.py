"""AdamW and clipping in NumPy, and with them the whole of training in one function: no autograd anywhere.

The arithmetic is that of `training/optimizers.py` and `training/clipping.py`, which explain it; here it is written for
arrays, in place, with as few passes over the memory as NumPy allows.

Read next: `gradient_check.py`; beside this file, `training/train_step.py`.
Sources: Kingma and Ba 2015 (Adam), algorithm 1; Loshchilov and Hutter 2019 (AdamW), algorithm 2; Pascanu et al. 2013,
algorithm 1 (clipping).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from .transformer import gpt_backward


def train_step(
    ids: ndarray,
    targets: ndarray,
    p: Mapping[str, ndarray],
    state: dict[str, Any],
    n_layers: int,
    n_heads: int,
    *,
    lr: float,
    max_norm: float = 1.0,
    gpt_backward=gpt_backward,
) -> dict[str, float]:
    """Learn from one batch: loss, gradients, clipping, AdamW; changes the arrays of p in place.

    ids, targets: (B, T). state is {} before the first step and holds the moments afterwards. Returns `loss` and
    `grad_norm`, before clipping.
    """
    loss, dp = gpt_backward(ids, targets, p, n_layers, n_heads)
    grad_norm = clip_gradients(list(dp.values()), max_norm)
    step = state["step"] = state.get("step", 0) + 1
    moments = state.setdefault("moments", {})  # name: (m, v)
    for name, param in p.items():
        if name not in moments:
            moments[name] = (np.zeros_like(param), np.zeros_like(param))
        m, v = moments[name]
        adamw_step(param, dp[name], m, v, step, lr, weight_decay=0.1 if is_decayed(name, param) else 0.0)
    return {"loss": loss, "grad_norm": grad_norm}


def clip_gradients(grads: Sequence[ndarray | None], max_norm: float) -> float:
    """Scale all gradients in place so that their joint norm is at most max_norm; returns the norm before.

    A norm that is no finite number leaves the gradients alone: scaling by it would spread one NaN to all of them.
    """
    present = [grad for grad in grads if grad is not None]
    norm = math.sqrt(math.fsum(float(np.vdot(grad, grad)) for grad in present))
    if math.isfinite(norm) and norm > max_norm:
        for grad in present:
            np.multiply(grad, max_norm / norm, out=grad)
    return norm


def is_decayed(name: str, param: ndarray) -> bool:
    """Whether weight decay shrinks a parameter: matrices, but not the tables of the embedding."""
    return param.ndim >= 2 and name not in ("wte", "wpe")


def adamw_step(
    param: ndarray,
    grad: ndarray,
    m: ndarray,
    v: ndarray,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """One step of AdamW, in place on param, m and v; all four arrays have the same shape, step counts from 1."""
    beta1, beta2 = betas
    if weight_decay:
        param *= 1 - lr * weight_decay

    scratch = grad - m
    scratch *= 1 - beta1
    m += scratch  # beta1 · m + (1 - beta1) · grad
    np.multiply(grad, grad, out=scratch)
    scratch -= v
    scratch *= 1 - beta2
    v += scratch  # beta2 · v + (1 - beta2) · grad²

    # m and v start at 0 and are too small at first: the corrections go into the length of the step, as numbers.
    m_part, v_part = 1 - beta1**step, math.sqrt(1 - beta2**step)
    np.sqrt(v, out=scratch)
    scratch += eps * v_part
    np.divide(m, scratch, out=scratch)
    scratch *= lr * v_part / m_part
    param -= scratch
