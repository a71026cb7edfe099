"""What one sees while a model is learning: a live panel on a terminal, plain lines everywhere else.

Both listen to the same news (`report.Report`) and keep the same few numbers. The panel is redrawn from inside the loop,
at most twice a second, so that no second thread takes time from the training that it shows.
"""

from __future__ import annotations

import importlib.util
import math
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import GroundupError
from ..report import Report, duration
from ..training.curve import Row, curve_text
from .language import in_words
from .main import Session, last_words
from .terminal import fall_silent, indented, is_terminal, n_columns, say, styled, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_PICTURES = 0.5
MOST_ROWS = 400  # of the live curve


class RunView(Report):
    """A listener that keeps what a run says about itself; how it is shown is up to those below."""

    as_json = False  # whether stdout is for a program

    def __init__(self, session: Session) -> None:
        self.session = session
        self.name = ""
        self.facts: Mapping[str, object] = {}
        self.row: Mapping[str, float] = {}
        self.rows: list[Row] = []
        self.bits_per_byte: float | None = None
        self.sample_text = ""
        self.is_heard = True
        self._speeds: deque[float] = deque(maxlen=20)
        self._first = (0.0, 0.0)  # when the first step was done, and its number

    def __enter__(self) -> RunView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def show(self, write: Callable[[], object]) -> None:
        """Write something, unless nobody listens any more: a closed terminal or pipe must not end the training."""
        if self.is_heard:
            try:
                write()
            except OSError:  # the reader has left (`groundup train | head`), or the disk behind stdout is full
                self.is_heard = False

    def started(self, facts: Mapping[str, object]) -> None:
        """Remember the facts, and tell `main` where a traceback would belong."""
        self.facts = facts
        self.session.run_dir = Path(str(facts["run_dir"]))
        self.name = self.session.run_dir.name

    def step(self, row: Mapping[str, float]) -> None:
        """Remember the newest row."""
        if not self.row:
            self._first = (time.monotonic(), row["step"])
        self.row = row
        self.rows.append({"step": row["step"], "loss": row["loss"]})
        self._speeds.append(row["tokens_per_s"])

    def validation(self, step: int, bits_per_byte: float) -> None:
        """Remember the newest measurement."""
        self.bits_per_byte = bits_per_byte

    def sample(self, step: int, text: str) -> None:
        """Remember the newest sample."""
        self.sample_text = text

    def cut_short(self, error: GroundupError) -> None:
        """The process ends now: say so, and leave the terminal with a cursor."""
        if is_terminal(sys.stderr):
            os.write(2, b"\x1b[?25h\n")
        last_words(error, self.as_json)

    @property
    def tokens_per_s(self) -> float:
        """The typical speed of the last steps."""
        return statistics.median(self._speeds) if self._speeds else 0.0

    @property
    def done(self) -> float:
        """Which part of the run is done, from 0 to 1."""
        steps, budget = self.row.get("steps", 0), self.facts.get("seconds")
        if steps:
            return self.row["step"] / steps
        return min(1.0, self.row.get("seconds", 0.0) / budget) if isinstance(budget, float) else 0.0

    @property
    def time_left(self) -> str:
        """How long it will still take, measurements and samples included."""
        began, first = self._first
        steps_done = self.row.get("step", 0) - first
        if not self.row.get("steps") or steps_done < 5:
            return "…"
        return duration((time.monotonic() - began) / steps_done * (self.row["steps"] - self.row["step"]))

    def step_of(self, step: float) -> str:
        """The step as "412/1,380", or "12" while the number of steps is not known.

        A resumed run may be measured before its first step: then only what it was started with is known.
        """
        steps = self.row.get("steps") or self.facts.get("steps")
        return f"{step:,.0f}" + (f"/{steps:,.0f}" if isinstance(steps, int | float) else "")

    @property
    def introduction(self) -> str:
        """What is going to be trained, in one line."""
        device = str(self.facts["device"])
        if device == "cpu":
            one = self.facts["threads"] == 1
            text = _("on the CPU with 1 thread") if one else _("on the CPU with {threads} threads")
            device = text.format(threads=self.facts["threads"])
        return _("{name}: {parameters} parameters learn from {tokens} tokens, {device}").format(
            name=self.name,
            parameters=f"{self.facts['parameters']:,}",
            tokens=f"{self.facts['train_tokens']:,}",
            device=device,
        )


