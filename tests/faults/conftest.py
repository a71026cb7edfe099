"""The tiny run's files, a fork server for each test file that asks for one, and a command line that is looked at."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Outcome, Run
from faults.harness import ForkServer, Tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The text and the tokenizer."""
    return Tiny.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """Children that start in milliseconds."""
    with ForkServer() as server:
        yield server


@pytest.fixture
def alarm(english: None) -> Iterator[None]:
    """Ends a test that waits for a pipe."""

    def ring(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)  # seconds: a request that is refused ends at once
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def groundup(groundup: Run) -> Run:
    """Runs the command line in this process, and looks at the form of every answer."""

    def run(*words: str | Path) -> Outcome:
        shown = groundup(*words)
        assert "[BUG]" not in shown.err and '"BUG"' not in shown.out, shown
        assert "Traceback" not in shown.err
        return shown

    return run
