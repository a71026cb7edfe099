"""Standard streams that are closed, full, or have no reader: the work is done, and the exit status is right."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import TINY, needs_dev_full


def ended(command: str, tmp_path: Path) -> tuple[int, str, str]:
    """The status of the first process of a shell's pipeline, and what was written. {} stands for groundup."""
    groundup = f"{shlex.quote(sys.executable)} -m groundup"
    script = command.replace("{}", groundup) + "; exit ${PIPESTATUS[0]}"
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert "Traceback" not in shown.stderr and "Exception ignored" not in shown.stderr
    return shown.returncode, shown.stdout, shown.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirected", "status"),
    [
        *(("| head -n 1", 0), (">&-", 0), ("2>&-", 0), ("--json 2>&-", 0)),
        pytest.param(">/dev/full", 3, marks=needs_dev_full),
        pytest.param("2>/dev/full", 0, marks=needs_dev_full),
    ],
)
def test_training_is_done_whoever_listens(redirected: str, status: int, tmp_path: Path) -> None:
    found, _out, err = ended(f"{{}} train first-gpt --run-dir run {shlex.join(TINY)} {redirected}", tmp_path)
    assert found == status, err
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "done"
    if status == 3:
        assert "error: standard output cannot be written: No space left on device [DISK_FULL]" in err


@pytest.mark.parametrize("redirected", ["", "2>/dev/full", "2>&-", "--json >/dev/full", "--json >&-", "--json | true"])
def test_an_error_keeps_its_status_when_nobody_can_read_it(redirected: str, tmp_path: Path) -> None:
    assert ended(f"{{}} tokenizer show nowhere x {redirected}", tmp_path)[0] == 2


def test_a_closed_stdin_is_an_empty_one(tmp_path: Path) -> None:
    assert ended("{} tokenizer encode gpt2 - --json <&-", tmp_path)[:2] == (0, '{"ids": []}\n')


def test_what_is_written_to_a_closed_stdout_lands_in_no_file(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be " * 40)
    status, _out, err = ended("{} tokenizer train text.txt --vocab-size 258 --out t >&- 2>&-", tmp_path)
    assert (status, err) == (0, "")
    assert json.loads((tmp_path / "t" / "tokenizer.json").read_text())["version"] == "1.0"
