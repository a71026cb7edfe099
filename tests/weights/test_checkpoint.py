"""Checkpoints: complete or absent, and no damage goes unnoticed (RELIABILITY K2 to K8, F1 to F4, N3, P7)."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from limits import largest_file
from safetensors.torch import load_file
from torch import Tensor

from groundup import files
from groundup.canonical_json import canonical_json
from groundup.errors import CheckpointError, DivergedError, StorageError
from groundup.report import Report
from groundup.weights import (
    clean_leftovers,
    has_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    prune,
    save_checkpoint,
    state_id,
)
from groundup.weights.checkpoint import verify
from groundup.weights.manifest import HASHED, make_manifest

RUN = "0123456789abcdef0123456789abcdef"
DAMAGE = {"CKPT_HASH", "CKPT_SIZE", "CKPT_MISSING", "CKPT_NAME", "CKPT_FORMAT"}


class Heard(Report):
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def tensors(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator) for name, shape in (("wte", (5, 4)), ("ln_f.weight", (4,)))
    }
    half = torch.randn(3, generator=generator).bfloat16()
    return weights, {"m.wte": torch.rand(5, 4, generator=generator), "half": half, "count": torch.tensor(seed)}


def save(folder: Path, step: int, *, seed: int | None = None, run_id: str = RUN, **state: Any) -> Path:
    model, optimizer = tensors(step if seed is None else seed)
    return save_checkpoint(folder, step, model, optimizer, {"step": step, "lr": 0.1 * step, **state}, run_id, {"t": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "checkpoints"


def bad(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder.parent / "bad").glob("*"))


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest and give it a right hash again, as only a programme would."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    change(manifest)
    del manifest["self"]
    rest = canonical_json(manifest)
    manifest["self"] = hashlib.sha256(rest).hexdigest()
    (path / "manifest.json").write_bytes(canonical_json(manifest))


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


# Damage


def test_a_flipped_bit_in_any_file_is_noticed_and_the_older_checkpoint_used(folder: Path) -> None:
    save(folder, 1)
    newest = save(folder, 2)
    originals = {path.name: path.read_bytes() for path in newest.iterdir()}
    generator = random.Random(5)
    for _ in range(200):
        name = generator.choice(sorted(originals))
        position = generator.randrange(8 * len(originals[name]))
        changed = bytearray(originals[name])
        changed[position // 8] ^= 1 << position % 8
        (newest / name).write_bytes(changed)
        heard = Heard()
        assert newest_checkpoint(folder, heard).step == 1, (name, position)
        (warning,) = heard.warnings
        assert name in warning and "moved to" in warning
        moved = folder.parent / "bad" / newest.name
        assert name in (moved / "reason.txt").read_text()
        assert (moved / name).read_bytes() == changed
        (moved / "reason.txt").unlink()
        (moved / name).write_bytes(originals[name])
        moved.rename(newest)
    assert newest_checkpoint(folder, Heard()).step == 2  # the drill itself changed nothing


def test_a_cut_file_is_noticed(folder: Path) -> None:
    path = save(folder, 1)
    originals = {file.name: file.read_bytes() for file in path.iterdir()}
    generator = random.Random(6)
    cuts = [(name, 0) for name in originals]
    cuts += [(name, generator.randrange(len(originals[name]))) for name in generator.choices(sorted(originals), k=100)]
    for name, length in cuts:
        (path / name).write_bytes(originals[name][:length])
        for check in (load_checkpoint, verify):
            with pytest.raises(CheckpointError) as caught:
                check(path)
            assert caught.value.code == "CKPT_SIZE", (name, length)
        (path / name).write_bytes(originals[name])
    load_checkpoint(path)


@pytest.mark.parametrize("name", [*HASHED, "manifest.json"])
def test_a_missing_file_is_damage(folder: Path, name: str) -> None:
    save(folder, 1)
    (save(folder, 2) / name).unlink()
    heard = Heard()
    assert newest_checkpoint(folder, heard).step == 1
    assert "CKPT_MISSING" in heard.warnings[0] and name in heard.warnings[0]
    assert bad(folder) == ["step-000000000002"]


def test_an_extra_file_is_ignored_with_a_warning(folder: Path) -> None:
    path = save(folder, 2)
    shutil.copy(path / "model.safetensors", path / "model-2.safetensors")
    heard = Heard()
    checkpoint = newest_checkpoint(folder, heard)
    assert checkpoint.step == 2
    assert checkpoint.model.keys() == tensors(2)[0].keys()
    assert len(heard.warnings) == 1 and "model-2.safetensors" in heard.warnings[0]
    assert bad(folder) == []


def test_when_all_are_damaged_each_is_named_and_none_is_used(folder: Path) -> None:
    for step in (1, 2, 3):
        state = save(folder, step) / "state.json"
        state.write_bytes(state.read_bytes().replace(b"lr", b"lx"))
    for lines in (3, 0):  # the second time there is nothing left to look at, and still no fresh start
        with pytest.raises(CheckpointError) as caught:
            newest_checkpoint(folder, Heard())
        assert (caught.value.code, caught.value.status) == ("CKPT_NONE", 3)
        assert str(caught.value).count("CKPT_HASH") == lines
        assert has_checkpoints(folder)
    assert len(bad(folder)) == 3


def test_a_second_damaged_checkpoint_of_one_step_does_not_replace_the_first_in_bad(folder: Path) -> None:
    for seed in (1, 2):
        (save(folder, 5, seed=seed) / "state.json").write_bytes(b"{}\n")
        with pytest.raises(CheckpointError):
            newest_checkpoint(folder, Heard())
    assert bad(folder) == ["step-000000000005", "step-000000000005-2"]


def test_a_run_that_never_saved_has_no_checkpoints(folder: Path) -> None:
    assert not has_checkpoints(folder)
    with pytest.raises(CheckpointError) as caught:
        newest_checkpoint(folder, Heard())
    assert caught.value.code == "CKPT_NONE"


def test_a_newer_format_stops_and_is_left_where_it_is(folder: Path) -> None:
    save(folder, 1)
    forge(save(folder, 2), lambda manifest: manifest.update(version=99))
    with pytest.raises(CheckpointError) as caught:
        newest_checkpoint(folder, Heard())
    assert (caught.value.code, caught.value.status) == ("CKPT_VERSION", 3)
    assert (folder / "step-000000000002").is_dir()
    assert bad(folder) == []


def rename_entry(name: str) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = manifest["files"].pop("state.json")

    return change


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "state.json\0", "model-2.safetensors", ".."])
def test_a_manifest_that_names_another_file_is_not_followed(folder: Path, name: str) -> None:
    save(folder, 1)
    newest = save(folder, 2)
    (folder / "x").write_bytes((newest / "state.json").read_bytes())
    forge(newest, rename_entry(name))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(newest)
    assert caught.value.code == "CKPT_NAME"
    assert newest_checkpoint(folder, Heard()).step == 1


@pytest.mark.parametrize("name", [*HASHED, "manifest.json"])
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_link_a_folder_or_a_pipe_in_place_of_a_file_is_not_opened(folder: Path, name: str, kind: str) -> None:
    save(folder, 1)
    newest = save(folder, 2)
    (newest / name).rename(folder / "elsewhere")
    if kind == "link":
        (newest / name).symlink_to(folder / "elsewhere")
    elif kind == "folder":
        (newest / name).mkdir()
    else:
        os.mkfifo(newest / name)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(newest)
    assert caught.value.code == "CKPT_NAME"
    assert newest_checkpoint(folder, Heard()).step == 1


def test_a_link_in_place_of_a_checkpoint_is_not_followed(folder: Path, tmp_path: Path) -> None:
    save(folder, 1)
    save(folder, 2).rename(tmp_path / "elsewhere")
    (folder / "step-000000000002").symlink_to(tmp_path / "elsewhere")
    assert newest_checkpoint(folder, Heard()).step == 1
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == sorted([*HASHED, "manifest.json"])
    assert bad(folder) == ["step-000000000002"]


def test_a_renamed_checkpoint_does_not_pass_for_another_step(folder: Path) -> None:
    save(folder, 1)
    save(folder, 2).rename(folder / "step-000000000009")
    assert newest_checkpoint(folder, Heard()).step == 1


class Trap:
    """Creates a file when a pickle of it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("forged", [True, False])
