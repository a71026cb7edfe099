"""A doctor sees every ailment, names it, changes nothing, and is never taken ill by what it looks at."""

from __future__ import annotations

import fcntl
import json
import math
import os
import random
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from groundup.cli.main import main
from groundup.errors import ConfigError
from groundup.insight import doctor, examine
from groundup.insight.findings import AILMENTS
from groundup.training.metrics import read_metrics
from groundup.training.run_directory import RunDirectory
from groundup.weights import checkpoint
from groundup.weights.checkpoint import load_checkpoint, save_checkpoint

NEWEST, OLDER = "step-000000000004", "step-000000000003"


def seen(run: Path) -> list[str]:
    """The ids of the findings, after a look at the form of the answer."""
    answer = examine(run).as_json()
    assert set(answer) == {"run", "sick", "findings"}
    assert answer["run"] == str(run)
    for finding in answer["findings"]:
        assert list(finding) == ["id", "level", "what", "evidence", "cause", "cure"]
        assert finding["level"] in ("fault", "note")
    levels = [finding["level"] for finding in answer["findings"]]
    assert answer["sick"] == ("fault" in levels)
    assert levels == sorted(levels)  # faults come first
    return [finding["id"] for finding in answer["findings"]]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder, with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def edit(path: Path, **changes: Any) -> None:
    """Change some fields of a JSON file."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_finished_run_is_healthy_and_everything_is_in_order(run: Path) -> None:
    diagnosis = examine(run)
    assert (diagnosis.findings, diagnosis.sick) == ((), False)
    assert set(diagnosis.sound) == {
        *("run.json", "config.toml", "status.json", "tokenizer"),
        *("metrics.jsonl (4)", "checkpoints (3, 4)"),
    }


# How it ended.


def test_a_run_that_says_running_while_nobody_holds_the_lock_was_killed(run: Path) -> None:
    edit(run / "status.json", state="running", exit_status=None)
    assert seen(run) == ["killed"]
    assert not examine(run).sick  # killed at any moment, a run can go on: RELIABILITY K1
    (finding,) = examine(run).as_json()["findings"]
    assert finding["cure"] == f"go on with: groundup train --run-dir {run} --resume"


def test_the_lock_tells_a_killed_run_from_one_at_work(run: Path) -> None:
    edit(run / "status.json", state="running", exit_status=None)
    with RunDirectory(run):
        (finding,) = examine(run).as_json()["findings"]
        assert finding["id"] == "busy"
        assert f"pid {os.getpid()}" in finding["evidence"]
    assert seen(run) == ["killed"]


def test_looking_at_the_lock_takes_it_from_nobody(run: Path) -> None:
    examine(run)
    with RunDirectory(run):
        pass
    with (run / "lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)  # another doctor
        assert seen(run) == []


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"state": "interrupted", "saved": True}, "interrupted"),
        ({"state": "interrupted", "saved": False}, "interrupted-unsaved"),
        ({"state": "failed", "error": {"code": "NUM_LOSS", "what": "the loss is nan", "fix": "lower it"}}, "failed"),
        ({"state": "failed", "error": {"code": "DISK_FULL", "what": "the disk is full"}}, "failed-outside"),
        ({"state": "failed", "error": {"code": "DIST_RANK", "what": "rank 1 is gone"}}, "failed-outside"),
        ({"state": "failed"}, "failed"),
    ],
)
def test_the_way_a_run_ended_is_told(run: Path, changes: dict[str, Any], id: str) -> None:
    edit(run / "status.json", **changes)
    assert seen(run) == [id]
    assert examine(run).sick == (id == "failed")


def test_a_failure_is_told_with_its_own_words(run: Path) -> None:
    error = {"code": "NUM_LOSS", "what": "the loss is nan", "where": "step 3", "fix": "lower training.max_lr"}
    edit(run / "status.json", state="failed", error=error)
    (finding,) = examine(run).as_json()["findings"]
    assert finding["what"] == "the run failed after step 4: the loss is nan"
    assert finding["evidence"] == "status.json: NUM_LOSS; step 3"
    assert finding["cure"] == "lower training.max_lr"


def test_a_run_stopped_before_it_began_is_told_so(run: Path) -> None:
    for name in ("run.json", "metrics.jsonl"):
        (run / name).unlink()
    for name in ("checkpoints", "tokenizer", "samples"):
        shutil.rmtree(run / name)
    (run / "status.json").write_text('{"state": "running", "step": 0}')
    assert seen(run) == ["not-begun"]
    for name in ("config.toml", "status.json"):
        (run / name).unlink()
    assert seen(run) == ["not-begun"]


# Its files.


def test_files_that_are_missing_are_named(run: Path) -> None:
    for name in ("status.json", "metrics.jsonl"):
        (run / name).unlink()
    assert seen(run) == ["status-missing", "metrics-missing"]
    for name in ("run.json", "config.toml"):
        (run / name).unlink()
    assert seen(run) == ["identity-missing", "status-missing", "metrics-missing"]


def test_without_its_config_or_tokenizer_a_run_is_sick(run: Path) -> None:
    (run / "config.toml").unlink()
    shutil.rmtree(run / "tokenizer")
    assert seen(run) == ["config-damaged", "tokenizer-damaged"]


def test_a_changed_identity_fails_its_own_hash(run: Path) -> None:
    edit(run / "run.json", seed=2)
    assert seen(run) == ["identity-damaged"]


def test_a_setting_changed_afterwards_is_noticed(run: Path) -> None:
    path = run / "config.toml"
    path.write_text(path.read_text().replace("n_heads = 2", "n_heads = 4"))
    assert seen(run) == ["config-changed"]


def test_a_setting_that_may_change_is_no_ailment(run: Path) -> None:
    path = run / "config.toml"
    assert "steps = 4" in path.read_text()
    path.write_text(path.read_text().replace("steps = 4", "steps = 8"))
    assert seen(run) == []


def test_another_tokenizer_is_noticed(run: Path) -> None:
    path = run / "tokenizer" / "tokenizer.json"
    path.write_text(path.read_text().replace("<|endoftext|>", "<|the_end|>"))
    assert seen(run) == ["tokenizer-changed"]


def test_lines_of_metrics_that_are_none_are_counted(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join([*lines[:2], "rubbish\n", '{"step": "x"}\n', *lines[2:], lines[0]]))
    (finding,) = examine(run).as_json()["findings"]
    assert (finding["id"], finding["evidence"]) == ("metrics-damaged", "3 of 7 lines, the first of them line 3")


def test_a_torn_last_line_is_no_damage(run: Path) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    assert seen(run) == ["metrics-torn"]
    assert not examine(run).sick


def test_a_loss_that_is_no_number_is_seen_in_the_log(run: Path) -> None:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    lines[3] = json.dumps(json.loads(lines[3]) | {"loss": math.nan})
    (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    assert seen(run) == ["loss-nonfinite"]


@pytest.mark.parametrize("loss", ["1.7e308", "-1.7e308", "1e999", str(10**400), "true"])
def test_a_number_that_no_step_has_is_a_damaged_line_for_doctor_and_reader_alike(loss: str, run: Path) -> None:
    path = run / "metrics.jsonl"
    rows = [f'{{"step": {step}, "loss": {loss}, "grad_norm": 1.0, "seconds": 1.0}}\n' for step in range(5, 500)]
    path.write_text(path.read_text() + "".join(rows))
    (finding,) = examine(run).as_json()["findings"]
    assert (finding["id"], finding["evidence"]) == ("metrics-damaged", "495 of 499 lines, the first of them line 5")
    assert len(read_metrics(path)) == 4


# Its checkpoints.


def test_every_damaged_checkpoint_is_named_and_stays_where_it_is(run: Path) -> None:
    flip(run / "checkpoints" / NEWEST / "model.safetensors", 3000)
    before = contents(run)
    (finding,) = examine(run).as_json()["findings"]
    assert (finding["id"], finding["what"]) == ("checkpoint-damaged", f"{NEWEST} is damaged")
    assert "model.safetensors" in finding["evidence"] and "[CKPT_HASH]" in finding["evidence"]
    assert finding["cure"] == (
        f"step {int(OLDER[5:])} is whole: go on from there with: groundup train --run-dir {run} --resume; "
        "it sets the damaged one aside"
    )
    assert contents(run) == before


def test_the_cure_of_a_damaged_newest_checkpoint_works(run: Path) -> None:
    flip(run / "checkpoints" / NEWEST / "model.safetensors", 3000)
    (finding,) = examine(run).as_json()["findings"]
    command = finding["cure"].partition("with: ")[2].partition(";")[0]
    assert main(shlex.split(command)[1:]) == 0
    assert seen(run) == ["set-aside"]


def test_a_damaged_older_checkpoint_costs_nothing(run: Path) -> None:
    flip(run / "checkpoints" / OLDER / "model.safetensors", 3000)
    (finding,) = examine(run).as_json()["findings"]
    assert (finding["id"], finding["what"]) == ("checkpoint-damaged", f"{OLDER} is damaged")
    assert finding["cure"].startswith(f"nothing is lost: step {int(NEWEST[5:])} is newer and whole")


def test_when_no_checkpoint_is_left_that_is_said_too(run: Path) -> None:
    for name in (NEWEST, OLDER):
        (run / "checkpoints" / name / "state.json").unlink()
    assert seen(run) == ["checkpoint-damaged", "checkpoint-damaged", "no-checkpoint"]
    assert "no other checkpoint of this run is whole" in examine(run).as_json()["findings"][0]["cure"]


def test_a_saved_step_that_is_gone_is_noticed(run: Path) -> None:
    shutil.rmtree(run / "checkpoints" / NEWEST)
    assert seen(run) == ["checkpoint-lost"]
    shutil.rmtree(run / "checkpoints")
    assert seen(run) == ["checkpoint-lost"]


def test_a_checkpoint_of_another_run_is_noticed(run: Path) -> None:
    found = load_checkpoint(run / "checkpoints" / NEWEST)
    save_checkpoint(run / "checkpoints", 5, found.model, found.optimizer, found.state, "f" * 32, {})
    assert seen(run) == ["checkpoint-foreign"]


def test_a_checkpoint_of_a_newer_groundup_is_not_called_damaged(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_checkpoint(run / "checkpoints" / NEWEST)
    monkeypatch.setattr("groundup.weights.manifest.VERSION", 99)
    save_checkpoint(run / "checkpoints", 5, found.model, found.optimizer, found.state, found.manifest["run_id"], {})
    monkeypatch.undo()
    assert seen(run) == ["checkpoint-newer"]


def poisoned(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Save weights that are not finite, which groundup itself refuses to do."""
    found = load_checkpoint(run / "checkpoints" / NEWEST)
    found.model["h.0.attn.w_q"][0, 3] = math.nan
    monkeypatch.setattr(checkpoint, "_refuse_nonfinite", lambda *_: None)
    save_checkpoint(run / "checkpoints", 5, found.model, found.optimizer, found.state, found.manifest["run_id"], {})


