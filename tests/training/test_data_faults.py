"""Faulty data are found before anything is built, and a worker that dies is replaced (rows D1 to D6, R4 and R7)."""

from __future__ import annotations

import codecs
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest
from training.on_disk import SMALL, TEXTS, StopAt, refused, state_id, train_on

from groundup.canonical_json import canonical_json, parse_sealed, sealed
from groundup.report import Report
from groundup.text import shards
from groundup.text.loader import Loader
from groundup.training import run
from groundup.training.run_directory import RunDirectory

NO_UTF8 = "\n\n".join(TEXTS).encode() + b" \xff\xfe\x80 end"


def test_d1_an_empty_text_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    error = refused(tmp_path / "a.txt", tmp_path / "run")
    assert (error.code, error.status) == ("DATA_EMPTY", 3)
    assert not (tmp_path / "run").exists()


def test_d1_teeth_without_the_look_for_a_document_an_empty_text_is_told_as_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    monkeypatch.setattr("groundup.training.data.read_documents", lambda path: [Path(path).read_text()])
    assert refused(tmp_path / "a.txt", tmp_path / "run").code == "DATA_SHORT"


def test_d3_bytes_that_are_no_utf8_leave_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(NO_UTF8)
    error = refused(tmp_path / "a.txt", tmp_path / "run")
    assert (error.code, error.status) == ("DATA_UTF8", 3)
    assert f"offset {NO_UTF8.index(0xFF):,} is 0xff" in error.what
    assert not (tmp_path / "run").exists()


def test_d3_teeth_without_the_strict_decoder_they_are_learnt_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lenient(data: bytes, _mode: str, final: bool) -> tuple[str, int]:
        return codecs.utf_8_decode(data, "replace", final)

    (tmp_path / "a.txt").write_bytes(NO_UTF8)
    monkeypatch.setattr("groundup.text.sources.codecs", SimpleNamespace(utf_8_decode=lenient))
    train_on(tmp_path / "a.txt", tmp_path / "run", steps=1)
    assert (tmp_path / "run" / "checkpoints").exists()


def test_d2_a_text_shorter_than_a_window_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ten tokens")
    error = refused(tmp_path / "a.txt", tmp_path / "runs" / "run", "model.context_length=256")
    assert (error.code, error.status) == ("DATA_SHORT", 3)
    assert " 7 tokens" in error.what and "257" in error.what
    assert not (tmp_path / "runs" / "run").exists()


def test_d2_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ten tokens")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    refused(tmp_path / "a.txt", tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").exists()


def test_d2_teeth_without_the_clearing_up_the_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunDirectory, "discard", lambda self: None)
    (tmp_path / "a.txt").write_text("ten tokens")
    refused(tmp_path / "a.txt", tmp_path / "run")
    assert (tmp_path / "run").exists()


def test_d4_a_cut_shard_never_trains(folder: Path, tmp_path: Path) -> None:
    path = folder / "train-000001.bin"
    path.write_bytes(path.read_bytes()[:-3])
    error = refused(folder, tmp_path / "run")
    assert (error.code, error.status) == ("DATA_SIZE", 3)
    assert not (tmp_path / "run").exists()


def test_d5_an_id_beyond_the_vocabulary_is_found_before_the_first_step(folder: Path, tmp_path: Path) -> None:
    put(folder / "train-000001.bin", 7, 300)
    seal_again(folder)
    error = refused(folder, tmp_path / "run", "model.vocab_size=400")  # the model even has a row for it
    assert (error.code, error.status) == ("DATA_TOKEN", 3)
    assert "token 7 is 300" in error.what and "train-000001.bin" in error.where
    assert not (tmp_path / "run").exists()


def test_d5_teeth_without_the_scan_it_is_an_index_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "train-000001.bin", 7, 300)
    monkeypatch.setattr(shards.ShardFolder, "scan", lambda self, split, check: iter(()))
    with pytest.raises(IndexError):
        train_on(folder, tmp_path / "run", steps=400)


def test_a_damaged_shard_is_refused_by_a_new_run(folder: Path, tmp_path: Path) -> None:
    put(folder / "train-000001.bin", 7, 65)
    error = refused(folder, tmp_path / "run")
    assert (error.code, error.status) == ("DATA_HASH", 3)
    assert not (tmp_path / "run").exists()