def test_a_pickle_in_place_of_tensors_is_refused_unopened(
    folder: Path, tmp_path: Path, zipped: bool, forged: bool
) -> None:
    save(folder, 1)
    newest, marker = save(folder, 2), tmp_path / "marker"
    pickle = newest / "model.safetensors"
    torch.save({"wte": Trap(marker)}, pickle, _use_new_zipfile_serialization=zipped)
    if forged:
        content = pickle.read_bytes()
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        forge(newest, lambda manifest: manifest["files"]["model.safetensors"].update(entry))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(newest)
    assert caught.value.code == "CKPT_FORMAT"
    assert newest_checkpoint(folder, Heard()).step == 1
    assert not marker.exists()


def test_a_manifest_that_lists_other_tensors_is_refused(folder: Path) -> None:
    path = save(folder, 1)
    forge(path, lambda manifest: manifest["files"]["model.safetensors"]["tensors"]["wte"].update(shape=[4, 5]))
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert caught.value.code == "CKPT_FORMAT"


@pytest.mark.parametrize("manifest", [{}, {"format": "other"}, {"format": "groundup-checkpoint", "version": 1}])
def test_a_sound_manifest_of_another_form_is_damage(folder: Path, manifest: dict[str, Any]) -> None:
    save(folder, 1)
    newest = save(folder, 2)
    forge(newest, lambda old: (old.clear(), old.update(manifest, self="")))
    assert newest_checkpoint(folder, Heard()).step == 1


