"""Right in unusual ways."""

from __future__ import annotations

import math


def learning_rate_of_nanogpt(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    if step > total_steps - 1:
        return min_lr
    decay_ratio = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    assert 0 <= decay_ratio <= 1
    coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
    return min_lr + coeff * (max_lr - min_lr)


def learning_rate_clamped(step, max_lr, min_lr, warmup_steps, total_steps):
    if warmup_steps and step < warmup_steps:
        return (step + 1) * (max_lr / warmup_steps)
    n = total_steps - warmup_steps - 1
    progress = min(1.0, (step - warmup_steps) / n) if n > 0 else 0.0
    return (max_lr + min_lr) / 2 + (max_lr - min_lr) / 2 * math.cos(progress * math.pi)


def learning_rate_by_sine_squared(step, *, max_lr, min_lr, warmup_steps, total_steps):
    first, last = warmup_steps, total_steps - 1
    if step < first:
        return max_lr - max_lr * (warmup_steps - step - 1) / warmup_steps
    if step >= last:
        return max_lr if step == first == last else min_lr
    half_angle = math.pi / 2 * (last - step) / (last - first)
    return min_lr + (max_lr - min_lr) * math.sin(half_angle) ** 2


def learning_rate_from_a_table(step, *, max_lr, min_lr, warmup_steps, total_steps):
    table = [max_lr * (i + 1) / warmup_steps for i in range(warmup_steps)]
    n = total_steps - warmup_steps
    table += [min_lr + 0.5 * (max_lr - min_lr) * (1 + math.cos(math.pi * i / (n - 1 or 1))) for i in range(max(0, n))]
    return table[step] if step < len(table) else min_lr


def learning_rate_in_float32(step, *, max_lr, min_lr, warmup_steps, total_steps):
    import numpy as np

    if step < warmup_steps:
        return float(np.float32(max_lr) * np.float32(step + 1) / np.float32(warmup_steps))
    way = np.clip((step - warmup_steps) / max(total_steps - 1 - warmup_steps, 1), 0, 1).astype(np.float32)
    return float(np.float32(min_lr) + (np.float32(max_lr) - np.float32(min_lr)) * (1 + np.cos(np.pi * way)) / 2)


def learning_rate_by_turns(step, *, max_lr, min_lr, warmup_steps, total_steps):
    """A pointer that turns by the same angle with each step."""
    if step < warmup_steps:
        return max_lr * ((step + 1) / warmup_steps)
    turns = max(1, total_steps - 1 - warmup_steps)
    turn = complex(math.cos(math.pi / turns), math.sin(math.pi / turns))
    pointer = complex(1, 0)
    for _ in range(min(step - warmup_steps, turns)):
        pointer *= turn
    return min_lr + (max_lr - min_lr) * (1 + pointer.real) / 2
