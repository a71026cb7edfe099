"""`./try`: what a newcomer runs first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "begins"),
    [(["chinese"], "却说"), ([], "ROMEO:"), (["first-gpt", "--run-dir", "elsewhere"], "ROMEO:")],
)
def test_try_writes_with_the_run_that_it_trained_in_the_language_of_its_text(
    words: list[str], begins: str, tmp_path: Path
) -> None:
    shutil.copy(SOURCE / "try", tmp_path)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup.sh").write_text("setup() { :; }\n")
    (tmp_path / "bin").mkdir()
    for name, command in (("groundup", "-m groundup"), ("python", "")):
        (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (tmp_path / "bin" / name).chmod(0o755)
    # A later run by name and by time, which is not the one that was trained.
    (tmp_path / "runs" / "zzz-999").mkdir(parents=True)
    os.utime(tmp_path / "runs" / "zzz-999", (4e9, 4e9))
    settings = ["--set", "training.steps=4", "--set", "evaluation.batches=1", "--set", "evaluation.sample_tokens=2"]
    settings += ["--set", "training.batch_size=2", "--set", "model.context_length=16"]
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(SOURCE / "src")}
    shown = subprocess.run(
        ["bash", "./try", *words, *settings], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=280
    )
    assert shown.returncode == 0, shown.stderr
    written = shown.stdout.partition("what to try next")[2]
    assert f"\n{begins}" in written
