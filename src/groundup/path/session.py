"""A sitting: which unit is next, what has changed on the disk, and whether it is right now.

Files are looked at a few times a second, by their sizes and times: that works on every file system, and a workspace
has a dozen of them. The process that runs the learner's code is started beforehand, so that a verdict takes a moment.

Read next: the command, `cli/learn.py`.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from .answer import Answer
from .catalog import catalog
from .check import check_file
from .sandbox import Courtroom
from .source import written_in
from .texts import Unit, units
from .workspace import DONE, Workspace, is_python, today

PAUSE_DAYS = 7  # after which something is asked again
Stamp = dict[Path, tuple[int, int]]


class Session:
    """A learner's sitting in a workspace. Use it with `with`."""

    def __init__(self, workspace: Workspace, lang: str) -> None:
        self.workspace, self.lang = workspace, lang
        self.room = Courtroom(("torch", "torch.overrides"))
        self.days_away = days_since(workspace.progress.day)
        self.unit = units().get(workspace.progress.last) or first_open(workspace)
        if self.is_right(self.unit):
            self.unit = first_open(workspace)
        self._seen = self._stamps()

    def __enter__(self) -> Session:
        self.room.warm_up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.room.close()

    def changed(self) -> list[Path]:
        """The files that have changed since this was asked last."""
        before, self._seen = self._seen, self._stamps()
        return [path for path, stamp in self._seen.items() if before.get(path) != stamp]

    def _stamps(self) -> Stamp:
        stamps: Stamp = {}
        for path in self.workspace.files:
            try:
                status = path.stat()
            except OSError:  # an editor is replacing it at this moment
                continue
            stamps[path] = (status.st_mtime_ns, status.st_size)
        return stamps

    def check(self) -> Iterator[Answer]:
        """Judge the unit's parts that are written."""
        for name in self.unit.parts:
            yield from self.check_part(name)

    def check_part(self, name: str) -> Iterator[Answer]:
        """Judge one part, if it is written, and remember the verdict."""
        file = self.workspace.home_of(catalog()[name])
        if file.is_file() and (name in written_in(file) or not is_python(file)):
            answer = check_file(name, file, lang=self.lang, courtroom=self.room)
            self.workspace.remember(answer)
            yield answer

    def is_right(self, unit: Unit) -> bool:
        """Whether all parts of a unit are the learner's own, or done with for now."""
        return all(self.workspace.state_of(name) in DONE for name in unit.parts)

    def next_hint(self, name: str) -> tuple[int, str]:
        """(which step, its text) of the next help with a part; the last one again when there is no more."""
        progress = self.workspace.progress
        step = min(progress.hints.get(name, 0) + 1, 3)
        progress.hints[name] = step
        self.workspace.save()
        hints = units()[catalog()[name].unit].hints(name, self.lang)
        return step, (hints.nudge, hints.pointer, hints.skeleton)[step - 1]

    def borrow(self) -> list[str]:
        """Take the unit's open parts as lent for now, to come back to later."""
        states = {name: self.workspace.state_of(name) for name in self.unit.parts}
        names = [name for name, state in states.items() if state != "own"]
        self.workspace.progress.borrowed |= {name: today() for name in names}
        self.workspace.save()
        return names

    def go_to(self, unit: Unit) -> None:
        """Work on another unit."""
        self.unit = unit
        self.workspace.progress.last = unit.name
        self.workspace.save()

    def review(self) -> tuple[Unit, str] | None:
        """After a pause: (a unit whose prediction is asked again, a part that is judged again), if there is any."""
        if self.days_away < PAUSE_DAYS:
            return None
        passed = [name for name in catalog() if self.workspace.state_of(name) == "own"]
        if not passed:
            return None
        oldest = min(passed, key=lambda name: self.workspace.progress.verdicts[name].checked)
        return units()[catalog()[oldest].unit], oldest


def first_open(workspace: Workspace) -> Unit:
    """The first unit with something to do, from where the learner has begun; the last one when all is done."""
    names = list(units())
    start = workspace.progress.start
    for name in names[names.index(start) if start in names else 0 :]:
        if any(workspace.state_of(part) not in DONE for part in units()[name].parts):
            return units()[name]
    return units()[names[-1]]


def days_since(day: str) -> int:
    """Whole days since a day like 2026-12-01; 0 for what is none."""
    try:
        return (datetime.date.today() - datetime.date.fromisoformat(day)).days
    except ValueError:
        return 0
