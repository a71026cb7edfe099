"""What a run's curve tells: the few signs that are sure enough to be said aloud.

A loss is noisy, so that nothing is read from a single step: means over many steps are compared, and a difference counts
only where it is far larger than the noise. A sign that is missing proves nothing.

Read next: `doctor.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

from ..training.metrics import Row
from .findings import Finding

FEWEST_STEPS = 40  # before which a curve says nothing
RISE, LEAST_RISE = 0.2, 0.3  # of the best loss, and in nats: a run that rose so far does not come back by itself
OVERFIT = 0.02  # of the best held-out value, over three measurements in a row
CLIPPED_STEPS = 100
PATIENCE = 300  # steps after which a loss that has not moved is worth a word
STILL = 0.02  # of the first loss


def signs(rows: Sequence[Row], max_norm: float | None) -> Iterator[Finding]:
    """The findings of a curve. rows: the lines of metrics.jsonl; max_norm: training.max_norm, where it is known."""
    # JSON has no nan: a number that was none may be missing from its line.
    rows = [{"loss": math.nan, "grad_norm": math.nan, **row} for row in rows]
    # In float16 a step may overflow: it is left out, its scale is halved, and the line says so.
    rows = [row for row in rows if "loss_scale" not in row or all(map(math.isfinite, (row["loss"], row["grad_norm"])))]
    bad = next((row for row in rows if not math.isfinite(row["loss"])), None)
    if bad is not None:
        yield Finding("loss-nonfinite", {"loss": bad["loss"], "step": int(bad["step"])})
        return
    if len(rows) >= FEWEST_STEPS:
        yield from _direction(rows)
    if max_norm is not None:
        yield from _clipping(rows, max_norm)
    yield from _overfitting(rows)


def _direction(rows: Sequence[Row]) -> Iterator[Finding]:
    """Where the loss goes: up again, or nowhere."""
    n = max(10, len(rows) // 20)
    means = [fmean(row["loss"] for row in rows[end - n : end]) for end in range(n, len(rows) + 1, n)]
    best = min(range(len(means)), key=means.__getitem__)
    last = fmean(row["loss"] for row in rows[-n:])
    if last - means[best] > max(RISE * means[best], LEAST_RISE):
        step = int(rows[(best + 1) * n - 1]["step"])
        yield Finding("diverging", {"n": n, "best": f"{means[best]:.3f}", "step": step, "last": f"{last:.3f}"})
    elif len(rows) >= PATIENCE and means[0] - min(means) < STILL * abs(means[0]):
        values = {"n": n, "first": f"{means[0]:.3f}", "last": f"{last:.3f}", "steps": f"{len(rows):,}"}
        yield Finding("not-learning", values)


def _clipping(rows: Sequence[Row], max_norm: float) -> Iterator[Finding]:
    newest = rows[-CLIPPED_STEPS:]
    if len(newest) == CLIPPED_STEPS and all(row["grad_norm"] > max_norm for row in newest):
        yield Finding("always-clipped", {"max_norm": max_norm, "n": CLIPPED_STEPS})


def _overfitting(rows: Sequence[Row]) -> Iterator[Finding]:
    """Whether the held-out value has been rising for three measurements, while the training loss fell."""
    measured = [i for i, row in enumerate(rows) if math.isfinite(row.get("val_bits_per_byte", math.nan))]
    if len(measured) < 4:
        return
    values = [rows[i]["val_bits_per_byte"] for i in measured]
    best = min(range(len(values)), key=values.__getitem__)
    is_worse = len(values) - best > 3 and min(values[-3:]) > values[best] * (1 + OVERFIT)
    n = max(1, len(rows) // 20)
    around_best = rows[max(0, measured[best] - n) : measured[best] + 1]
    falls = fmean(row["loss"] for row in rows[-n:]) < fmean(row["loss"] for row in around_best)
    if is_worse and falls:
        step = int(rows[measured[best]]["step"])
        yield Finding("overfitting", {"best": f"{values[best]:.3f}", "step": step, "last": f"{values[-1]:.3f}"})
