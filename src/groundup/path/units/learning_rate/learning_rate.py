"""The learning rate of a step, right or with one of its known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

PRECISE = 2e-6  # of max_lr: somebody may compute in float32


@reference
def learning_rate(
    step: int, *, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int, wrong: Wrong = RIGHT
) -> float:
    """Linear warm-up to max_lr, then half a cosine down to min_lr.

    Step 0 already learns and step warmup_steps - 1 has max_lr; so has step warmup_steps, where the cosine begins. Step
    total_steps - 1 has min_lr (max_lr, if that is the step where the cosine begins), and so have all after it. If
    total_steps is not above warmup_steps, the warm-up wins.
    """
    if "learning_rate-counts-from-one" in wrong:
        step -= 1
    if "learning_rate-fails-without-warmup" in wrong and warmup_steps == 0:
        raise ZeroDivisionError("division by zero")
    if "learning_rate-of-the-book" in wrong:
        return _of_the_book(step, min_lr, max_lr, min_lr, warmup_steps, total_steps)
    if "learning_rate-of-the-book-from-zero" in wrong:
        return _of_the_book(step, 0.0, max_lr, min_lr, warmup_steps, total_steps)
    if "learning_rate-last-step-wins" in wrong and step >= total_steps - 1:
        return min_lr
    if "learning_rate-ends-swapped" in wrong:
        max_lr, min_lr = min_lr, max_lr
    if "learning_rate-no-warmup" not in wrong and _warms_up(step, warmup_steps, total_steps, wrong):
        return _warmup(step, max_lr, min_lr, warmup_steps, total_steps, wrong)
    if step >= total_steps and not _goes_on(wrong):
        if "learning_rate-top-after" in wrong:
            return max_lr
        return 0.0 if "learning_rate-zero-after" in wrong else min_lr
    if "learning_rate-only-step-low" in wrong and step == total_steps - 1:
        return min_lr
    if "learning_rate-exponential" in wrong:
        return max_lr * (min_lr / max_lr) ** _way_down(step, warmup_steps, total_steps, wrong)
    height = _height(_way_down(step, warmup_steps, total_steps, wrong), wrong)
    if "learning_rate-no-floor" in wrong:
        return height * max_lr
    if "learning_rate-floor-cut" in wrong:
        return max(min_lr, height * max_lr)
    if "learning_rate-floor-added" in wrong:
        return min_lr + height * max_lr
    return min_lr + height * (max_lr - min_lr)


def _of_the_book(step: int, first: float, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int) -> float:
    """The schedule of the book's appendix D, whose first step has the rate `first` and which has no end."""
    if step < warmup_steps:
        return first + step * (max_lr - first) / warmup_steps
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * 0.5 * (1 + math.cos(math.pi * progress))


def _warms_up(step: int, warmup_steps: int, total_steps: int, wrong: Wrong) -> bool:
    if "learning_rate-decay-wins" in wrong and step >= total_steps:
        return False
    if "learning_rate-warmup-too-long" in wrong or "learning_rate-warmup-overshoots" in wrong:
        return step <= warmup_steps
    return step < warmup_steps


