"""Checkpoints: the whole state of a training run on the disk, so that no accident costs more than a few steps.

Two promises. A checkpoint is complete or absent: it is written to a temporary folder, flushed to the disk, and gets its
name by one rename at the end, so that a kill at any moment leaves the old checkpoints and, at worst, some rubbish.
And damage is always noticed: a manifest holds the sha256 of each file, and its own; what is read is what was hashed.

    checkpoints/
      step-000000001000/   model.safetensors  optimizer.safetensors  state.json  manifest.json
      .tmp-000000002000-1f2e3d4c/    a save in progress, or left by a kill
      .trash-5a6b7c8d/               a deletion in progress

There is no pointer to the latest one: the newest folder that passes its check is the latest, so nothing can disagree.
A damaged one is set aside in the run's `bad/` with the reason, and the one before it is used.

Read next: `gpt2.py`, the way out into the world.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import files
from ..canonical_json import canonical_json
from ..errors import CheckpointError, DivergedError, StorageError, WeightsError, quoted
from ..report import Report, Sentence
from .manifest import (
    HASHED,
    MANIFEST,
    MODEL,
    OPTIMIZER,
    STATE,
    STEP_NAME,
    Json,
    damage,
    make_manifest,
    open_file,
    read_manifest,
)
from .safetensors_file import describe, is_pickle, parse_tensors, read_error, write_tensors

SPARE_BYTES = 16 << 20

LEFTOVER_NAME = re.compile(r"\.tmp-\d{12}-[0-9a-f]{8}|\.trash-[0-9a-f]{8}")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has passed its check."""

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: Json
    manifest: Json
    path: Path


def step_name(step: int) -> str:
    """The folder of a step; twelve digits, so that names sort like numbers."""
    return f"step-{step:012d}"


# Writing


