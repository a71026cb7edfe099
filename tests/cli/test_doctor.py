"""`groundup doctor`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import Run


@pytest.fixture
def killed(trained: Path, tmp_path: Path) -> Path:
    """A run that says it is running, and is not."""
    run = Path(shutil.copytree(trained, tmp_path / "my run"))
    (run / "status.json").write_text('{"state": "running", "step": 3}')
    return run


def test_a_healthy_run_is_status_0_and_one_line_says_what_is_in_order(trained: Path, groundup: Run) -> None:
    shown = groundup("doctor", trained)
    assert (shown.status, shown.err) == (0, "")
    first, _empty, last = shown.out.splitlines()
    assert first == f"{trained}: healthy"
    assert last == "in order: run.json, config.toml, tokenizer, checkpoints (3, 4), status.json, metrics.jsonl (4)"


def test_a_note_leaves_a_run_usable_and_tells_the_way_on(killed: Path, groundup: Run) -> None:
    shown = groundup("doctor", killed)
    assert shown.status == 0
    assert shown.out.splitlines()[2:6] == [
        "note: the run was killed [killed]",
        "  seen:  status.json says that it is running after step 3, and no process holds its lock; "
        "the newest whole checkpoint is 4",
        "  cause: the process was ended from outside: kill -9, a power cut, or memory that ran out",
        f"  cure:  go on with: groundup train --run-dir '{killed}' --resume",
    ]


def test_the_cure_of_a_killed_run_works(killed: Path, groundup: Run) -> None:
    assert groundup("train", "--run-dir", killed, "--resume", "--json").status == 0
    assert groundup("doctor", killed).out.startswith(f"{killed}: healthy")


def test_a_sick_run_is_status_1(killed: Path, groundup: Run) -> None:
    (killed / "run.json").write_text("{}")
    shown = groundup("doctor", killed)
    assert shown.status == 1
    assert shown.out.splitlines()[0] == f"{killed}: sick"
    assert "fault: run.json is not as it was written [identity-damaged]" in shown.out


def test_with_json_the_answer_is_one_object_in_the_closed_form(killed: Path, groundup: Run) -> None:
    answer = groundup("doctor", killed, "--json").json
    assert (answer["run"], answer["sick"]) == (str(killed), False)
    assert [finding["id"] for finding in answer["findings"]] == ["killed"]
    (killed / "run.json").write_text("{}")
    shown = groundup("doctor", killed, "--json")
    assert (shown.status, shown.json["sick"]) == (1, True)


def test_no_run_is_a_wrong_request(tmp_path: Path, groundup: Run) -> None:
    shown = groundup("doctor", tmp_path / "nowhere", "--json")
    assert shown.status == 2
    assert shown.json["error"]["code"] == "PATH"
    assert groundup("doctor", tmp_path).status == 2


def test_the_answer_does_not_depend_on_the_folder_one_stands_in(
    killed: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(killed)
    assert json.loads(groundup("doctor", ".", "--json").out)["findings"][0]["id"] == "killed"
