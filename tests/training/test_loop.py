"""When things are due, and at which rate a step learns; whole runs are in test_run.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from groundup.training import Parts, load_config
from groundup.training.loop import due, may_skip, measurements, rate_at


def test_the_last_step_is_always_due() -> None:
    class State:
        total_steps = 7
        step = 7

    assert due(State(), every=4, times=10)  # pyright: ignore[reportArgumentType] -- the two fields that it reads


@pytest.mark.parametrize(
    ("steps", "settings", "times"),
    [
        (10_000, [], 10),
        (200, [], 2),  # 200 steps of 16 x 64 tokens cost as much as 819,200 to measure, and a fifth is 163,840
        (1, [], 1),  # the last step is always one
        (1, ["evaluation.batches=2"], 10),
        (None, [], 10),
    ],
)
def test_a_short_run_does_not_spend_its_time_on_being_measured(
    steps: int | None, settings: list[str], times: int
) -> None:
    config = load_config("first-gpt", ["training.batch_size=16", "model.context_length=64", *settings])
    state = SimpleNamespace(config=config, total_steps=steps)
    assert measurements(state, 60_000) == times  # pyright: ignore[reportArgumentType] -- the fields that it reads


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd", "constant"])
def test_every_schedule_warms_up_and_ends_where_it_should(schedule: str) -> None:
    settings = ["training.steps=20", "training.warmup_steps=2", "training.max_lr=0.01", "training.min_lr=0.001"]
    timed = load_config("first-gpt", [*settings, f"training.schedule={schedule}"])
    rates = [rate_at(SimpleNamespace(config=timed, parts=Parts(), total_steps=20, step=step)) for step in range(20)]  # pyright: ignore[reportArgumentType]
    assert rates[:2] == pytest.approx([0.005, 0.01])
    assert rates[-1] == pytest.approx(0.01 if schedule == "constant" else 0.001)


def test_the_lowest_rate_is_a_tenth_of_the_highest_unless_given() -> None:
    settings = ["training.steps=9", "training.warmup_steps=2", "training.max_lr=0.01", "training.min_lr=none"]
    state = SimpleNamespace(config=load_config("first-gpt", settings), parts=Parts(), total_steps=9, step=8)
    assert rate_at(state) == pytest.approx(0.001)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("allowed", "skipped", "may"),
    [(0, [], False), (1, [], True), (1, [49], False), (2, [49], True), (2, [48, 49], False), (9, range(30, 40), False)],
)
def test_so_many_steps_may_be_left_out(allowed: int, skipped: list[int], may: bool) -> None:
    config = load_config("first-gpt", ["training.steps=90", f"training.skip_nonfinite={allowed}"])
    state = SimpleNamespace(config=config, step=50, skipped=list(skipped))
    assert may_skip(state) is may  # pyright: ignore[reportArgumentType]