class PlainView(RunView):
    """A line every ten seconds, for logs and pipes."""

    def __init__(self, session: Session, *, err: bool = False) -> None:
        super().__init__(session)
        self.err = self.as_json = err
        self._last_line = 0.0

    def say(self, text: str) -> None:
        """Write one line, or several."""
        self.show(lambda: say(text, err=self.err))

    def phase(self, name: str) -> None:
        """Say what is being prepared; what comes later is told by its results."""
        if name in ("data", "tokenizer", "ids", "model"):
            self.say(f"{phase_name(name)} …")

    def started(self, facts: Mapping[str, object]) -> None:
        """Introduce the run."""
        super().started(facts)
        self.say(visible(self.introduction))

    def step(self, row: Mapping[str, float]) -> None:
        """One line, if the last one was some time ago."""
        first = not self.row
        super().step(row)
        if first or row["step"] == row["steps"] or time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            self.say(
                f"{_('step')} {self.step_of(row['step']):>13}  {_('loss')} {row['loss']:.3f}"
                f"  {self.tokens_per_s:8,.0f} {_('tokens/s')}  {_('time left')} {self.time_left:>5}"
                f"  {_('learning rate')} {row['lr']:.1e}  {_('gradient norm')} {row['grad_norm']:.2f}"
            )

    def validation(self, step: int, bits_per_byte: float) -> None:
        """The measurement, in a line of its own."""
        super().validation(step, bits_per_byte)
        text = _("held-out text: {value} bits per byte").format(value=f"{bits_per_byte:.3f}")
        self.say(f"{_('step')} {self.step_of(step):>13}  {text}")

    def sample(self, step: int, text: str) -> None:
        """What the model wrote."""
        super().sample(step, text)
        self.say(
            f"{_('a sample after step {step}:').format(step=f'{step:,}')}\n{indented(visible(text.strip()), '  | ')}"
        )

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self.say(visible(in_words(text)))

    def warn(self, text: str) -> None:
        """Something that went wrong."""
        try:
            say(f"{_('warning:')} {visible(in_words(text))}", err=True)
        except OSError:
            fall_silent(sys.stderr)


