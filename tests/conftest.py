"""For all tests: the command line in this process; and one thread for each process and its children, since two workers
on two cores would otherwise fight over four."""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from command_line import TINY, Outcome, Run

from groundup.cli.main import main

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start
torch.set_num_threads(1)

hypothesis.settings.register_profile("house", deadline=None, print_blob=True)  # a shared machine pauses at will
hypothesis.settings.load_profile("house")


@pytest.fixture
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
