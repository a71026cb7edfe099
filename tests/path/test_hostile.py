"""RELIABILITY's rows L1-L11 at isolation "basic": the right verdict, in time, and nothing left running."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from path.hostile import FILES, RIGHT

from groundup.path import sandbox
from groundup.path.check import check_file, opened
from groundup.path.sandbox import Courtroom

SHORT = 3.0  # seconds for a trial here, instead of ten
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def room() -> Iterator[Courtroom]:
    with opened(torch=True) as room:
        yield room


def running_in(folder: Path) -> list[str]:
    """The processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in os.readlink(place / "cwd"):
                found.append((place / "cmdline").read_text().replace("\0", " ")[:200])
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_verdict_is_right_and_nothing_stays(
    name: str, tmp_path: Path, room: Courtroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, outcomes = FILES[name]
    file = tmp_path / "attention.py"
    file.write_text(source, encoding="utf-8")
    (tmp_path / "progress.toml").write_text("[workspace]\nversion = 1\n")
    monkeypatch.setattr(sandbox, "WALL_SECONDS", SHORT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where its process works, and those that it starts
    start = time.monotonic()
    answer = check_file("softmax", file, seed=1, courtroom=room)
    seconds = time.monotonic() - start
    assert answer.outcome in outcomes, answer
    assert answer.passed == (answer.outcome == "pass")
    assert answer.passed or answer.mistakes[0].what
    assert seconds < 2 * SHORT + 4
    assert running_in(tmp_path) == []


def test_what_was_written_is_shown_without_its_escapes(tmp_path: Path, room: Courtroom) -> None:
    file = tmp_path / "attention.py"
    file.write_text(FILES["escapes"][0])
    answer = check_file("softmax", file, seed=1, courtroom=room)
    assert "\\x1b" in answer.output
    assert "\x1b" not in answer.output


@pytest.mark.slow
def test_teeth_a_right_file_passes_in_the_same_way(tmp_path: Path, room: Courtroom) -> None:
    file = tmp_path / "attention.py"
    file.write_text(RIGHT)
    assert check_file("softmax", file, seed=1, courtroom=room).passed