def _warmup(step: int, max_lr: float, min_lr: float, warmup_steps: int, total_steps: int, wrong: Wrong) -> float:
    """The rate while it grows."""
    if "learning_rate-from-zero" in wrong or "learning_rate-warmup-too-long" in wrong:
        return max_lr * step / warmup_steps
    if "learning_rate-one-more-part" in wrong:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if "learning_rate-top-too-early" in wrong:
        return max_lr * min(1.0, step / max(1, warmup_steps - 1))
    if "learning_rate-from-min" in wrong:
        return min_lr + (max_lr - min_lr) * step / warmup_steps
    if "learning_rate-from-min-learning" in wrong:
        return min_lr + (max_lr - min_lr) * (step + 1) / warmup_steps
    if "learning_rate-warmup-by-total" in wrong:
        return max_lr * (step + 1) / total_steps
    if "learning_rate-floor-in-warmup" in wrong:
        return max(min_lr, max_lr * (step + 1) / warmup_steps)
    if "learning_rate-whole-division" in wrong:
        return max_lr * ((step + 1) // warmup_steps)
    if "learning_rate-warmup-flat" in wrong:
        return max_lr
    return max_lr * (step + 1) / warmup_steps


def _goes_on(wrong: Wrong) -> bool:
    """Whether the curve has no end."""
    if "learning_rate-longer" in wrong:
        return True
    return "learning_rate-up-again" in wrong or "learning_rate-never-down" in wrong


def _way_down(step: int, warmup_steps: int, total_steps: int, wrong: Wrong) -> float:
    """How much of the decay lies behind: from 0 to 1."""
    behind, n_steps = step - warmup_steps, total_steps - 1 - warmup_steps
    if "learning_rate-over-total" in wrong:
        n_steps = total_steps - warmup_steps
    if "learning_rate-one-ahead" in wrong:
        behind, n_steps = step + 1 - warmup_steps, total_steps - warmup_steps
    if "learning_rate-warmup-not-taken-off" in wrong:
        behind, n_steps = step, total_steps - 1
    if "learning_rate-warmup-not-taken-off-over-total" in wrong:
        behind, n_steps = step, total_steps
    if "learning_rate-length-with-warmup" in wrong:
        n_steps = total_steps - 1
    if "learning_rate-length-with-warmup-over-total" in wrong:
        n_steps = total_steps
    if "learning_rate-longer" in wrong:
        return min(1.0, behind / total_steps)
    if "learning_rate-whole-division-in-decay" in wrong:
        return float(behind // max(1, n_steps))
    if "learning_rate-divides-by-zero" in wrong:
        return behind / n_steps
    return behind / n_steps if n_steps > 0 else 0.0


def _height(way: float, wrong: Wrong) -> float:
    """Where between min_lr (0) and max_lr (1) the rate stands."""
    if "learning_rate-linear" in wrong:
        return 1 - way
    if "learning_rate-never-down" in wrong:
        return 1.0
    if "learning_rate-half-forgotten" in wrong:
        return 1 + math.cos(math.pi * way)
    if "learning_rate-one-forgotten" in wrong:
        return math.cos(math.pi * way)
    if "learning_rate-quarter-wave" in wrong:
        return math.cos(math.pi / 2 * way)
    if "learning_rate-whole-wave" in wrong:
        return 0.5 * (1 + math.cos(2 * math.pi * way))
    if "learning_rate-sine" in wrong:
        return 0.5 * (1 + math.sin(math.pi * way))
    if "learning_rate-degrees" in wrong:
        return 0.5 * (1 + math.cos(180 * way))
    if "learning_rate-no-pi" in wrong:
        return 0.5 * (1 + math.cos(way))
    if "learning_rate-rising" in wrong:
        return 0.5 * (1 - math.cos(math.pi * way))
    return 0.5 * (1 + math.cos(math.pi * way))


def cases(draw: Draw) -> Iterator[Case]:
    """A short run from its first step to beyond its last, then usual ones, then runs without room for a part."""
    for step in (0, 1, 2, 3):
        yield _case("the warm-up: step 0 already learns, the last has max_lr", step, 8.0, 2.0, 4, 13)
    yield _case("the first step after the warm-up still has max_lr", 4, 8.0, 2.0, 4, 13)
    for step in (5, 6, 8, 10, 11):
        yield _case("half a cosine from max_lr to min_lr", step, 8.0, 2.0, 4, 13)
    yield _case("the last step has min_lr", 12, 8.0, 2.0, 4, 13)
    for step in (13, 14, 18, 20, 100):
        yield _case("after the end it stays at min_lr", step, 8.0, 2.0, 4, 13)
    for _ in range(4):
        warmup = draw.randint(2, 20)
        total = warmup + draw.randint(5, 60)
        low = round(draw.uniform(0.1, 0.3), 3)
        yield _case("the warm-up", draw.randrange(warmup), 1.0, low, warmup, total)
        for _ in range(2):
            step = draw.randrange(warmup, total)
            yield _case("half a cosine from max_lr to min_lr", step, 1.0, low, warmup, total)
        yield _case("the last step has min_lr", total - 1, 1.0, low, warmup, total)
    for step in (0, 99, 100, 550, 999, 1500):
        yield _case("the rates of a usual run", step, 3e-4, 3e-5, 100, 1000)
    for step in (0, 3, 9, 10, 15):
        yield _edge("without a warm-up the cosine begins at once", step, 1.0, 0.1, 0, 10)
    for step in (3, 6, 9):
        yield _edge("min_lr may be 0", step, 1.0, 0.0, 2, 10)
    for step in (2, 3):
        yield _edge("a single step after the warm-up has max_lr", step, 1.0, 0.1, 3, 4)
    for step, warmup, total in ((4, 10, 5), (7, 10, 5), (9, 10, 10), (5, 6, 1)):
        yield _edge("no room for a decay: the warm-up wins", step, 1.0, 0.1, warmup, total)


def _case(shows: str, step: int, max_lr: float, *settings: float, kind: Callable[..., Case] = case) -> Case:
    """settings: min_lr, warmup_steps, total_steps."""
    names = ("min_lr", "warmup_steps", "total_steps")
    keywords = {"max_lr": max_lr} | dict(zip(names, settings, strict=True))
    return kind(shows, step, **keywords, tolerance=PRECISE * min(1.0, max_lr))


_edge = functools.partial(_case, kind=edge)
