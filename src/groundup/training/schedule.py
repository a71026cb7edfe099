"""The learning rate: how far each step goes, and why that changes while a model trains.

The first steps are taken by moments that have seen almost nothing, so they start small and grow: the warm-up. Then the
rate stays high, because far steps find good regions, and comes down towards the end, because near steps find the bottom
of one. Schedules differ only in how they come down:

    cosine      slowly, then quickly, then slowly again; the whole way
    linear      along a straight line; the whole way
    wsd         warm-up, stable, decay: not at all until the last steps
    constant    never

Each is a function of the step alone, so that a run that goes on after a stop needs no memory of its schedule.

Read next: `clipping.py`.
Sources: Loshchilov and Hutter 2017 (SGDR), section 3 (cosine); Hu et al. 2024 (MiniCPM), section 4 (WSD).
"""

from __future__ import annotations

import math


def learning_rate(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Linear warm-up, then half a cosine from max_lr down to min_lr, which the last step has.

    Step 0 already learns. Without room for a decay (total_steps ≤ warmup_steps) the warm-up wins.
    """
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    height = 0.5 * (1 + math.cos(math.pi * _way_down(step, warmup_steps, total_steps)))  # from 1 to 0
    return height * max_lr + (1 - height) * min_lr


def linear_learning_rate(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """The same warm-up, then a straight line from max_lr down to min_lr, which the last step has."""
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    height = 1 - _way_down(step, warmup_steps, total_steps)  # from 1 to 0
    return height * max_lr + (1 - height) * min_lr


def wsd_learning_rate(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, decay_steps: int, total_steps: int
) -> float:
    """The same warm-up, then max_lr, then a straight line down over the last decay_steps steps to min_lr.

    The first step of the decay is already below max_lr, the last one has min_lr. Where the warm-up reaches into the
    decay, the warm-up wins.
    """
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    if step >= total_steps:
        return min_lr
    n_decayed = max(0, step - (total_steps - decay_steps) + 1)
    height = 1 - n_decayed / decay_steps if n_decayed else 1.0  # from 1 to 0
    return height * max_lr + (1 - height) * min_lr


def constant_learning_rate(step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """The same warm-up, then max_lr for good. min_lr and total_steps are taken as by the others, and change nothing."""
    return max_lr * (step + 1) / warmup_steps if step < warmup_steps else max_lr


def _way_down(step: int, warmup_steps: int, total_steps: int) -> float:
    """How much of the decay lies behind: 0 at the first step after the warm-up, 1 at the last step and after it."""
    if step >= total_steps:
        return 1.0
    n_steps = total_steps - 1 - warmup_steps
    return (step - warmup_steps) / n_steps if n_steps else 0.0  # a decay of one step stays at the top