class LiveView(RunView):
    """A panel that is redrawn in place. Use it in a `with` block."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        from rich.console import Console
        from rich.live import Live

        self._console = Console(highlight=False)
        # What is left at the end is the summary, not the panel.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._phase = ""
        self._last_picture = 0.0

    def __enter__(self) -> LiveView:
        self.show(self._live.start)
        return self

    def __exit__(self, *_: object) -> None:
        self.show(self._live.stop)

    def phase(self, name: str) -> None:
        """Show at once what is being done: it may take a while."""
        self._phase = phase_name(name)
        self._draw()

    def started(self, facts: Mapping[str, object]) -> None:
        """Introduce the run, above the panel."""
        super().started(facts)
        self.show(lambda: self._console.print(visible(self.introduction), markup=False))

    def step(self, row: Mapping[str, float]) -> None:
        """Redraw, if the last picture is old enough."""
        super().step(row)
        if time.monotonic() - self._last_picture >= SECONDS_BETWEEN_PICTURES:
            self._draw()

    def sample(self, step: int, text: str) -> None:
        """Show the sample in its own panel."""
        super().sample(step, text)
        self._draw()

    def note(self, text: str) -> None:
        """Something worth knowing, above the panel."""
        self.show(lambda: self._console.print(visible(in_words(text)), markup=False, style="dim"))

    def warn(self, text: str) -> None:
        """Something that went wrong, above the panel."""
        told = f"{_('warning:')} {visible(in_words(text))}"
        self.show(lambda: self._console.print(told, markup=False, style="yellow"))

    def _draw(self) -> None:
        self._last_picture = time.monotonic()
        self.show(lambda: self._live.update(self._picture(), refresh=True))

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        if not self.row:
            return Text(f"{self._phase} …", style="dim")
        inner = min(n_columns(), 100) - 4
        stride = -(-len(self.rows) // MOST_ROWS)
        curve = curve_text(self.rows[::stride], inner, 8)
        parts: list[RenderableType] = [self._bar(inner), self._numbers()]
        parts += [Text(curve, style="blue")] if curve else []
        title = f"groundup · {self.name} · {self._phase}"
        panels = [Panel(Group(*parts), title=title, title_align="left", width=inner + 4, border_style="dim")]
        if self.sample_text:
            text = Text("\n".join(visible(self.sample_text.strip()).splitlines()[:8]))
            panels.append(
                Panel(text, title=_("what it writes now"), title_align="left", width=inner + 4, border_style="dim")
            )
        return Group(*panels)

    def _bar(self, columns: int) -> RenderableType:
        from rich.text import Text

        words = f" {_('step')} {self.step_of(self.row['step'])} · {self.done:.0%} · {_('time left')} {self.time_left}"
        length = max(10, columns - 40)
        full = round(self.done * length)
        return Text.assemble(("━" * full, "green"), ("━" * (length - full), "bright_black"), words)

    def _numbers(self) -> RenderableType:
        from rich.table import Table

        held_out = "…" if self.bits_per_byte is None else f"{self.bits_per_byte:.3f}"
        numbers: list[tuple[str, str]] = [
            (_("loss"), f"{self.row['loss']:.3f}"),
            (_("held-out bits per byte"), held_out),
            (_("tokens/s"), f"{self.tokens_per_s:,.0f}"),
            (_("learning rate"), f"{self.row['lr']:.1e}"),
            (_("gradient norm"), f"{self.row['grad_norm']:.2f}"),
        ]
        grid = Table.grid(padding=(0, 3))
        grid.add_row(*(f"[dim]{label}[/dim]" for label, _value in numbers))
        grid.add_row(*(f"[bold]{value}[/bold]" for _label, value in numbers))
        return grid


def phase_name(name: str) -> str:
    """What the run is doing, in the reader's language."""
    names = {
        "data": _("reading the text"),
        "tokenizer": _("preparing the tokenizer"),
        "ids": _("preparing the ids"),
        "model": _("making the model"),
        "training": _("training"),
        "evaluation": _("measuring the held-out text"),
        "saving": _("saving"),
        "done": _("done"),
    }
    return names.get(name, name)


def view_for(session: Session, as_json: bool) -> RunView:
    """The live panel on a terminal that has rich, otherwise plain lines; on stderr where stdout is for programs."""
    if as_json or not is_terminal(sys.stdout) or importlib.util.find_spec("rich") is None:
        return PlainView(session, err=as_json)
    return LiveView(session)


def say_curve(rows: list[Row], beside: list[Row] | None = None) -> None:
    """The small loss curve, where the terminal has the characters for it; over that of another run if there is one."""
    curve = curve_text(rows, min(n_columns(), 80), 9, beside or [])
    try:
        curve.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return
    if curve:
        say(f"\n{_('training loss')}\n{styled(curve, sys.stdout, fg='blue')}")


def say_next(commands: list[tuple[str, str]]) -> None:
    """What to try next: (command, what it does)."""
    say(f"\n{styled(_('what to try next'), sys.stdout, bold=True)}")
    for command, what in commands:
        say(f"  {what}\n    {styled(command, sys.stdout, fg='cyan')}")


def finite_or_none(number: float) -> float | None:
    """JSON has no nan."""
    return number if math.isfinite(number) else None