def test_d6_changed_shards_stop_a_resume_unless_they_are_accepted(folder: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    train_on(folder, run_dir)
    before = (run_dir / "status.json").read_text()
    put(folder / "train-000001.bin", 7, 65)
    error = refused(folder, run_dir, steps=20, resume=True)
    assert (error.code, error.status) == ("RUN_DATA", 2)
    assert "sha256 was" in error.what and "now" in error.what and "--accept-new-data" in error.fix
    assert (run_dir / "status.json").read_text() == before
    report = StopAt(0)
    train_on(folder, run_dir, steps=20, resume=True, accept_new_data=True, report=report)
    assert any("data changed" in warning for warning in report.warnings)
    assert error.what.rpartition("now ")[2] in (run_dir / "accepted-data.json").read_text()
    train_on(folder, run_dir, steps=24, resume=True)  # they count from now on


def test_d6_a_changed_text_stops_a_resume_unless_it_is_accepted(tmp_path: Path) -> None:
    path, run_dir = tmp_path / "a.txt", tmp_path / "run"
    path.write_text("\n\n".join(TEXTS))
    train_on(path, run_dir)
    path.write_text("\n\n".join(TEXTS).replace("Gisburn", "Gisborn"))
    assert refused(path, run_dir, steps=20, resume=True).code == "RUN_DATA"
    train_on(path, run_dir, steps=20, resume=True, accept_new_data=True)


def test_d6_teeth_without_the_hash_of_the_bytes_the_change_goes_unnoticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_on(folder, tmp_path / "run")
    put(folder / "train-000001.bin", 7, 65)
    scan = shards.ShardFolder.scan
    monkeypatch.setattr(
        shards.ShardFolder,
        "scan",
        lambda self, split, check: ((entry, entry["sha256"]) for entry, _ in scan(self, split, check)),
    )
    train_on(folder, tmp_path / "run", steps=20, resume=True)


def put(path: Path, place: int, i: int) -> None:
    """Put another id into a shard."""
    data = bytearray(path.read_bytes())
    assert data[2 * place : 2 * place + 2] != i.to_bytes(2, "little")
    data[2 * place : 2 * place + 2] = i.to_bytes(2, "little")
    path.write_bytes(data)


def seal_again(folder: Path) -> None:
    """Make the index believe in the shards as they are."""
    import hashlib

    index = parse_sealed((folder / "index.json").read_bytes())
    assert index is not None
    del index["self"]
    for split in shards.SPLITS:
        for entry in index["splits"][split]:
            entry["sha256"] = hashlib.sha256((folder / entry["name"]).read_bytes()).hexdigest()
    (folder / "index.json").write_bytes(canonical_json(sealed(index)))


# --- workers that die ---------------------------------------------------------------------------------------------


class KillWorkers(Report):
    """Kills a data worker when certain steps are reached."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.loader, self.warnings = set(steps), None, list[str]()

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] in self.steps:
            assert self.loader is not None
            os.kill(self.loader.workers[0].pid, signal.SIGKILL)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch):
    """Lets a report know the loader of the run that it hears of."""

    def watch(report: KillWorkers) -> KillWorkers:
        def made(*arguments: object) -> Loader:
            report.loader = Loader(*arguments)
            return report.loader

        monkeypatch.setattr(run, "Loader", made)
        return report

    return watch


def test_r7_one_dead_worker_changes_nothing_and_a_second_ends_the_run_with_a_save(
    prepared: Path, tmp_path: Path, watched
) -> None:
    train_on(prepared, tmp_path / "whole")
    report = watched(KillWorkers(4))
    train_on(prepared, tmp_path / "once", "data.workers=2", report=report)
    assert len(report.warnings) == 1
    assert state_id(tmp_path / "once") == state_id(tmp_path / "whole")

    error = refused(prepared, tmp_path / "twice", "data.workers=1", report=watched(KillWorkers(2, 7)))
    assert (error.code, error.status) == ("WORKER_LOST", 3)
    status = json.loads((tmp_path / "twice" / "status.json").read_text())
    assert status["state"] == "failed" and status["error"]["code"] == "WORKER_LOST"
    assert status["saved_step"] == status["step"] >= 7
    assert (tmp_path / "twice" / "checkpoints" / f"step-{status['step']:012d}").exists()
    train_on(prepared, tmp_path / "twice", "data.workers=1", resume=True)
    assert state_id(tmp_path / "twice") == state_id(tmp_path / "whole")


RUN = """
import sys
from groundup.training import load_config, train
train(load_config("first-gpt", sys.argv[2:]), sys.argv[1], resume=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_r4_a_killed_run_leaves_no_process_and_a_free_lock(prepared: Path, tmp_path: Path) -> None:
    settings = [*SMALL, f'data.train=["{prepared}"]', "training.steps=100000", "data.workers=3", "checkpoint.every=5"]
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "run"), *settings])
    end = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoints/step-*")) and time.monotonic() < end:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 3
    process.kill()
    process.wait()
    end = time.monotonic() + 2
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.02)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    with RunDirectory(tmp_path / "run") as run:  # which takes the lock
        assert run.was_there
    last = max(int(path.name[5:]) for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    train_on(prepared, tmp_path / "run", "checkpoint.every=5", resume=True, steps=last + 2)
    assert (tmp_path / "run" / "checkpoints" / f"step-{last + 2:012d}").exists()
