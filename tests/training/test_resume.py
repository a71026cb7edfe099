"""Going on with a run: what is refused, what is said, and what the folder then holds."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from faults.harness import Heard, Parts, Tiny, checkpoint, status
from own_parts import RIGHT

from groundup.errors import CheckpointError, ConfigError, Interrupted
from groundup.report import Report
from groundup.training import load_config, train
from groundup.training.metrics import read_metrics
from groundup.weights.checkpoint import load_checkpoint


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return Tiny.make(tmp_path_factory.mktemp("tiny"))


def own_train_step(folder: Path) -> Parts:
    folder.mkdir()
    (folder / "mine.py").write_text(RIGHT["train_step"])
    return Parts.from_folder(folder)


def test_more_steps_are_written_into_the_config(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "run"
    tiny.run(path, steps=2)
    tiny.run(path, steps=5, resume=True)
    assert tomllib.loads((path / "config.toml").read_text())["training"]["steps"] == 5
    assert train(load_config(str(path / "config.toml")), tmp_path / "again").step == 5


def test_another_time_budget_is_refused_once_the_steps_are_fixed(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "run"
    tiny.run(path, "training.seconds=50", steps=2)
    with pytest.raises(ConfigError, match=r"training\.seconds was 50\.0, now 60\.0") as caught:
        tiny.run(path, "training.seconds=60", steps=2, resume=True)
    assert caught.value.code == "RUN_CONFIG"
    assert "training.steps" in caught.value.fix


def timed(tiny: Tiny, *settings: str) -> Any:
    timeless = [setting for setting in tiny.settings(*settings) if "steps=" not in setting or "every" in setting]
    return load_config("first-gpt", [*timeless, *(s for s in settings if "warmup_steps" in s)])


class StopAt(Report):
    """Asks the run to stop at a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, row: Any) -> None:
        if row["step"] == self.at:
            os.kill(os.getpid(), 15)