def save_checkpoint(
    folder: Path,
    step: int,
    model_tensors: Mapping[str, Tensor],
    optimizer_tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    run_id: str,
    writer: Mapping[str, Any],
) -> Path:
    """Write one checkpoint into `folder` (RUN/checkpoints), durably, and return its path.

    state: plain JSON values, without dates or machine names. writer: who wrote it, kept in the manifest alone.
    Raises DivergedError (NUM_STATE) when a number is not finite, StorageError when the disk refuses; nothing is left
    behind then, and the older checkpoints are untouched.
    """
    state_text = _state_text(state, step)
    tensors = {MODEL: model_tensors, OPTIMIZER: optimizer_tensors}
    for name, group in tensors.items():
        _refuse_nonfinite(name, group, step)
    n_bytes = len(state_text) + sum(tensor.nbytes for group in tensors.values() for tensor in group.values())
    temporary, target = folder / f".tmp-{step:012d}-{secrets.token_hex(4)}", folder / step_name(step)
    with files.storage_errors(folder, needed=n_bytes):
        files.require_space(folder, n_bytes + n_bytes // 10 + SPARE_BYTES)
        try:
            files.make_folder(temporary)
            entries = {name: _write_tensors(temporary / name, group) for name, group in tensors.items()}
            with files.create(temporary / STATE) as file:
                file.write(state_text)
            entries[STATE] = {"bytes": file.n_bytes, "sha256": file.sha256}
            manifest = make_manifest(entries, step, run_id, writer)
            with files.create(temporary / MANIFEST) as file:
                file.write(canonical_json(manifest))
            files.sync_folder(temporary)
            if not _is_there(target, manifest):
                _give_name(temporary, target)
        finally:
            files.discard_folder(temporary)
    return target


def _give_name(temporary: Path, target: Path) -> None:
    """Rename, durably or not at all: a name whose sync has failed may be gone tomorrow, and is taken back."""
    try:
        files.rename(temporary, target)
    except OSError:
        with contextlib.suppress(OSError):  # it never got its name, or the disk does not even take that back
            os.replace(target, temporary)
        raise


def _state_text(state: Mapping[str, Any], step: int) -> bytes:
    try:
        return canonical_json(state)
    except ValueError as error:
        raise _nonfinite("a number of the training state", step) from error


def _refuse_nonfinite(name: str, tensors: Mapping[str, Tensor], step: int) -> None:
    """A NaN in a checkpoint would be found only after the good ones before it are gone: refuse it here."""
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _nonfinite(f"{key} in {name}", step)


def _nonfinite(what: str, step: int) -> DivergedError:
    return DivergedError(
        f"{what} is not finite: nothing was saved",
        where=f"step {step}",
        fix="resume from the last checkpoint with a lower training.max_lr or a longer warm-up",
        code="NUM_STATE",
    )


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Json:
    """Write one file of tensors; what the manifest says about it."""
    with files.create(path) as file:
        write_tensors(file, tensors)
    described = {name: describe(tensor) for name, tensor in tensors.items()}
    return {"bytes": file.n_bytes, "sha256": file.sha256, "tensors": described}


def _is_there(target: Path, manifest: Json) -> bool:
    """Whether `target` already holds this very checkpoint; if it holds another one, make way or refuse."""
    if not os.path.lexists(target):
        return False
    try:
        there = verify(target)
    except CheckpointError as error:
        if error.code == "CKPT_VERSION":
            raise
        set_aside(target, str(error))
        return False
    if there["self"] == manifest["self"]:
        return True
    if there["run_id"] != manifest["run_id"]:
        raise CheckpointError(
            "a checkpoint of another run has this name",
            where=str(target),
            fix="give each run a folder of its own",
            code="CKPT_EXISTS",
            status=2,
        )
    set_aside(target, "an abandoned branch: the run was resumed from an earlier step and came here another way")
    return False


def set_aside(path: Path, reason: str) -> Path:
    """Move a checkpoint to RUN/bad/, with the reason beside it; it is never deleted. Returns where it is now."""
    bad = path.parent.parent / "bad"
    files.make_folder(bad)
    names = [path.name, *(f"{path.name}-{n}" for n in range(2, 1000))]
    target = next(bad / name for name in names if not os.path.lexists(bad / name))
    with files.storage_errors(target):
        files.rename(path, target)
    if target.is_dir() and not target.is_symlink():  # through a link the reason would be written somewhere else
        files.write_text(target / "reason.txt", reason + "\n")
    return target


# Reading


def load_checkpoint(path: Path) -> Checkpoint:
    """Read one checkpoint and check every byte of it. Raises CheckpointError, or StorageError if it cannot be read."""
    manifest = read_manifest(path)
    data = {name: _read_checked(path / name, manifest["files"][name]) for name in HASHED}
    tensors: dict[str, dict[str, Tensor]] = {}
    for name in (MODEL, OPTIMIZER):
        try:
            tensors[name] = parse_tensors(data[name], str(path / name))
        except WeightsError as error:
            raise damage("CKPT_FORMAT", f"{name} is no safetensors file: {error.what}", path) from error
        described = {key: describe(tensor) for key, tensor in tensors[name].items()}
        if described != manifest["files"][name].get("tensors"):
            raise damage("CKPT_FORMAT", f"{name} does not hold the tensors that its manifest lists", path)
    try:
        state = json.loads(data[STATE])
    except (ValueError, RecursionError) as error:
        raise damage("CKPT_FORMAT", f"{STATE} is not JSON", path) from error
    return Checkpoint(manifest["step"], tensors[MODEL], tensors[OPTIMIZER], state, manifest, path)


def verify(path: Path) -> Json:
    """Check a checkpoint without keeping it in memory, and return its manifest. Raises as load_checkpoint."""
    manifest = read_manifest(path)
    for name in HASHED:
        entry = manifest["files"][name]
        with open_file(path / name) as file, files.storage_errors(path):
            _check_size(file, path / name, entry)
            _check_hash(hashlib.file_digest(file, "sha256").hexdigest(), path / name, entry)
    return manifest


def _read_checked(path: Path, entry: Json) -> bytearray:
    """All bytes of a file, which have the size and the hash that the manifest gives."""
    with open_file(path) as file:
        _check_size(file, path, entry)
        try:
            data = files.read_whole(file, entry["bytes"])
        except OSError as error:
            raise read_error(error, path) from error
    _check_hash(hashlib.sha256(data).hexdigest(), path, entry)
    return data


def _check_size(file: FileIO, path: Path, entry: Json) -> None:
    n_bytes = file.seek(0, 2)
    file.seek(0)
    if n_bytes != entry["bytes"]:
        if path.suffix == ".safetensors" and is_pickle(file.read(16)):
            raise damage("CKPT_FORMAT", f"{path.name} is a pickle, which could run code when loaded", path.parent)
        what = f"{path.name} has {n_bytes:,} bytes; {entry['bytes']:,} were written"
        raise damage("CKPT_SIZE", what, path.parent)


def _check_hash(found: str, path: Path, entry: Json) -> None:
    if found != entry["sha256"]:
        what = f"{path.name} is not as it was written: sha256 {found[:12]}…, expected {quoted(entry['sha256'][:12])}…"
        raise damage("CKPT_HASH", what, path.parent)


# All checkpoints of a run


def step_folders(folder: Path) -> list[Path]:
    """What looks like a checkpoint in RUN/checkpoints, the highest step first."""
    try:
        names = [path for path in folder.iterdir() if STEP_NAME.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise read_error(error, folder) from error
    return sorted(names, reverse=True)


def newest_checkpoint(folder: Path, report: Report, run_id: str | None = None) -> Checkpoint:
    """The newest checkpoint in RUN/checkpoints that passes its check; damaged ones are set aside in RUN/bad.

    Raises CheckpointError: CKPT_NONE when there is none, CKPT_VERSION when the newest is of a newer format, CKPT_RUN
    when it belongs to another run; StorageError when one cannot be read, which is no damage.
    """
    refused: dict[str, str] = {}
    # Listed anew each time: a training run may save and delete meanwhile, and what vanished was not damaged. Listed
    # twice before giving up: one listing in the middle of such a change may miss the new name and the old one.
    while candidates := _candidates(folder, refused) or _candidates(folder, refused):
        try:
            checkpoint = load_checkpoint(candidates[0])
        except CheckpointError as error:
            if error.code == "CKPT_VERSION":
                raise
            if os.path.lexists(candidates[0]):
                refused[candidates[0].name] = f"{error.what} [{error.code}]"
                _report_damage(candidates[0], error, report)
            continue
        _check_run(checkpoint, run_id)
        _report_strangers(checkpoint.path, report)
        return checkpoint
    lines = "".join(f"\n         {name}: {why}" for name, why in refused.items())
    raise CheckpointError(
        f"none of {len(refused)} checkpoints can be used" if refused else "there is no checkpoint here",
        where=f"{folder}{lines}",
        fix="damaged checkpoints are kept in the run's folder bad; train anew in another folder",
        code="CKPT_NONE",
    )


def _candidates(folder: Path, refused: Collection[str]) -> list[Path]:
    return [path for path in step_folders(folder) if path.name not in refused]


def _report_damage(path: Path, error: CheckpointError, report: Report) -> None:
    """Set a damaged checkpoint aside and say so; a reader who may not write here can still go on to the next one."""
    try:
        moved = set_aside(path, str(error))
    except StorageError as trouble:
        told = Sentence(
            "{path}: {why} [{code}]; it could not be moved away: {trouble}",
            path=path,
            why=error.what,
            code=error.code,
            trouble=trouble.what,
        )
    else:
        told = Sentence(
            "{path}: {why} [{code}]; moved to {moved}", path=path, why=error.what, code=error.code, moved=moved
        )
    report.warn(told)


def _report_strangers(path: Path, report: Report) -> None:
    with contextlib.suppress(FileNotFoundError):  # removed since it was read
        for name in sorted({file.name for file in path.iterdir()} - {*HASHED, MANIFEST}):
            report.warn(
                Sentence(
                    "{path}: {name} does not belong to the checkpoint and is ignored", path=path, name=quoted(name)
                )
            )


def _check_run(checkpoint: Checkpoint, run_id: str | None) -> None:
    found = checkpoint.manifest.get("run_id")
    if run_id is not None and found != run_id:
        raise CheckpointError(
            f"this checkpoint belongs to run {quoted(str(found), 40)}, not to {quoted(run_id, 40)}",
            where=str(checkpoint.path),
            fix="move it back to the run that wrote it",
            code="CKPT_RUN",
            status=2,
        )


def has_checkpoints(folder: Path) -> bool:
    """Whether this run has ever saved. A damaged one in RUN/bad counts too: nobody should start over unasked."""
    return bool(step_folders(folder)) or any((folder.parent / "bad").glob("step-*"))


def prune(folder: Path, keep: int, protected: Collection[int] = ()) -> list[Path]:
    """Remove all but the last `keep` checkpoints and the `protected` steps, and return those that are gone.

    Nothing is removed unless one of those that stay passes its check: hashing costs little, and the bytes that are
    about to go may be the only good ones.
    """
    newest_first = step_folders(folder)
    safe = {step_name(step) for step in protected} | {path.name for path in newest_first[: max(keep, 1)]}
    surplus = [path for path in newest_first if path.name not in safe]
    if surplus and any(_passes(path) for path in newest_first if path.name in safe):
        for path in surplus:
            with files.storage_errors(path):
                files.remove_folder(path)
        return surplus
    return []


def _passes(path: Path) -> bool:
    try:
        verify(path)
    except (CheckpointError, StorageError):
        return False
    return True


def clean_leftovers(folder: Path) -> None:
    """Remove saves and deletions that a kill cut short. Only for the process that holds the run's lock."""
    if folder.is_dir():
        for path in folder.iterdir():
            if LEFTOVER_NAME.fullmatch(path.name) and not path.is_symlink():
                files.discard_folder(path)
