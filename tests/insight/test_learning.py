"""The signs of a curve: each is seen where it is, and not where it is not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from groundup.insight.learning import signs


def curve(
    loss: Callable[[float], float], n: int = 400, norm: float = 0.5, held_out: Callable[[float], float] | None = None
) -> list[dict[str, float]]:
    """n noisy steps; loss and held_out take the part of the run that is done."""
    noise = random.Random(0)
    rows = [{"step": i + 1.0, "loss": loss(i / n) + noise.gauss(0, 0.05), "grad_norm": norm} for i in range(n)]
    if held_out is not None:
        for i in range(0, n, n // 20):
            rows[i]["val_bits_per_byte"] = held_out(i / n)
    return rows


def falling(done: float) -> float:
    return 2 + 4 * math.exp(-6 * done)


def found(rows: list[dict[str, float]], max_norm: float | None = 1.0) -> list[str]:
    return [finding.id for finding in signs(rows, max_norm)]


def test_a_run_that_learns_has_no_signs() -> None:
    assert found(curve(falling, held_out=falling)) == []
    assert found([]) == []


def test_a_short_run_tells_nothing() -> None:
    assert found(curve(lambda done: 3 + 9 * done, n=30)) == []


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_seen_and_nothing_else_said(value: float) -> None:
    rows = curve(falling)
    rows[300]["loss"] = value
    (finding,) = signs(rows, 1.0)
    assert (finding.id, finding.values["step"]) == ("loss-nonfinite", 301)


def test_a_line_without_a_loss_is_one_whose_loss_was_no_number() -> None:
    rows = curve(falling)
    del rows[300]["loss"], rows[300]["grad_norm"]
    assert found(rows) == ["loss-nonfinite"]


def test_an_overflow_of_float16_is_its_way_of_working() -> None:
    rows = curve(falling)
    for row in rows:
        row["loss_scale"] = 65536.0
    rows[7] |= {"loss": math.inf, "grad_norm": math.inf}
    assert found(rows) == []


def test_a_run_that_diverges_is_seen() -> None:
    (finding,) = signs(curve(lambda done: falling(done) + max(0, done - 0.6) * 10), 1.0)
    assert finding.id == "diverging"
    assert finding.values["step"] == pytest.approx(240, abs=40)


def test_a_loss_that_rises_a_little_is_no_divergence() -> None:
    assert found(curve(lambda done: falling(done) + max(0, done - 0.6) * 0.5)) == []


def test_a_loss_near_zero_that_doubles_is_no_divergence() -> None:
    assert found(curve(lambda done: 0.05 + 4 * math.exp(-20 * done) + 0.05 * done)) == []


def test_a_loss_that_never_fell_is_seen() -> None:
    assert found(curve(lambda done: 6.0)) == ["not-learning"]
    assert found(curve(lambda done: 6.0, n=200)) == []


def test_gradients_that_are_always_clipped_are_seen() -> None:
    assert found(curve(falling, norm=1.5)) == ["always-clipped"]
    assert found(curve(falling, norm=1.5), max_norm=None) == []
    rows = curve(falling, norm=1.5)
    rows[-20]["grad_norm"] = 0.9
    assert found(rows) == []


def test_overfitting_is_seen_with_the_step_of_the_best_value() -> None:
    rows = curve(falling, held_out=lambda done: 2 + 2 * (done - 0.5) ** 2)
    (finding,) = signs(rows, 1.0)
    assert (finding.id, finding.values["step"]) == ("overfitting", 201)


def test_a_held_out_value_that_rises_with_the_loss_is_no_overfitting() -> None:
    rows = curve(lambda done: 3 + abs(done - 0.5), held_out=lambda done: 2 + 2 * abs(done - 0.5))
    assert "overfitting" not in found(rows)