def test_another_time_budget_is_taken_while_the_steps_are_not_fixed(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / "run"
    settings = ("training.warmup_steps=20", "checkpoint.every=100")
    with pytest.raises(Interrupted):
        train(timed(tiny, *settings, "training.seconds=1000"), path, report=StopAt(3))
    heard = Heard()
    train(timed(tiny, *settings, "training.seconds=0.2"), path, resume=True, report=heard)
    assert any(note.startswith("0.2 seconds are") for note in heard.notes)
    assert tomllib.loads((path / "config.toml").read_text())["training"]["seconds"] == 0.2


def test_a_warm_up_longer_than_a_planned_run_is_said(tiny: Tiny, tmp_path: Path) -> None:
    heard = Heard()
    settings = ("training.warmup_steps=1000", "checkpoint.every=100", "training.seconds=0.001")
    result = train(timed(tiny, *settings), tmp_path / "run", report=heard)
    assert f"{result.step} steps are no more than 1000 of warm-up: the rate only rises" in heard.notes


def test_a_resume_where_nothing_is_says_that_it_begins(tiny: Tiny, tmp_path: Path) -> None:
    heard = Heard()
    tiny.run(tmp_path / "run", steps=2, resume=True, report=heard)
    assert any("there is no run in" in note for note in heard.notes)


def test_a_resume_of_a_finished_run_says_that_it_is_done(tiny: Tiny, tmp_path: Path) -> None:
    heard = Heard()
    first = tiny.run(tmp_path / "run", steps=3)
    again = tiny.run(tmp_path / "run", steps=3, resume=True, report=heard)
    assert "the run was done already, after step 3: to go on, add --set training.steps=6" in heard.notes
    assert (heard.steps, heard.saves) == ([], [])
    assert (again.step, again.loss, again.val_bits_per_byte) == (first.step, first.loss, first.val_bits_per_byte)


def test_a_library_run_is_not_resumed_with_an_own_train_step_nor_the_reverse(tiny: Tiny, tmp_path: Path) -> None:
    parts = own_train_step(tmp_path / "my_llm")
    for name, before, after in (("a", None, parts), ("b", parts, None)):
        tiny.run(tmp_path / name, steps=2, parts=before)
        with pytest.raises(CheckpointError, match="goes on with") as caught:
            tiny.run(tmp_path / name, steps=4, parts=after, resume=True)
        assert (caught.value.code, caught.value.status) == ("CKPT_FIT", 2)
        assert ("--parts" in caught.value.fix) == (before is parts)


def test_the_way_to_go_on_names_the_folder_of_parts(tiny: Tiny, tmp_path: Path) -> None:
    parts = own_train_step(tmp_path / "my llm")
    with pytest.raises(Interrupted) as caught:
        tiny.run(tmp_path / "a run", steps=9, parts=parts, report=StopAt(2))
    assert caught.value.fix.endswith(f"--run-dir '{tmp_path / 'a run'}' --resume --parts '{tmp_path / 'my llm'}'")


def test_a_float16_overflow_teaches_nothing_counts_nothing_and_writes_json(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first scale is so large that every gradient overflows; then it is halved until none does."""
    from groundup.training.precision import LossScale

    monkeypatch.setattr("groundup.training.state.LossScale", lambda: LossScale(scale=2.0**30))
    path = tmp_path / "run"
    tiny.run(path, "training.precision=float16", steps=20)
    lines = (path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON")) for line in lines]
    overflowed = [row for row in rows if "grad_norm" not in row]
    assert 0 < len(overflowed) < 20
    assert rows[-1]["tokens"] == (20 - len(overflowed)) * 4 * 8
    assert rows[0]["tokens"] == 0


@pytest.mark.parametrize("n_checks", [0, 1, 2])  # two micro-batches, then the last moment
def test_a_stop_between_the_scale_and_the_step_loses_neither(tiny: Tiny, tmp_path: Path, n_checks: int) -> None:
    """Whenever a float16 run is stopped, also at the last moment before its weights change, it goes on exactly."""
    from faults.harness import state_id

    from groundup.training import step as step_module

    settings = ("training.precision=float16", "training.micro_batch_size=2")
    tiny.run(tmp_path / "whole", *settings, steps=4)
    take_step = step_module.take_step
    path, calls = tmp_path / "stopped", []

    def stopping(state: Any, inputs: Any, targets: Any, lr: float, check: Callable[[], None]) -> Any:
        def counted() -> None:
            if state.step == 2 and len(calls) == n_checks:
                os.kill(os.getpid(), 15)
            calls.append(state.step) if state.step == 2 else None
            check()

        return take_step(state, inputs, targets, lr, counted)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr("groundup.training.loop.take_step", stopping)
        tiny.run(path, *settings, steps=4)
    assert status(path)["step"] == 2
    tiny.run(path, *settings, steps=4, resume=True)
    assert state_id(path, 4) == state_id(tmp_path / "whole", 4)


def test_the_skip_of_an_own_train_step_puts_its_weights_back(tiny: Tiny, tmp_path: Path) -> None:
    parts = own_train_step(tmp_path / "my_llm")
    good = parts.chosen["train_step"]

    def train_step(forward: Any, params: Any, batch: Any, state: Any, *, lr: float, max_norm: float) -> Any:
        answer = good(forward, params, batch, state, lr=lr, max_norm=max_norm)
        calls.append(1)
        return answer | {"loss": float("nan")} if len(calls) == 2 else answer

    calls: list[int] = []
    settings = ("training.skip_nonfinite=1", "checkpoint.keep=10")
    tiny.run(tmp_path / "run", *settings, steps=3, parts=Parts(train_step=train_step))
    saved = [load_checkpoint(checkpoint(tmp_path / "run", step)) for step in (1, 2, 3)]
    for kind in ("model", "optimizer"):
        first, skipped, third = (getattr(one, kind) for one in saved)
        assert first.keys() == skipped.keys() and len(first) > 0
        assert all(torch.equal(first[name], skipped[name]) for name in first)
        assert not all(torch.equal(first[name], third[name]) for name in first)
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == [1, 3]


@pytest.mark.parametrize("name", [b"run-\xff\xfe", "прогон".encode(), b'a "b"\n\'c', b"-leading", b"n" * 250])
def test_e3_a_run_folder_of_any_name_works(tiny: Tiny, tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    tiny.run(path, steps=2)
    tiny.run(path, steps=3, resume=True)
    assert (path / "loss.svg").read_text(encoding="utf-8").startswith("<svg")
    with pytest.raises(ConfigError, match="already here"):
        tiny.run(path, steps=3)


def test_e3_a_path_in_the_config_that_is_no_utf8_is_refused_with_its_name(tiny: Tiny, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"text-\xff.txt")
    path.write_text("some text")
    with pytest.raises(ConfigError, match="UTF-8") as caught:
        load_config("first-gpt", [f"data.train={path}"])
    assert caught.value.code == "CFG_VALUE"
    assert "data.train" in caught.value.what
