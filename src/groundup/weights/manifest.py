"""A manifest: what a checkpoint's files must be, byte for byte, and the proof that it is itself as it was written.

    {"files":{"model.safetensors":{"bytes":81234,"sha256":"…","tensors":{"h.0.attn.w_q":{"dtype":"F32",…
     "format":"groundup-checkpoint","run_id":"…","self":"…","state_id":"…","step":1000,"version":1,"writer":{…}}

It is canonical JSON, sealed with its own hash, `self` (`canonical_json.py`): every flipped bit shows.

To later versions of this format: `format`, `version`, `self` and the canonical form are for ever. A reader believes a
version number only after it has checked the hash.

Read next: `checkpoint.py`.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from .. import files
from ..canonical_json import Json, canonical_json, parse_sealed, sealed
from ..errors import CheckpointError, quoted
from .safetensors_file import read_error

FORMAT, VERSION = "groundup-checkpoint", 1
MODEL, OPTIMIZER, STATE, MANIFEST = "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"
HASHED = (MODEL, OPTIMIZER, STATE)  # the files that make up the state; the manifest speaks of these and no others
MAX_MANIFEST_BYTES = 16 << 20
STEP_NAME = re.compile(r"step-(\d{12})")


def state_id(hashes: Mapping[str, str]) -> str:
    """One hash for a whole state, from the sha256 of each of its files. Equal ids mean equal training state."""
    return hashlib.sha256(canonical_json(sorted(hashes.items()))).hexdigest()


def make_manifest(entries: Json, step: int, run_id: str, writer: Mapping[str, Any]) -> Json:
    """The manifest of a checkpoint whose files are described by `entries`."""
    return sealed(
        {
            "files": entries,
            "format": FORMAT,
            "run_id": run_id,
            "state_id": state_id({name: entry["sha256"] for name, entry in entries.items()}),
            "step": step,
            "version": VERSION,
            "writer": dict(writer),
        }
    )


def read_manifest(path: Path) -> Json:
    """The checked manifest of the checkpoint at `path`. Raises CheckpointError; StorageError if it cannot be read."""
    if path.is_symlink() or not path.is_dir():
        raise damage("CKPT_NAME", "a checkpoint is a folder, and this is none", path)
    data = _read(path / MANIFEST, MAX_MANIFEST_BYTES)
    manifest = parse_sealed(bytes(data))
    if manifest is None:
        cut = not data.endswith(b"\n")
        what = "is cut: its last line has no end" if cut else "is not as it was written: its hash does not fit"
        raise damage("CKPT_SIZE" if cut else "CKPT_HASH", f"{MANIFEST} {what}", path)
    if manifest.get("format") != FORMAT or not isinstance(manifest.get("version"), int):
        raise damage("CKPT_FORMAT", f"{MANIFEST} does not describe a groundup checkpoint", path)
    if manifest["version"] > VERSION:
        raise CheckpointError(
            f"this checkpoint was written by a newer groundup: format {manifest['version']}, this one reads {VERSION}",
            where=str(path),
            fix="update groundup",
            code="CKPT_VERSION",
        )
    _check_manifest(manifest, path)
    return manifest


def _check_manifest(manifest: Json, path: Path) -> None:
    """A sound manifest may still be a foreign one: nothing outside the folder may be opened on its word."""
    found = manifest.get("files")
    entries: Json = found if isinstance(found, dict) else {}
    if strangers := sorted(set(entries) - set(HASHED)):
        raise damage("CKPT_NAME", f"{MANIFEST} lists {quoted(strangers[0], 80)}, which is no file of ours", path)
    if missing := sorted(set(HASHED) - set(entries)):
        raise damage("CKPT_NAME", f"{MANIFEST} does not list {missing[0]}", path)
    for name in HASHED:
        entry = entries[name]
        sound = isinstance(entry, dict) and type(entry.get("bytes")) is int and isinstance(entry.get("sha256"), str)
        if not sound or entry["bytes"] < 0:
            raise damage("CKPT_FORMAT", f"{MANIFEST} does not say how long {name} is", path)
    step, named = manifest.get("step"), STEP_NAME.fullmatch(path.name)
    if not isinstance(manifest.get("run_id"), str):
        raise damage("CKPT_FORMAT", f"{MANIFEST} does not say which run it belongs to", path)
    if type(step) is not int or (named and int(named[1]) != step):
        raise damage("CKPT_NAME", f"{MANIFEST} says step {quoted(str(step), 20)}, its folder another", path)


def _read(path: Path, limit: int) -> bytearray:
    with open_file(path) as file:
        n_bytes = file.seek(0, 2)
        file.seek(0)
        if n_bytes > limit:
            raise damage("CKPT_SIZE", f"{path.name} has {n_bytes:,} bytes; at most {limit:,} are read", path.parent)
        try:
            return files.read_whole(file, n_bytes)
        except OSError as error:
            raise read_error(error, path) from error


def open_file(path: Path) -> FileIO:
    """Open a file of a checkpoint. What cannot be read is no damage: only what is missing or of the wrong kind is."""
    try:
        return files.open_regular(path, follow_links=False)
    except FileNotFoundError as error:
        raise damage("CKPT_MISSING", f"{path.name} is missing", path.parent) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise damage("CKPT_NAME", f"{path.name} is a link or no ordinary file", path.parent) from error
        raise read_error(error, path) from error


def damage(code: str, what: str, path: Path) -> CheckpointError:
    """The error for a checkpoint that is not as it was written."""
    return CheckpointError(what, where=str(path), fix="use an older checkpoint, or save this one again", code=code)
