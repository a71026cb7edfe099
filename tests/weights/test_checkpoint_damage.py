"""No damage of a checkpoint goes unnoticed, and the one before it is used (RELIABILITY K2 to K9)."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from weights.saved import DAMAGE, RUN, Heard, bad, forge, nobody, save, tensors

from groundup.errors import CheckpointError, StorageError
from groundup.weights import (
    has_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    prune,
)
from groundup.weights.checkpoint import verify
from groundup.weights.manifest import HASHED


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
