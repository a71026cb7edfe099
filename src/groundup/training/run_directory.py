"""A run directory: everything that a run is, in one folder.

    RUN/config.toml     what decides the result; training from it again repeats the run
    RUN/run.json        who the run is: written once
    RUN/status.json     how it stands, or how it ended
    RUN/metrics.jsonl   one line for each step
    RUN/tokenizer/  checkpoints/  samples/  bad/  lock

One process trains in it at a time. The lock is held by the kernel, on an open file: it is gone when the process is, so
that no stale lock is ever left to break by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import files
from ..config import build, read_toml, to_toml
from ..errors import BusyError, CheckpointError, ConfigError, GroundupError, StorageError
from ..report import SILENT, Report, Sentence
from .config import TrainConfig, decisive

FORMAT, VERSION = "groundup-run", 1
ACCEPTED = "accepted-data.json"  # other data that somebody allowed a resumed run to go on with
MAX_IDENTITY_BYTES = 1 << 20


def next_free(base: Path, preset: str) -> Path:
    """The first of base/PRESET-001, -002, … that does not exist."""
    taken = {path.name for path in base.iterdir()} if base.is_dir() else set()
    return next(base / name for number in range(1, 10**6) if (name := f"{preset}-{number:03d}") not in taken)


def hash_of(value: object) -> str:
    """sha256 of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


