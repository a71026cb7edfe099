"""Schedules: the rows of the list of parts, and what all of them share."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.training.schedule import (
    constant_learning_rate,
    learning_rate,
    linear_learning_rate,
    wsd_learning_rate,
)

PEAK = {"max_lr": 3e-3, "min_lr": 3e-4}


def wsd(step: int, **settings: float) -> float:
    return wsd_learning_rate(step, decay_steps=4, **settings)


FALLING = [learning_rate, linear_learning_rate, wsd]
ALL = [*FALLING, constant_learning_rate]


@pytest.mark.parametrize("schedule", ALL)
def test_the_first_step_already_learns_and_the_warm_up_is_a_straight_line(schedule: Callable[..., float]) -> None:
    rates = [schedule(step, **PEAK, warmup_steps=5, total_steps=20) for step in range(6)]
    assert rates == pytest.approx([3e-3 * n / 5 for n in (1, 2, 3, 4, 5, 5)])


@pytest.mark.parametrize("schedule", FALLING)
def test_the_last_step_has_exactly_the_lowest_rate_and_so_has_every_later_one(schedule: Callable[..., float]) -> None:
    assert [schedule(step, **PEAK, warmup_steps=5, total_steps=20) for step in (19, 20, 1000)] == [3e-4] * 3


@pytest.mark.parametrize("schedule", ALL)
def test_the_step_after_the_warm_up_has_exactly_the_highest_rate(schedule: Callable[..., float]) -> None:
    assert schedule(5, **PEAK, warmup_steps=5, total_steps=20) == 3e-3


@pytest.mark.parametrize("schedule", [learning_rate, linear_learning_rate])
def test_one_step_after_the_warm_up_stays_at_the_top(schedule: Callable[..., float]) -> None:
    assert schedule(5, **PEAK, warmup_steps=5, total_steps=6) == 3e-3
    assert schedule(6, **PEAK, warmup_steps=5, total_steps=6) == 3e-4


@pytest.mark.parametrize("schedule", ALL)
@pytest.mark.parametrize("total_steps", [1, 3, 5])
def test_the_warm_up_wins_when_there_is_no_room_for_both(schedule: Callable[..., float], total_steps: int) -> None:
    rates = [schedule(step, **PEAK, warmup_steps=5, total_steps=total_steps) for step in range(5)]
    assert rates == pytest.approx([3e-3 * n / 5 for n in (1, 2, 3, 4, 5)])


@pytest.mark.parametrize("schedule", FALLING)
def test_after_a_warm_up_without_room_comes_the_lowest_rate(schedule: Callable[..., float]) -> None:
    assert schedule(5, **PEAK, warmup_steps=5, total_steps=5) == 3e-4


@pytest.mark.parametrize("schedule", ALL)
def test_there_need_be_no_warm_up(schedule: Callable[..., float]) -> None:
    assert schedule(0, **PEAK, warmup_steps=0, total_steps=20) == 3e-3


@given(warmup_steps=st.integers(0, 20), n_after=st.integers(2, 200), step=st.integers(0, 400), low=st.floats(0.0, 1.0))
def test_cosine_is_the_formula(warmup_steps: int, n_after: int, step: int, low: float) -> None:
    total_steps = warmup_steps + n_after
    settings = {"max_lr": 1.0, "min_lr": low, "warmup_steps": warmup_steps, "total_steps": total_steps}
    if step < warmup_steps:
        expected = (step + 1) / warmup_steps
    else:
        way = min(1.0, (step - warmup_steps) / (total_steps - 1 - warmup_steps))
        expected = low + (1 - low) * (1 + math.cos(math.pi * way)) / 2
    assert learning_rate(step, **settings) == pytest.approx(expected, abs=1e-12)


@given(
    warmup_steps=st.integers(0, 20), n_stable=st.integers(0, 50), decay_steps=st.integers(1, 50), j=st.integers(0, 49)
)
def test_wsd_is_the_formula(warmup_steps: int, n_stable: int, decay_steps: int, j: int) -> None:
    total_steps = warmup_steps + n_stable + decay_steps
    settings = {"warmup_steps": warmup_steps, "decay_steps": decay_steps, "total_steps": total_steps}
    j = min(j, decay_steps - 1)
    expected = 3e-3 + (3e-4 - 3e-3) * (j + 1) / decay_steps
    assert wsd_learning_rate(total_steps - decay_steps + j, **PEAK, **settings) == pytest.approx(expected)
    if n_stable:
        assert wsd_learning_rate(total_steps - decay_steps - 1, **PEAK, **settings) == 3e-3


def test_wsd_without_a_decay_stays_at_the_top() -> None:
    assert wsd_learning_rate(19, **PEAK, warmup_steps=5, decay_steps=0, total_steps=20) == 3e-3


def test_linear_is_halfway_down_in_the_middle() -> None:
    rates = [linear_learning_rate(step, max_lr=1.0, min_lr=0.5, warmup_steps=2, total_steps=7) for step in range(2, 7)]
    assert rates == pytest.approx([1.0, 0.875, 0.75, 0.625, 0.5])


def test_constant_stays() -> None:
    assert constant_learning_rate(10_000, **PEAK, warmup_steps=5, total_steps=20) == 3e-3


@pytest.mark.parametrize("schedule", FALLING)
@given(warmup_steps=st.integers(0, 10), n_after=st.integers(4, 60))
def test_after_the_warm_up_no_rate_is_above_the_one_before(
    schedule: Callable[..., float], warmup_steps: int, n_after: int
) -> None:
    total_steps = warmup_steps + n_after
    rates = [
        schedule(step, **PEAK, warmup_steps=warmup_steps, total_steps=total_steps)
        for step in range(warmup_steps, total_steps + 2)
    ]
    assert rates == sorted(rates, reverse=True)
    assert all(3e-4 <= rate <= 3e-3 for rate in rates)
