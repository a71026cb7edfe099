"""metrics.jsonl: what every step had to tell, one line each.

A plain file of JSON lines can be read by anything while it grows, and survives a crash up to its last whole line.

Read next: `signals.py`.
"""

from __future__ import annotations

import json
from pathlib import Path

from .. import files
from ..report import Report

Row = dict[str, float]
FLUSH_SECONDS = 1.0  # of training, so that whoever watches the file sees the run move


class MetricsLog:
    """Appends rows to a metrics.jsonl, about once a second. Logging never ends a run."""

    def __init__(self, path: Path, report: Report) -> None:
        self.path, self._report = path, report
        self._waiting: list[Row] = []
        self._flushed = 0.0

    def add(self, row: Row) -> None:
        """One more row; it waits, since a measurement of the same step may follow."""
        if row["seconds"] - self._flushed >= FLUSH_SECONDS:
            self.flush()
            self._flushed = row["seconds"]
        self._waiting.append(row)

    def complete(self, **more: float) -> None:
        """Add to the newest row."""
        if self._waiting:
            self._waiting[-1] |= more

    def flush(self) -> None:
        """Write the rows that wait. Those that do not fit on the disk are counted and given up."""
        if not self._waiting:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(row) + "\n" for row in self._waiting))
        except OSError as error:
            self._report.warn(f"{len(self._waiting)} lines of metrics.jsonl are lost: {error.strerror}")
        self._waiting = []

    def cut(self, step: int) -> float:
        """Forget what was logged after `step`; returns the seconds of training up to there."""
        rows = [row for row in read_metrics(self.path) if row["step"] <= step]
        files.write_text(self.path, "".join(json.dumps(row) + "\n" for row in rows))
        self._flushed = rows[-1].get("seconds", 0.0) if rows else 0.0
        return self._flushed


def read_metrics(path: Path) -> list[Row]:
    """The rows of a metrics.jsonl; a torn last line, which a kill may leave, is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1] if line.startswith(b"{") and line.endswith(b"}")]