class RunDirectory:
    """One run's folder, locked while it is open. Use it in a `with` block."""

    def __init__(self, path: Path, report: Report = SILENT) -> None:
        self.path, self.report = path, report
        self.checkpoints = path / "checkpoints"
        self.identity: dict[str, object] = {}
        self.was_there = False  # whether a run had been begun here before this process came
        self._lock: int | None = None
        self._made = False  # by this process

    def __enter__(self) -> RunDirectory:
        self._made = not self.path.exists()
        files.make_folder(self.path)
        with files.storage_errors(self.path / "lock"):
            self._lock = files.open_to_lock(self.path / "lock")
        try:
            files.lock_file(self._lock)
        except OSError as error:
            holder = lock_holder(self._lock) if isinstance(error, BlockingIOError) else None
            os.close(self._lock)
            raise self._not_locked(error, holder) from None
        with contextlib.suppress(OSError):  # the text is only for the message of whoever comes second
            os.ftruncate(self._lock, 0)
            os.write(self._lock, f"pid {os.getpid()} on {platform.node()} since {time.strftime('%F %T')}\n".encode())
        for folder in (self.path, self.path / "samples", self.path / "tokenizer"):
            files.discard_temporary(folder)
        self.was_there = self.exists
        return self

    def _not_locked(self, error: OSError, holder: str | None) -> GroundupError:
        if holder is None:
            return StorageError(
                f"this file system cannot lock a file: {error.strerror}",
                where=str(self.path),
                fix="name a folder on another disk with --run-dir",
                code="NO_LOCK",
            )
        return BusyError(
            f"another process trains in this run directory ({holder or 'unknown'})",
            where=str(self.path),
            fix="wait for it, stop it, or name another folder with --run-dir",
            code="RUN_LOCKED",
        )

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)  # the kernel frees the lock with the last open file

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    @property
    def is_new(self) -> bool:
        """Whether this process made the folder, and no run was begun in it."""
        return self._made and not self.exists

    def discard(self) -> None:
        """Remove a folder in which no run was begun."""
        self.__exit__()
        self._lock = None
        files.discard_folder(self.path)

    def keep(self, name: str, text: str) -> None:
        """Write a file that the run can do without. Where the disk refuses, that is told, and the run goes on."""
        try:
            files.write_text(self.path / name, text)
        except StorageError as error:
            self.report.warn(
                Sentence("{name} was not written: {why} [{code}]", name=name, why=error.what, code=error.code)
            )

    def keep_config(self, config: TrainConfig) -> None:
        """Replace config.toml by what has been decided since: more steps, or a time budget turned into steps."""
        self.keep("config.toml", to_toml(config))

    def begin(self, config: TrainConfig, facts: Mapping[str, object]) -> None:
        """Write config.toml and run.json of a new run."""
        files.write_text(self.path / "config.toml", to_toml(config))
        identity: dict[str, object] = {
            "format": FORMAT,
            "version": VERSION,
            "run_id": secrets.token_hex(16),
            "config_sha256": hash_of(decisive(config)),
            **facts,
        }
        self.identity = identity | {"self": hash_of(identity)}
        files.write_text(self.path / "run.json", json.dumps(self.identity, indent=1, sort_keys=True) + "\n")

    def require_config(self, config: TrainConfig) -> None:
        """Check that the run was begun with this config. Raises ConfigError RUN_CONFIG with every key that changed."""
        before = build(TrainConfig, read_toml(self.path / "config.toml"), str(self.path / "config.toml"))
        old, new = decisive(before), decisive(config)
        if before.training.steps is not None:  # a budget of time has become steps, or was none: they are what counts
            old["training.seconds"], new["training.seconds"] = before.training.seconds, config.training.seconds
        changed = [key for key in new if new[key] != old.get(key)]
        if changed:
            listed = "; ".join(f"{key} was {old.get(key)!r}, now {new[key]!r}" for key in changed)
            raise ConfigError(
                f"the run was begun with another config: {listed}",
                where=str(self.path / "config.toml"),
                fix="leave these keys as they were, or begin a new run in another folder"
                + ("; what may change is training.steps" if "training.seconds" in changed else ""),
                code="RUN_CONFIG",
            )

    def go_on(self, facts: Mapping[str, object], *, accept_new_data: bool = False) -> list[str]:
        """Check that the run begun here read the same data; returns what else is different.

        With accept_new_data other data are written down in accepted-data.json, and count from now on.

        Raises ConfigError RUN_DATA or TOK_MATCH for other data or another tokenizer; CheckpointError RUN_JSON.
        """
        self.identity = self._read_identity()
        accepted = self._accepted_data()
        known = self.identity | ({"data_sha256": accepted[-1]["now"]} if accepted else {})
        news: list[str] = []
        for key, what, code in (("data_sha256", "data", "RUN_DATA"), ("tokenizer_sha256", "tokenizer", "TOK_MATCH")):
            if known.get(key) != facts.get(key):
                changed = (
                    f"the {what} changed since the run was begun: sha256 was {known.get(key)}, now {facts.get(key)}"
                )
                if code == "RUN_DATA" and accept_new_data:
                    accepted.append({"was": str(known.get(key)), "now": str(facts.get(key))})
                    files.write_text(self.path / ACCEPTED, json.dumps(accepted, indent=1) + "\n")
                    news.append(changed)
                    continue
                also = ", go on with --accept-new-data" if code == "RUN_DATA" else ""
                raise ConfigError(
                    changed,
                    where=str(self.path),
                    fix=f"bring the old {what} back{also}, or begin a new run",
                    code=code,
                )
        return [*news, *self._changes(facts)]

    def _changes(self, facts: Mapping[str, object]) -> Iterator[str]:
        """What may change the result, and is allowed to: whose parts are at work, and on which machine."""
        before, now = self.identity.get("own_parts"), facts.get("own_parts")
        if before and not now:
            yield Sentence(
                "the run was begun with somebody's own parts; without --parts DIR the library's run in their place"
            )
        elif before != now:
            yield Sentence("the run was begun with other parts: from this step on, those of --parts are at work")
        for key in ("groundup", "torch", "threads", "machine"):
            was, is_now = self.identity.get(key), facts.get(key)
            if was != is_now:
                yield Sentence(
                    "{key} was {was}, now {now}: the result may differ in the last bits", key=key, was=was, now=is_now
                )

    def _accepted_data(self) -> list[dict[str, str]]:
        """The data that were accepted since the run was begun."""
        path = self.path / ACCEPTED
        try:
            with files.open_regular(path) as file:
                found = json.loads(files.read_whole(file, min(path.stat().st_size, MAX_IDENTITY_BYTES)))
            return [{"was": str(entry["was"]), "now": str(entry["now"])} for entry in found]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            what = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is damaged"
            raise CheckpointError(
                f"{ACCEPTED} {what}", where=str(path), fix="restore it from a copy, or remove it", code="RUN_JSON"
            ) from error

    def _read_identity(self) -> dict[str, object]:
        path = self.path / "run.json"
        try:
            with files.open_regular(path) as file:
                identity = json.loads(files.read_whole(file, MAX_IDENTITY_BYTES))
            claimed = identity.pop("self")
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            what = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "is damaged"
            raise CheckpointError(
                f"run.json {what}", where=str(path), fix="restore it from a copy", code="RUN_JSON"
            ) from error
        if claimed != hash_of(identity):
            raise CheckpointError(
                "run.json fails its own checksum", where=str(path), fix="restore it from a copy", code="RUN_JSON"
            )
        return identity

    @property
    def run_id(self) -> str:
        """The 16 random bytes, in hex, that tell this run from every other."""
        return str(self.identity["run_id"])

    def write_status(self, state: str, step: int, error: GroundupError | None = None, **more: object) -> None:
        """Replace status.json: how the run stands (running, done, interrupted, failed)."""
        exit_status = None if state == "running" else error.status if error else 0
        status = {"state": state, "step": step, "exit_status": exit_status, **more}
        if error is not None:
            status |= {"error": error.as_json()}
        self.keep("status.json", json.dumps(status, indent=1, ensure_ascii=False) + "\n")


def lock_holder(descriptor: int) -> str:
    """What the holder of a lock says about itself. It has the lock a moment before it has written that."""
    for _ in range(20):
        if text := os.pread(descriptor, 200, 0).decode(errors="replace").strip() if hasattr(os, "pread") else "?":
            return text
        time.sleep(0.005)
    return ""
