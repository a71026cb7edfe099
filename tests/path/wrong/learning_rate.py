"""Wrong implementations of learning_rate as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import math
def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if step > total_steps:
        return min_lr
    ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (max_lr - min_lr)
""",
        "off by one",
    ),
    (
        """
import math
def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    ratio = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    return max(min_lr, 0.5 * (1.0 + math.cos(math.pi * min(1.0, ratio))) * max_lr)
""",
        "min_lr only cuts",
    ),
]
