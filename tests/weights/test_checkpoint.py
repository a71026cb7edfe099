"""Checkpoints: complete or absent, whatever the disk says (RELIABILITY F1 to F4, N3, P7)."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from limits import largest_file
from safetensors.torch import load_file
from weights.saved import RUN, Heard, bad, nobody, save, tensors

from groundup import files
from groundup.canonical_json import canonical_json
from groundup.errors import CheckpointError, DivergedError, StorageError
from groundup.weights import (
    clean_leftovers,
    load_checkpoint,
    newest_checkpoint,
    prune,
    save_checkpoint,
    state_id,
)
from groundup.weights.manifest import HASHED, make_manifest

# Writing and reading


def test_what_was_saved_is_loaded(folder: Path) -> None:
    model, optimizer = tensors(7)
    state = {"step": 7, "lr": 0.1 + 0.2, "tiny": 5e-324, "tokens": 2**60, "best": None, "name": "é\n"}
    path = save_checkpoint(folder, 7, model, optimizer, state, RUN, {"torch": "2"})
    assert path == folder / "step-000000000007"
    loaded = load_checkpoint(path)
    assert (loaded.step, loaded.state, loaded.path) == (7, state, path)
    for saved, read in ((model, loaded.model), (optimizer, loaded.optimizer)):
        assert saved.keys() == read.keys()
        assert all(torch.equal(saved[name], read[name]) and saved[name].dtype == read[name].dtype for name in saved)
    assert loaded.manifest["run_id"] == RUN
    assert loaded.manifest["writer"] == {"torch": "2"}
    assert loaded.manifest["files"]["model.safetensors"]["tensors"]["wte"] == {"dtype": "F32", "shape": [5, 4]}


def test_safetensors_reads_our_files(folder: Path) -> None:
    model, optimizer = tensors(3)
    path = save(folder, 3)
    for name, expected in (("model", model), ("optimizer", optimizer)):
        read = load_file(path / f"{name}.safetensors")
        assert read.keys() == expected.keys()
        assert all(torch.equal(read[key], expected[key]) for key in expected)


def test_equal_states_have_equal_bytes_whoever_wrote_them(tmp_path: Path) -> None:
    model, optimizer = tensors(1)
    paths = []
    for writer in ({"threads": 1}, {"threads": 2}):
        state = dict(reversed([("a", 1), ("b", 2.5)])) if paths else {"a": 1, "b": 2.5}
        turned = dict(reversed(model.items())) if paths else model
        folder = tmp_path / str(len(paths)) / "checkpoints"
        paths.append(save_checkpoint(folder, 1, turned, optimizer, state, RUN, writer))
    first, second = paths
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in HASHED)
    manifests = [json.loads((path / "manifest.json").read_bytes()) for path in paths]
    assert manifests[0]["state_id"] == manifests[1]["state_id"]
    assert manifests[0]["self"] != manifests[1]["self"]
    assert state_id({name: manifests[0]["files"][name]["sha256"] for name in HASHED}) == manifests[0]["state_id"]


def test_one_changed_bit_of_state_changes_the_state_id(folder: Path) -> None:
    ids = {load_checkpoint(save(folder, 1, seed=1, lr=lr)).manifest["state_id"] for lr in (0.1, 0.1 + 2**-56)}
    assert len(ids) == 2


def test_nothing_is_left_beside_a_saved_checkpoint(folder: Path) -> None:
    save(folder, 1)
    assert [path.name for path in folder.iterdir()] == ["step-000000000001"]
    assert sorted(path.name for path in (folder / "step-000000000001").iterdir()) == sorted([*HASHED, "manifest.json"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("where", ["model", "optimizer", "state"])
def test_a_state_that_is_not_finite_is_not_saved(folder: Path, value: float, where: str) -> None:
    save(folder, 1)
    model, optimizer = tensors(2)
    if where == "state":
        state = {"best": value}
    else:
        state = {}
        ({"model": model["wte"], "optimizer": optimizer["half"]}[where]).view(-1)[2] = value
    with pytest.raises(DivergedError) as caught:
        save_checkpoint(folder, 2, model, optimizer, state, RUN, {})
    assert (caught.value.code, caught.value.status) == ("NUM_STATE", 3)
    assert [path.name for path in folder.iterdir()] == ["step-000000000001"]


# The name is taken


def test_saving_the_same_state_again_changes_nothing(folder: Path) -> None:
    path = save(folder, 1)
    before = {file.name: (file.stat().st_ino, file.read_bytes()) for file in path.iterdir()}
    assert save(folder, 1) == path
    assert {file.name: (file.stat().st_ino, file.read_bytes()) for file in path.iterdir()} == before
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_another_branch_of_this_run_makes_way(folder: Path) -> None:
    save(folder, 1, seed=1)
    save(folder, 1, seed=2)
    assert int(load_checkpoint(folder / "step-000000000001").optimizer["count"]) == 2
    (name,) = bad(folder)
    assert "abandoned" in (folder.parent / "bad" / name / "reason.txt").read_text()
    assert int(load_checkpoint(folder.parent / "bad" / name).optimizer["count"]) == 1


def test_a_damaged_one_of_the_same_name_makes_way(folder: Path) -> None:
    path = save(folder, 1)
    (path / "state.json").write_bytes(b"{}\n")
    save(folder, 1)
    load_checkpoint(path)
    assert bad(folder) == [path.name]


def test_another_runs_checkpoint_of_the_same_name_stays(folder: Path) -> None:
    path = save(folder, 1, run_id="f" * 32)
    before = (path / "manifest.json").read_bytes()
    with pytest.raises(CheckpointError) as caught:
        save(folder, 1)
    assert (caught.value.code, caught.value.status) == ("CKPT_EXISTS", 2)
    assert (path / "manifest.json").read_bytes() == before
    assert [file.name for file in folder.iterdir()] == [path.name]


# Keeping and removing


def names(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


def test_pruning_keeps_the_last_and_the_protected(folder: Path) -> None:
    for step in range(1, 7):
        save(folder, step)
    removed = prune(folder, 2, protected={3})
    assert names(folder) == [3, 5, 6]
    assert sorted(int(path.name.removeprefix("step-")) for path in removed) == [1, 2, 4]


def test_pruning_never_removes_the_only_one_that_passes(folder: Path) -> None:
    for step in (1, 2, 3):
        save(folder, step)
    for step in (2, 3):
        (folder / f"step-{step:012d}" / "state.json").write_bytes(b"{}\n")
    assert prune(folder, 2) == []
    assert names(folder) == [1, 2, 3]
    assert newest_checkpoint(folder, Heard()).step == 1


def test_pruning_keeps_at_least_one(folder: Path) -> None:
    save(folder, 1)
    save(folder, 2)
    prune(folder, 0)
    assert names(folder) == [2]


def test_leftovers_of_a_kill_go_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    save(folder, 1)
    for name in (
        ".tmp-000000000002-0a1b2c3d",
        ".trash-0a1b2c3d",
        ".tmp-notes",
        ".trash",
        "step-notes",
        ".tmp-000000000002-XYZ",
    ):
        (folder / name).mkdir()
        (folder / name / "file").write_text("x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("x")
    (folder / ".trash-ffffffff").symlink_to(tmp_path / "outside")
    clean_leftovers(folder)
    kept = {"step-000000000001", ".tmp-notes", ".trash", "step-notes", ".tmp-000000000002-XYZ", ".trash-ffffffff"}
    assert {path.name for path in folder.iterdir()} == kept
    assert (tmp_path / "outside" / "file").exists()


def test_there_may_be_no_folder_to_clean(folder: Path) -> None:
    clean_leftovers(folder)
    assert prune(folder, 1) == []


# The disk says no


def test_a_disk_that_fills_at_any_byte_leaves_the_older_checkpoint(folder: Path) -> None:
    save(folder, 1)
    largest = max(file.stat().st_size for file in (folder / "step-000000000001").iterdir())
    for limit in range(0, largest, 13):
        with largest_file(limit), pytest.raises(StorageError) as caught:
            save(folder, 2)
        assert (caught.value.code, caught.value.status) == ("DISK_FULL", 3), limit
        assert names(folder) == [1]
    assert newest_checkpoint(folder, Heard()).step == 1
    save(folder, 2)
    assert newest_checkpoint(folder, Heard()).step == 2


def test_too_little_space_is_said_before_anything_is_written(folder: Path) -> None:
    huge = {"wte": torch.zeros(1).expand(1 << 50)}
    with pytest.raises(StorageError) as caught:
        files.require_space(folder, huge["wte"].nbytes)
    assert caught.value.code == "DISK_FULL"
    assert f"{1 << 52:,} bytes are needed" in caught.value.what
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's folder")
def test_a_folder_that_may_not_be_written_is_said(open_folder: Path) -> None:
    save(open_folder, 1)
    with nobody(), pytest.raises(StorageError) as caught:
        save(open_folder, 2)
    assert (caught.value.code, caught.value.status) == ("READ_ONLY", 3)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_at_any_call_leaves_the_older_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The n-th fsync or rename of a save fails with EIO, for every n: the save fails, or it is whole."""
    save(folder, 1)
    real = getattr(os, call)
    for failing in range(100):
        count = iter(range(1000))

        def failing_call(*arguments: Any, failing: int = failing, count: Iterator[int] = count) -> None:
            if next(count) == failing:
                raise OSError(errno.EIO, "Input/output error")
            real(*arguments)

        monkeypatch.setattr(os, call, failing_call)
        try:
            save(folder, 2)
        except StorageError as error:
            assert error.code == "DISK_FAILED"
            monkeypatch.setattr(os, call, real)
            assert newest_checkpoint(folder, Heard()).step in (1, 2)
            assert not [path for path in folder.iterdir() if path.name.startswith(".")]
            shutil.rmtree(folder / "step-000000000002", ignore_errors=True)
        else:
            break
        finally:
            monkeypatch.setattr(os, call, real)
    assert failing >= (7 if call == "fsync" else 1)  # four files, two folders and the name; one rename


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the names of open files")
def test_everything_is_on_the_disk_before_it_gets_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor: int) -> None:
        calls.append("sync " + re.sub(r"-[0-9a-f]{8}$", "", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        fsync(descriptor)

    def recorded_replace(source: Path, target: Path) -> None:
        calls.append(f"rename {target.name}" if target.name.startswith("step") else "rename to trash")
        replace(source, target)

    save(folder, 1)
    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", recorded_replace)
    save(folder, 2)
    prune(folder, 1)
    temporary = ".tmp-000000000002"
    written = ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
    assert calls == [
        *("sync checkpoints", *(f"sync {name}" for name in written), f"sync {temporary}"),
        *("rename step-000000000002", "sync checkpoints", "rename to trash", "sync checkpoints"),
    ]


def test_the_manifest_is_canonical(folder: Path) -> None:
    text = (save(folder, 1) / "manifest.json").read_bytes()
    manifest = json.loads(text)
    assert canonical_json(manifest) == text
    assert text.isascii() and text.endswith(b"}\n") and b" " not in text
    again = make_manifest(manifest["files"], 1, RUN, manifest["writer"])
    assert again == manifest
