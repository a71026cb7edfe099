"""The numbers of the text on the learning rate."""

from __future__ import annotations

from typing import Any

from .learning_rate import learning_rate

TOP, BOTTOM, WARMUP, TOTAL = 1.0, 0.1, 4, 13


def numbers() -> dict[str, Any]:
    """The rates of a run of 13 steps, of which 4 are the warm-up."""
    rates = [
        learning_rate(step, max_lr=TOP, min_lr=BOTTOM, warmup_steps=WARMUP, total_steps=TOTAL) for step in range(TOTAL)
    ]
    return {"rates": rates, "top": TOP, "bottom": BOTTOM, "total": TOTAL}


def prediction() -> float:
    """The share of the maximum that is left when nine tenths of the way down are behind."""
    return learning_rate(90, max_lr=1.0, min_lr=0.0, warmup_steps=0, total_steps=101)
