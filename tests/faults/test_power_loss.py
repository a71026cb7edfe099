"""F5: whenever the power goes, the loader finds the old state or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from faults.power_loss import Disk, Recorder, crash_states, restore

from groundup import files
from groundup.errors import CheckpointError
from groundup.report import SILENT
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint, prune, save_checkpoint, set_aside

RUN = "0123456789abcdef0123456789abcdef"


def save(folder: Path, step: int) -> Path:
    weights = {"wte": torch.full((3,), float(step))}
    return save_checkpoint(folder, step, weights, {"m.wte": weights["wte"]}, {"step": step}, RUN, {})


@dataclass
class Outcome:
    """What a recording was worth."""

    n_states: int = 0
    n_lost: int = 0  # without a usable checkpoint
    n_not_durable: int = 0  # a save had returned, and its checkpoint is not there


def play(
    tmp_path: Path,
    work: Callable[[Path, Callable[[int], None]], None],
    least: int = 1,
    setup: Callable[[Path], None] = lambda folder: (save(folder, 1), None)[1],
) -> Outcome:
    """Record `work(folder, finished)`, and load from the disk of every possible crash.

    finished(step) says that the checkpoint of a step is promised from now on.
    """
    root = tmp_path / "disk"
    folder = root / "checkpoints"
    folder.mkdir(parents=True)
    setup(folder)
    recorder, promised = Recorder(root), [(0, least)]
    with pytest.MonkeyPatch.context() as patch:
        recorder.record(patch)
        work(folder, lambda step: promised.append((len(recorder.ops), step)))
    outcome, seen = Outcome(), dict[str, bool]()
    for n_done in range(len(recorder.ops) + 1):
        least = max(step for since, step in promised if since <= n_done)
        for disk in crash_states(recorder, n_done):
            key = f"{least}{sorted(disk.items())}"
            if key not in seen:
                seen[key] = True
                step = found(disk, tmp_path / "after" / str(len(seen)))
                outcome.n_states += 1
                outcome.n_lost += step is None and least > 0
                outcome.n_not_durable += step is not None and step < least
    return outcome


def found(disk: Disk, root: Path) -> int | None:
    """The step that the real loader finds, every byte checked; None where there is none."""
    root.mkdir(parents=True)
    restore(disk, root)
    try:
        checkpoint = newest_checkpoint(root / "checkpoints", SILENT, run_id=RUN)
    except CheckpointError as error:
        assert error.code == "CKPT_NONE"
        return None
    assert checkpoint.model["wte"].tolist() == [float(checkpoint.step)] * 3
    return checkpoint.step


def save_and_prune(folder: Path, finished: Callable[[int], None]) -> None:
    save(folder, 2)
    finished(2)
    prune(folder, 1)


def test_f5_no_crash_of_a_save_and_a_prune_loses_a_finished_checkpoint(tmp_path: Path) -> None:
    outcome = play(tmp_path, save_and_prune)
    assert outcome.n_states > 20
    assert (outcome.n_lost, outcome.n_not_durable) == (0, 0)


def test_f5_no_crash_of_the_first_save_of_a_run_leaves_anything_wrong(tmp_path: Path) -> None:
    def first(folder: Path, finished: Callable[[int], None]) -> None:
        save(folder, 1)
        finished(1)

    outcome = play(tmp_path, first, least=0, setup=lambda folder: folder.rmdir())
    assert outcome.n_states > 5
    assert (outcome.n_lost, outcome.n_not_durable) == (0, 0)


def test_f5_no_crash_while_a_damaged_checkpoint_is_set_aside_loses_the_older_one(tmp_path: Path) -> None:
    def setup(folder: Path) -> None:
        save(folder, 1)
        (save(folder, 2) / "state.json").write_bytes(b"{}\n")

    outcome = play(
        tmp_path, lambda folder, _: (set_aside(folder / "step-000000000002", "broken"), None)[1], setup=setup
    )
    assert outcome.n_states > 3
    assert (outcome.n_lost, outcome.n_not_durable) == (0, 0)


def test_f5_teeth_pruning_before_the_parent_is_synced_loses_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = files.rename

    def hasty(source: Path, target: Path) -> None:
        if target.name.startswith("step-"):
            os.replace(source, target)
        else:
            rename(source, target)

    monkeypatch.setattr(files, "rename", hasty)
    outcome = play(tmp_path, save_and_prune)
    assert outcome.n_lost > 0
    assert outcome.n_not_durable > 0


def test_f5_teeth_without_any_fsync_much_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.HashedFile, "sync", lambda _: None)
    monkeypatch.setattr(files, "sync_folder", lambda _: None)
    outcome = play(tmp_path, save_and_prune)
    assert outcome.n_lost > 5 and outcome.n_not_durable > 5, outcome


@pytest.mark.parametrize("synced", [True, False])
def test_f5_teeth_a_file_overwritten_in_place_is_lost(tmp_path: Path, synced: bool) -> None:
    def overwrite(folder: Path, _: Callable[[int], None]) -> None:
        path = folder / "step-000000000001" / "state.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        os.write(descriptor, b'{"step":1}\n')
        if synced:
            os.fsync(descriptor)
        os.close(descriptor)

    assert play(tmp_path, overwrite).n_lost > 0


def test_f5_a_replaced_text_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    (root / "status.json").write_text("old")
    recorder = Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        recorder.record(patch)
        files.write_text(root / "status.json", "new, and longer")
    ends = len(recorder.ops)
    texts = {n: {disk["status.json"] for disk in crash_states(recorder, n)} for n in range(ends + 1)}
    assert set().union(*texts.values()) == {b"old", b"new, and longer"}
    assert texts[ends] == {b"new, and longer"}


@pytest.mark.slow
def test_f5_the_whole_run_directory_begins_and_ends_well(tmp_path: Path, tiny: object) -> None:
    """A real run of two steps, crashed at 60 of its moments: what it has reported as saved is there."""
    from faults.harness import Heard, Tiny

    assert isinstance(tiny, Tiny)
    root = tmp_path / "disk"
    root.mkdir()
    recorder, saved = Recorder(root), []

    class Saves(Heard):
        def saved(self, step: int, path: Path) -> None:
            saved.append((len(recorder.ops), step))

    with pytest.MonkeyPatch.context() as patch:
        recorder.record(patch)
        tiny.run(root / "run", "checkpoint.keep=1", steps=3, report=Saves())
    seen: set[str] = set()
    for n_done in sorted({*range(0, len(recorder.ops), max(1, len(recorder.ops) // 60)), *(n for n, _ in saved)}):
        least = max((step for since, step in saved if since <= n_done), default=0)
        for disk in crash_states(recorder, n_done, limit=1):
            key = f"{least}{sorted(disk.items())}"
            if least and key not in seen:
                seen.add(key)
                after = tmp_path / f"after-{len(seen)}"
                after.mkdir()
                restore(disk, after)
                assert newest_checkpoint(after / "run" / "checkpoints", SILENT).step >= least
                assert (after / "run" / "run.json").stat().st_size > 0
    assert len(seen) > 60
    assert load_checkpoint(root / "run" / "checkpoints" / "step-000000000003").step == 3
