"""metrics.jsonl survives kills, full disks and resumes."""

from __future__ import annotations

from pathlib import Path

from groundup.report import Report
from groundup.training.metrics import MetricsLog, read_metrics


class Heard(Report):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def row(step: int, seconds: float) -> dict[str, float]:
    return {"step": step, "seconds": seconds}


def test_rows_wait_a_second_and_the_newest_can_be_completed(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", Report())
    log.add(row(1, 0.1))
    log.add(row(2, 0.2))
    assert read_metrics(log.path) == []
    log.add(row(3, 1.3))
    assert [one["step"] for one in read_metrics(log.path)] == [1, 2]
    log.complete(val_bits_per_byte=2.5)
    log.flush()
    assert read_metrics(log.path)[-1] == {"step": 3, "seconds": 1.3, "val_bits_per_byte": 2.5}


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "seconds": 1}\n{"step": 2, "sec')
    assert read_metrics(path) == [{"step": 1, "seconds": 1}]


def test_cutting_forgets_what_came_later_and_the_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "seconds": 0.5}\n{"step": 2, "seconds": 1.5}\n{"step": 3, "seco')
    assert MetricsLog(path, Report()).cut(1) == 0.5
    assert path.read_text() == '{"step": 1, "seconds": 0.5}\n'
    assert MetricsLog(path, Report()).cut(0) == 0


def test_rows_that_cannot_be_written_are_counted_and_end_nothing(tmp_path: Path) -> None:
    heard = Heard()
    log = MetricsLog(tmp_path, heard)  # a folder cannot be appended to
    log.add(row(1, 0.1))
    log.flush()
    log.flush()
    assert len(heard.warnings) == 1 and "1 lines of metrics.jsonl are lost" in heard.warnings[0]
