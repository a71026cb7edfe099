"""The view of a run in progress."""

from __future__ import annotations

import errno
import io
import sys
from pathlib import Path

import pytest
from command_line import TINY

from groundup.cli.main import Session
from groundup.cli.view import LiveView, PlainView, RunView, view_for
from groundup.errors import GroundupError
from groundup.training import load_config, train

FACTS = {
    "run_dir": "runs/first-gpt-001",
    "step": 0,
    "steps": 200,
    "seconds": None,
    "parameters": 12345,
    "train_tokens": 1000,
    "device": "cpu",
    "threads": 2,
}


def row(step: int, steps: int = 200) -> dict[str, float]:
    """What the loop reports after a step."""
    return {
        "step": step,
        "steps": steps,
        "loss": 5.0 - step / 100,
        "lr": 1e-3,
        "grad_norm": 0.5,
        "tokens_per_s": 1000.0 + step,
        "seconds": step * 0.1,
    }


def test_plain_lines_come_now_and_then_not_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(Session())
    view.started(FACTS)
    for step in range(1, 201):
        view.step(row(step))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "first-gpt-001: 12,345 parameters learn from 1,000 tokens, on the CPU with 2 threads"
    assert len(lines) == 3  # the first step and the last one: all took less than ten seconds
    assert lines[2].startswith("step       200/200  loss 3.000     1,190 tokens/s  time left  0:00")


def test_the_session_learns_where_a_traceback_belongs() -> None:
    session = Session()
    RunView(session).started(FACTS)
    assert session.run_dir == Path("runs/first-gpt-001")


def test_what_a_model_writes_cannot_act_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(Session())
    view.sample(10, "\nhello\x1b[2J\nworld\n")
    assert capsys.readouterr().out == "a sample after step 10:\n  | hello\\x1b[2J\n  | world\n"


def test_until_the_number_of_steps_is_known_the_budget_tells_how_far(capsys: pytest.CaptureFixture[str]) -> None:
    view = RunView(Session())
    view.started(FACTS | {"steps": None, "seconds": 10.0})
    view.step(row(5, steps=0))
    assert (view.step_of(5), view.time_left) == ("5", "…")
    assert view.done == pytest.approx(0.05)
    view.step(row(50, steps=200))
    assert (view.step_of(50), view.done) == ("50/200", 0.25)


def test_a_measurement_before_the_first_step_of_a_resumed_run_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView(Session())
    view.started(FACTS | {"step": 40, "threads": 1})
    view.validation(40, 2.5)
    introduction, line = capsys.readouterr().out.splitlines()
    assert introduction.endswith("on the CPU with 1 thread")
    assert line == "step        40/200  held-out text: 2.500 bits per byte"


def test_warnings_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    PlainView(Session()).warn("the disk is full")
    assert capsys.readouterr() == ("", "warning: the disk is full\n")


def test_the_live_panel_shows_the_numbers_and_the_sample() -> None:
    import io

    from rich.console import Console

    view = LiveView(Session())
    view.started(FACTS)
    for step in range(1, 101):
        view.step(row(step))
    view.validation(100, 2.345)
    view.sample(100, "[bold]To be\x1b[2J, or not")
    console = Console(file=io.StringIO(), width=100)
    console.print(view._picture())
    shown = console.file.getvalue()
    for said in ("step 100/200", "50%", "4.000", "2.345", "1,090", "1.0e-03", "0.50", "[bold]To be\\x1b[2J, or not"):
        assert said in shown, said


def test_pipes_and_programs_get_plain_lines() -> None:
    assert isinstance(view_for(Session(), as_json=False), PlainView)  # under pytest stdout is no terminal
    view = view_for(Session(), as_json=True)
    assert isinstance(view, PlainView) and view.err


class Gone(io.StringIO):
    """A stream whose reader has left, or whose disk is full."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, "gone")

    def fileno(self) -> int:
        raise io.UnsupportedOperation


SETTINGS = [word for word in TINY if word != "--set"]


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("kind", [PlainView, LiveView])
def test_a_reader_that_leaves_ends_no_training(
    kind: type[RunView], number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(number))
    with kind(Session()) as view:
        result = train(load_config("first-gpt", SETTINGS), tmp_path / "run", report=view)
    assert (result.step, view.is_heard) == (4, False)
    assert '"done"' in (tmp_path / "run" / "status.json").read_text()


def test_teeth_a_view_that_passes_the_error_on_ends_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(errno.EPIPE))
    monkeypatch.setattr(RunView, "show", lambda _self, write: write())
    with pytest.raises((OSError, GroundupError)):
        train(load_config("first-gpt", SETTINGS), tmp_path / "run", report=PlainView(Session()))