def test_weights_that_are_not_finite_are_found_by_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(run, monkeypatch)
    (finding,) = examine(run).as_json()["findings"]
    assert finding["id"] == "weights-nonfinite"
    assert finding["evidence"] == "step-000000000005: 1 of 256 numbers in h.0.attn.w_q"


def test_teeth_without_the_look_at_the_numbers_bad_weights_go_unseen(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned(run, monkeypatch)
    monkeypatch.setattr(torch, "isfinite", lambda tensor: torch.ones_like(tensor, dtype=torch.bool))
    assert seen(run) == []


def test_a_model_too_big_for_memory_is_checked_by_its_hashes_alone(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "available_bytes", lambda: 1000)
    assert seen(run) == ["weights-unchecked"]


def test_what_was_set_aside_and_what_was_left_over_is_told(run: Path) -> None:
    (run / "checkpoints" / ".tmp-000000000005-0123abcd").mkdir()
    (run / "bad" / NEWEST).mkdir(parents=True)
    assert seen(run) == ["set-aside", "leftovers"]
    with RunDirectory(run):  # then it is a save that is under way
        assert seen(run) == ["set-aside", "busy"]


def test_a_disk_that_is_nearly_full_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(run)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    assert seen(run) == ["disk-full"]


# What is no run.


def test_what_is_no_run_is_a_wrong_request(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("x")
    (tmp_path / "folder").mkdir()
    for name, code in (("nowhere", "PATH"), ("text", "PATH_KIND"), ("pipe", "PATH_KIND"), ("folder", "PATH_KIND")):
        with pytest.raises(ConfigError) as caught:
            examine(tmp_path / name)
        assert (caught.value.code, caught.value.status) == (code, 2)


# Damage of any kind.


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Turn one bit of a file over."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(data)


FILES = [
    *("run.json", "config.toml", "status.json", "metrics.jsonl", "tokenizer/tokenizer.json", "lock"),
    *(f"checkpoints/{NEWEST}/{name}" for name in ("manifest.json", "state.json", "optimizer.safetensors")),
]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("trials", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_any_flipped_bit_and_any_cut_gives_an_answer_in_the_closed_form(name: str, trials: int, run: Path) -> None:
    path, draw = run / name, random.Random(name)
    data = path.read_bytes()
    for _trial in range(trials):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        assert set(seen(run)) <= AILMENTS.keys()
        path.write_bytes(data[: draw.randrange(len(data))])
        assert set(seen(run)) <= AILMENTS.keys()
    path.write_bytes(data)
    assert seen(run) == []


def replaced(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Put something else in the place of a file."""

    def act(path: Path) -> None:
        path.unlink()
        make(path)

    return act


STRANGE = {
    "a folder": replaced(Path.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a link to nowhere": replaced(lambda path: path.symlink_to("nowhere")),
    "a link to itself": replaced(lambda path: path.symlink_to(path)),
    "a device": replaced(lambda path: path.symlink_to("/dev/zero")),
    "deep": lambda path: path.write_text("[" * 100_000),
    "deep in JSON": lambda path: path.write_text('{"a":' * 100_000),
    "huge": lambda path: os.truncate(path, 1 << 32),  # a hole: it takes no room
    "a long number": lambda path: path.write_text('{"step": 1' + "0" * 6000 + "}\n"),
    "a large number": lambda path: path.write_text('{"step": 1e999, "loss": 1, "grad_norm": 1, "state": "done"}\n'),
    "a list": lambda path: path.write_text("[1]\n"),
    "another encoding": lambda path: path.write_bytes('{"step": "é"}\n'.encode("utf-16")),
    "nothing": lambda path: path.write_text(""),
}


@pytest.mark.parametrize("what", STRANGE)
@pytest.mark.parametrize("name", FILES)
def test_anything_in_the_place_of_a_file_gives_an_answer_in_the_closed_form(name: str, what: str, run: Path) -> None:
    STRANGE[what](run / name)
    assert set(seen(run)) <= AILMENTS.keys()


@pytest.mark.parametrize("name", ["checkpoints", "bad", "tokenizer", "samples", "debug"])
def test_a_file_in_the_place_of_a_folder_gives_an_answer_in_the_closed_form(name: str, run: Path) -> None:
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).write_text("x")
    assert set(seen(run)) <= AILMENTS.keys()


def test_a_run_of_rubbish_alone_gives_an_answer(run: Path) -> None:
    draw = random.Random(1)
    for path in list(run.rglob("*")):
        if path.is_file():
            path.write_bytes(draw.randbytes(1000))
    assert examine(run).sick
    assert set(seen(run)) <= AILMENTS.keys()