def test_a_manifest_with_a_wrong_size_or_hash_is_refused(folder: Path) -> None:
    path = save(folder, 1)
    for entry in ({"bytes": -1}, {"bytes": True}, {"bytes": "8"}, {"sha256": None}, {"bytes": 10**18}):
        forge(path, lambda manifest, entry=entry: manifest["files"]["state.json"].update(entry))
        with pytest.raises(CheckpointError) as caught:
            load_checkpoint(path)
        assert caught.value.code in DAMAGE


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without special rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A run's checkpoints in a place that everybody may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place) / "checkpoints"


@pytest.mark.parametrize("name", [*HASHED, "manifest.json"])
def test_a_file_that_may_not_be_read_is_no_damage(open_folder: Path, name: str) -> None:
    save(open_folder, 1)
    newest = save(open_folder, 2)
    (newest / name).chmod(0)
    with nobody(), pytest.raises(StorageError) as caught:
        newest_checkpoint(open_folder, Heard())
    assert (caught.value.code, caught.value.status) == ("DISK_READ", 3)
    assert newest.is_dir()
    assert bad(open_folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's files")
def test_a_reader_who_may_not_write_still_gets_the_older_checkpoint(open_folder: Path) -> None:
    save(open_folder, 1)
    (save(open_folder, 2) / "state.json").unlink()
    heard = Heard()
    with nobody():
        assert newest_checkpoint(open_folder, heard).step == 1
    assert "could not be moved" in heard.warnings[0]


def test_a_reader_beside_a_training_run_always_gets_one_whole_checkpoint(folder: Path) -> None:
    """With checkpoint.keep=1 the folder that is being read may be removed at any moment: that is no damage."""
    save(folder, 1)

    def train() -> None:
        for step in range(2, 60):
            save(folder, step)
            prune(folder, 1)

    heard, seen = Heard(), []
    training = threading.Thread(target=train)
    training.start()
    try:
        while training.is_alive():
            checkpoint = newest_checkpoint(folder, heard)
            assert int(checkpoint.optimizer["count"]) == checkpoint.state["step"] == checkpoint.step
            seen.append(checkpoint.step)
    finally:
        training.join()
    assert seen == sorted(seen) and len(set(seen)) > 5
    assert heard.warnings == []
    assert bad(folder) == []


def test_a_checkpoint_of_another_run_is_not_taken_for_ours(folder: Path) -> None:
    save(folder, 1, run_id="f" * 32)
    assert newest_checkpoint(folder, Heard(), run_id="f" * 32).step == 1
    with pytest.raises(CheckpointError) as caught:
        newest_checkpoint(folder, Heard(), run_id=RUN)
    assert (caught.value.code, caught.value.status) == ("CKPT_RUN", 2)
    assert bad(folder) == []


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
