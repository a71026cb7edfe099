"""The command line in this process: what it writes, and the status that it ends with."""

from __future__ import annotations

import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import TINY, Outcome, Run

from groundup.cli.main import main


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An English terminal without colours, whatever the machine's; gettext afterwards as before."""
    for name in ("GROUNDUP_LANG", "LC_ALL", "LC_MESSAGES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("LANGUAGE", "")
    domain = gettext.textdomain()
    yield
    gettext.textdomain(domain)


@pytest.fixture
def groundup(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line: groundup("train", "first-gpt")."""

    def run(*words: str | Path) -> Outcome:
        capsys.readouterr()
        status = main([str(word) for word in words])
        written = capsys.readouterr()
        return Outcome(status, written.out, written.err)

    return run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a very small model that has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert main(["train", "first-gpt", "--run-dir", str(folder), *TINY]) == 0
    return folder
