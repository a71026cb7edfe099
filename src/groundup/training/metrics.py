"""metrics.jsonl: what every step had to tell, one line each.

A plain file of JSON lines can be read by anything while it grows, and survives a crash up to its last whole line. It is
a log and no more: a disk that refuses it costs lines, which are counted, and never a run; a line that was damaged is
left out by whoever reads.

Read next: `signals.py`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import cast

from .. import files
from ..errors import StorageError
from ..report import SILENT, Report, Sentence

Row = dict[str, float]
FLUSH_SECONDS = 1.0  # of training, so that whoever watches the file sees the run move
LARGEST = 2**63  # no count and no measurement is larger; a float of such a whole number may not even exist


class MetricsLog:
    """Appends rows to a metrics.jsonl, about once a second. Logging never ends a run."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self._report = path, report
        self.n_lost = 0  # lines that the disk did not take
        self._waiting: list[Row] = []
        self._flushed = 0.0

    def add(self, row: Row) -> None:
        """One more row; it waits, since a measurement of the same step may follow."""
        if row["seconds"] - self._flushed >= FLUSH_SECONDS:
            self.flush()
            self._flushed = row["seconds"]
        self._waiting.append(finite(row))

    def complete(self, **more: float) -> None:
        """Add to the newest row."""
        if self._waiting:
            self._waiting[-1] |= finite(more)

    def flush(self) -> None:
        """Write the rows that wait. Those that do not fit on the disk are counted and given up."""
        if not self._waiting:
            return
        try:
            files.append(self.path, as_lines(self._waiting))
        except OSError as error:
            if not self.n_lost:  # said once, and counted from then on: a full disk would be said every second
                self._report.warn(
                    Sentence("{n} lines of metrics.jsonl are lost: {why}", n=len(self._waiting), why=error.strerror)
                )
            self.n_lost += len(self._waiting)
        self._waiting = []

    def close(self) -> None:
        """Write what waits, and say how many lines are lost."""
        self.flush()
        if self.n_lost:
            self._report.warn(Sentence("{n} lines of metrics.jsonl are lost in all", n=self.n_lost))

    def cut(self, step: int) -> float:
        """Forget what was logged after `step`; returns the seconds of training up to there."""
        rows = [row for row in read_metrics(self.path, self._report) if row["step"] <= step]
        self._flushed = rows[-1].get("seconds", 0.0) if rows else 0.0
        if self.path.is_file():  # a pipe or a folder in its place is somebody's own, and no lines are in it
            try:
                files.write_text(self.path, as_lines(rows))
            except StorageError as error:
                self._report.warn(
                    Sentence("metrics.jsonl keeps lines of steps that will be taken again: {why}", why=error.what)
                )
        return self._flushed

    def take_back(self, step: int) -> None:
        """Let the row of `step`, the newest, wait again: a measurement that was interrupted will complete it."""
        self._waiting = [row for row in read_metrics(self.path) if row["step"] == step][-1:]
        self.cut(step - 1)


def read_metrics(path: Path, report: Report = SILENT) -> list[Row]:
    """The rows of a metrics.jsonl. Lines that are damaged are left out, with a warning; so is a torn last one."""
    try:
        with files.open_regular(path) as file:
            n_bytes = file.seek(0, 2)
            file.seek(0)
            lines = files.read_whole(file, n_bytes).split(b"\n")[:-1]  # what follows the last line end is torn
    except FileNotFoundError:
        return []
    except OSError as error:
        report.warn(Sentence("{name} cannot be read: {why}", name=path.name, why=error.strerror))
        return []
    rows = [parse_row(line) for line in lines]
    bad = [number for number, row in enumerate(rows, 1) if row is None]
    if bad:
        report.warn(
            Sentence(
                "{n} damaged lines of {name} are left out, the first is line {first}",
                n=len(bad),
                name=path.name,
                first=bad[0],
            )
        )
    return [row for row in rows if row is not None]


def parse_row(line: bytes | bytearray) -> Row | None:
    """One line: a JSON object of numbers, one of them the step; None for anything else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    items = cast("dict[str, object]", value)
    if any(type(item) not in (int, float) or abs(cast("float", item)) > LARGEST for item in items.values()):
        return None
    row = finite(cast("Row", items))
    return row if "step" in row else None


def finite(row: Row) -> Row:
    """The row without what is no finite number: JSON has none of those, and other readers would stop there."""
    return {key: value for key, value in row.items() if math.isfinite(value)}


def as_lines(rows: list[Row]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)
