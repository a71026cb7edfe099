"""The loss scale after one more step, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def loss_scale_update(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000, *, wrong: Wrong = RIGHT
) -> tuple[float, int]:
    """The loss scale for the next step, and how many good steps in a row it then has behind it.

    found_inf: whether this step's gradients overflowed. good_steps: the good steps before this one.
    """
    if "loss_scale_update-default" in wrong and growth_interval == 2000:
        growth_interval = 1000
    if "loss_scale_update-interval-ignored" in wrong:
        growth_interval = 2000
    if "loss_scale_update-flag-inverted" in wrong:
        found_inf = not found_inf
    grows = _grows(good_steps, growth_interval, wrong)
    if found_inf and not (grows and "loss_scale_update-growth-first" in wrong):
        scale, good_steps = _after_overflow(scale, good_steps, wrong)
        if "loss_scale_update-one-after-overflow" in wrong and growth_interval == 1:
            scale, good_steps = scale * 2, 0
    elif grows:
        scale, good_steps = _after_growth(scale, good_steps, wrong)
    elif "loss_scale_update-not-counted" not in wrong:
        good_steps += 1
    if "loss_scale_update-exchanged" in wrong:
        return good_steps, scale  # pyright: ignore[reportReturnType] -- that is the mistake
    return scale if "loss_scale_update-only-scale" in wrong else (scale, good_steps)  # pyright: ignore[reportReturnType]


def _grows(good_steps: int, growth_interval: int, wrong: Wrong) -> bool:
    """Whether a good step is one after which the scale is doubled."""
    if "loss_scale_update-never-grows" in wrong:
        return False
    if "loss_scale_update-grows-each-step" in wrong:
        return True
    if "loss_scale_update-late" in wrong:
        return good_steps >= growth_interval
    if "loss_scale_update-early" in wrong:
        return good_steps + 2 >= growth_interval
    return good_steps + 1 >= growth_interval


def _after_overflow(scale: float, good_steps: int, wrong: Wrong) -> tuple[float, int]:
    if "loss_scale_update-overflow-not-reset" in wrong:
        good_steps_after = good_steps
    elif "loss_scale_update-overflow-counted" in wrong:
        good_steps_after = good_steps + 1
    else:
        good_steps_after = 1 if "loss_scale_update-one-after-overflow" in wrong else 0
    if "loss_scale_update-doubled-on-overflow" in wrong:
        return scale * 2, good_steps_after
    if "loss_scale_update-not-halved" in wrong:
        return scale, good_steps_after
    if "loss_scale_update-whole-numbers" in wrong:
        return scale // 2, good_steps_after
    if "loss_scale_update-floored" in wrong:
        return max(scale / 2, 1.0), good_steps_after
    return scale / (10 if "loss_scale_update-a-tenth" in wrong else 2), good_steps_after


def _after_growth(scale: float, good_steps: int, wrong: Wrong) -> tuple[float, int]:
    if "loss_scale_update-growth-not-reset" in wrong:
        good_steps_after = good_steps + 1
    else:
        good_steps_after = 1 if "loss_scale_update-one-after-growth" in wrong else 0
    if "loss_scale_update-halved-on-growth" in wrong:
        return scale / 2, good_steps_after
    if "loss_scale_update-capped" in wrong:
        return max(scale, min(scale * 2, 65536.0)), good_steps_after
    return scale * 2, good_steps_after


def cases(draw: Draw) -> Iterator[Case]:
    """Overflows, good steps, the step that completes the interval; then intervals and scales of many sizes."""
    overflow = "an overflow halves the scale and resets the count"
    yield case(overflow, 1024.0, True, 2, 5)
    yield case(overflow, 1024.0, True, 0, 5)
    yield case(overflow, 3.0, True, 1, 4)
    yield case("a good step is counted, and the scale stays", 1024.0, False, 0, 5)
    yield case("a good step is counted, and the scale stays", 1024.0, False, 2, 5)
    yield case("the present step counts: the one before the last does not double yet", 1024.0, False, 3, 5)
    growth = "the good step that completes growth_interval doubles the scale, and the count starts again"
    yield case(growth, 1024.0, False, 4, 5)
    yield case(growth, 65536.0, False, 4, 5)
    yield case("an overflow in the step that would have doubled the scale halves it", 1024.0, True, 4, 5)
    for good_steps in (0, 998, 999, 1000, 1998):
        yield case("growth_interval is 2000 unless it is given", 65536.0, False, good_steps)
    yield case(growth, 65536.0, False, 1999)
    yield case(overflow, 65536.0, True, 1999)
    for interval in (2, 3, 10, 100, 1500):
        scale = float(2 ** draw.randrange(1, 20))
        yield case("the interval that is given", scale, False, interval - 1, interval)
        yield case("the interval that is given", scale, False, interval - 2, interval)
        yield case("the interval that is given", scale, False, draw.randrange(interval - 1), interval)
        yield case(overflow, scale, True, draw.randrange(interval), interval)
    for _ in range(6):
        interval = draw.randrange(4, 1900)
        yield case(growth, draw.uniform(1.0, 1e6), False, interval - 1, interval)
        yield case(overflow, draw.uniform(10.0, 1e6), True, draw.randrange(interval), interval)
    yield edge("a scale of 1 is halved too", 1.0, True, 3, 5)
    yield edge("growth_interval given by name", 256.0, False, 6, growth_interval=7)
    yield edge("growth_interval given by name", 256.0, False, 5, growth_interval=7)
    yield edge("an interval of 1 doubles after every good step", 256.0, False, 0, 1)
    yield edge("an interval of 1 still halves on overflow", 256.0, True, 0, 1)
