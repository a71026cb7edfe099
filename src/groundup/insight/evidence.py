"""Reading what may be damaged: the small files of a run, none of them believed before it has been checked.

Each file is opened only if it is an ordinary one (a pipe would wait for ever), read only up to a limit, and parsed
strictly. Whatever is wrong with it is a ValueError that says what, or the OSError of the system.

Read next: `learning.py`, which looks at the curve.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .. import files
from ..strict_json import parse_json
from ..training.metrics import Row, parse_row

Json = dict[str, Any]

MAX_JSON_BYTES = 1 << 20
MAX_LINE_BYTES, MAX_LOG_BYTES = 1 << 16, 1 << 30  # of metrics.jsonl, where a line has 300 bytes
STATES = ("running", "done", "interrupted", "failed")


def lock_holder(path: Path) -> str | None:
    """Who holds a run's lock, in the words that were written into it; None where nobody does or nobody can tell."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        with files.open_regular(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back when the file is closed, at once
            except BlockingIOError:
                return file.read(200).decode(errors="replace").strip() or "another process"
    except OSError:
        pass
    return None


def read_json(path: Path) -> Json:
    """A JSON object of at most 1 MiB. Raises OSError, or ValueError for whatever is none."""
    with files.open_regular(path) as file:
        data = files.read_whole(file, MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise ValueError("it is larger than 1 MiB")
    value = parse_json(data)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return cast(Json, value)


def read_status(path: Path) -> Json:
    """A status.json that says a state and a step. Raises OSError or ValueError."""
    status = read_json(path)
    if status.get("state") not in STATES:
        raise ValueError(f"its state is {status.get('state')!r}: none of {', '.join(STATES)}")
    if type(status.get("step")) is not int or status["step"] < 0:
        raise ValueError(f"its step is {status.get('step')!r}: no whole number of 0 or more")
    return status


@dataclass
class Log:
    """A metrics.jsonl: its rows, the numbers of the lines that are none, and whether the last one has no end."""

    rows: list[Row]
    bad: list[int]
    n_lines: int
    torn: bool


def read_log(path: Path) -> Log:
    """Read a metrics.jsonl line by line, believing none of them. Raises OSError, or ValueError for one too long."""
    log = Log([], [], 0, torn=False)
    with files.open_regular(path) as raw, io.BufferedReader(raw) as file:
        if file.seek(0, os.SEEK_END) > MAX_LOG_BYTES:
            raise ValueError("it is larger than 1 GiB")
        file.seek(0)
        while line := file.readline(MAX_LINE_BYTES):
            if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                log.torn = True
                break
            log.n_lines += 1
            row = parse_row(line)
            if row is None or (log.rows and row["step"] <= log.rows[-1]["step"]):
                log.bad.append(log.n_lines)
            else:
                log.rows.append(row)
    return log


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted; none where it is no folder or cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def reason(error: Exception) -> str:
    """Why something could not be read, in few words."""
    return str(error.strerror) if isinstance(error, OSError) and error.strerror else str(error)
