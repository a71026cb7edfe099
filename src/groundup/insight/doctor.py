"""What ails a run: everything in its folder is looked at, and nothing is changed.

A run directory tells its story in several files that must agree: how it stands, who it is, what it was asked to do,
how each step went, and what it has saved. Whatever is missing, damaged, or contradicts the rest becomes a finding; the
sentences are in `findings.py`. No file is believed before it has been checked, so that a run may be in any state.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from .. import __version__
from ..config import build, read_toml
from ..errors import CheckpointError, ConfigError, GroundupError, StorageError, quoted
from ..text.tokenizer import Tokenizer
from ..training.config import TrainConfig, decisive
from ..training.run_directory import hash_of
from ..weights.checkpoint import LEFTOVER_NAME, SPARE_BYTES, load_checkpoint, step_folders, verify
from ..weights.memory import available_bytes
from .evidence import lock_holder, names_in, read_json, read_log, read_status, reason
from .findings import Finding
from .learning import signs

Json = dict[str, Any]

MARKS = ("run.json", "config.toml", "status.json", "metrics.jsonl", "checkpoints", "lock")
# What ended the run lies outside it: mended there, the run goes on as it is.
OUTSIDE = {"DISK_FULL", "READ_ONLY", "DISK_FAILED", "DISK_READ", "DEVICE", "WORKER_LOST", "DIST_RANK", "DIST_HANG"}


@dataclass(frozen=True)
class Diagnosis:
    """What was found out about one run. sound: the names of what is as it should be."""

    run: Path
    findings: tuple[Finding, ...]
    sound: tuple[str, ...]

    @property
    def sick(self) -> bool:
        """Whether there is something to mend."""
        return any(finding.level == "fault" for finding in self.findings)

    def as_json(self, translate: Callable[[str], str] = str) -> Json:
        """The answer for programs, and for people in the language of `translate`."""
        findings = [finding.as_json(translate) for finding in self.findings]
        return {"run": str(self.run), "sick": self.sick, "findings": findings}


def examine(run: str | Path) -> Diagnosis:
    """Look at everything in a run directory. Raises ConfigError PATH or PATH_KIND where there is no run."""
    path = Path(run)
    require_run(path)
    visit = Visit(path)
    visit.look_at_identity()
    visit.look_at_config()
    visit.look_at_tokenizer()
    visit.look_at_checkpoints()
    visit.look_at_outcome()
    visit.look_at_metrics()
    visit.look_at_disk()
    # Faults first, each group in the order in which it was found.
    found = sorted(visit.findings, key=lambda finding: finding.level != "fault")
    return Diagnosis(path, tuple(found), tuple(visit.sound))


def require_run(path: Path) -> None:
    """Raise ConfigError where there is no folder, or one without any trace of a run."""
    fix = "give the folder that groundup train wrote, for example runs/shakespeare-001"
    if not path.is_dir():
        there = os.path.lexists(path)
        what = f"{quoted(str(path))} {'is a file, and a run is a folder' if there else 'does not exist'}"
        raise ConfigError(what, fix=fix, code="PATH_KIND" if there else "PATH")
    if not any(os.path.lexists(path / name) for name in MARKS):
        names = ", ".join(MARKS[:3])
        raise ConfigError(f"there is no run here: no {names}", where=quoted(str(path)), fix=fix, code="PATH_KIND")


class Visit:
    """One look at one run: what was found so far, and what later looks need of it."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.findings: list[Finding] = []
        self.sound: list[str] = []
        self.holder = lock_holder(run / "lock")  # asked first: whoever trains may change the rest while we look
        self.identity: Json | None = None
        self.config: TrainConfig | None = None
        self.status: Json = {}
        self.whole: list[int] = []  # the steps of the checkpoints that pass their check, the newest first
        self.damaged: dict[str, str] = {}  # the names of those that do not, and why
        self.needed_bytes = SPARE_BYTES

    def find(self, ailment: str, /, **values: object) -> None:
        """One more finding."""
        self.findings.append(Finding(ailment, values))

    def has(self, name: str) -> bool:
        """Whether something of that name is in the run's folder, be it what it may."""
        return os.path.lexists(self.run / name)

    # --- the files of the run ---

    def look_at_identity(self) -> None:
        """run.json: readable, and as its own hash says."""
        if not self.has("run.json"):
            return  # whether it is missed depends on the rest
        try:
            identity = read_json(self.run / "run.json")
            claimed = identity.pop("self", None)
            if claimed != hash_of(identity):
                raise ValueError("it fails its own checksum")
        except (ValueError, OSError) as error:
            self.find("identity-damaged", why=reason(error))
            return
        self.identity = identity
        self.sound.append("run.json")

    def look_at_config(self) -> None:
        """config.toml: readable, possible, and the one that the run was begun with."""
        path = self.run / "config.toml"
        if self.identity is None and not self.has("config.toml"):
            return
        try:
            self.config = build(TrainConfig, read_toml(path), str(path))
        except GroundupError as error:
            self.find("config-damaged", why=f"{error.what}; {error.fix}" if error.fix else error.what)
            return
        identity, found = self.identity or {}, hash_of(decisive(self.config))
        # Another version may have settings of which this run knew nothing.
        if identity.get("groundup") == __version__ and found != identity.get("config_sha256"):
            self.find("config-changed", found=found[:12], expected=str(identity.get("config_sha256"))[:12])
            return
        self.sound.append("config.toml")

    def look_at_tokenizer(self) -> None:
        """The tokenizer: usable, and the one that the run was begun with."""
        if self.identity is None and not self.has("tokenizer"):
            return
        try:
            found = Tokenizer.load(self.run / "tokenizer" / "tokenizer.json").sha256
        except GroundupError as error:
            self.find("tokenizer-damaged", why=f"{error.what} [{error.code}]")
            return
        expected = (self.identity or {}).get("tokenizer_sha256", found)
        if found != expected:
            self.find("tokenizer-changed", found=found[:12], expected=str(expected)[:12])
            return
        self.sound.append("tokenizer")

    def look_at_metrics(self) -> None:
        """metrics.jsonl: every line readable; then what the curve tells."""
        path = self.run / "metrics.jsonl"
        if not self.has("metrics.jsonl"):
            step = max(self.whole, default=0)
            if step:
                self.find("metrics-missing", step=step)
            return
        try:
            log = read_log(path)
        except (OSError, ValueError) as error:
            self.find("metrics-unreadable", why=reason(error))
            return
        if log.bad:
            self.find("metrics-damaged", n=len(log.bad), lines=log.n_lines, line=log.bad[0])
        if log.torn and self.holder is None:
            self.find("metrics-torn", line=log.n_lines + 1)
        self.findings += signs(log.rows, self.config.training.max_norm if self.config else None)
        if not log.bad:
            self.sound.append(f"metrics.jsonl ({len(log.rows):,})")

    # --- checkpoints ---

    def look_at_checkpoints(self) -> None:
        """Every checkpoint by its hashes, the newest whole one by its numbers; and what else lies about."""
        try:
            folders = step_folders(self.run / "checkpoints")
        except StorageError as error:
            self.find("checkpoint-unreadable", name="checkpoints", why=error.what)
            folders = []
        for folder in folders:
            self._check(folder)
        if self.whole:
            self.sound.append(f"checkpoints ({', '.join(map(str, reversed(self.whole)))})")
            self._look_at_numbers(next(folder for folder in folders if step_of(folder.name) == self.whole[0]))
        self._tell_damage()
        aside = names_in(self.run / "bad")
        if aside:
            self.find("set-aside", names=", ".join(aside))
        if not self.whole and (self.damaged or aside):
            self.find("no-checkpoint", damaged=len(self.damaged), aside=len(aside))
        leftovers = [name for name in names_in(self.run / "checkpoints") if LEFTOVER_NAME.fullmatch(name)]
        if leftovers and self.holder is None:
            self.find("leftovers", names=", ".join(leftovers))

    def _check(self, folder: Path) -> None:
        """One checkpoint: whole, and of this run."""
        try:
            manifest = verify(folder)
        except CheckpointError as error:
            if os.path.lexists(folder):  # what was pruned while we looked is not damaged
                why = f"{error.what} [{error.code}]"
                if error.code == "CKPT_VERSION":
                    self.find("checkpoint-newer", name=folder.name, why=why)
                else:
                    self.damaged[folder.name] = why
            return
        except StorageError as error:
            self.find("checkpoint-unreadable", name=folder.name, why=error.what)
            return
        found, expected = manifest["run_id"], (self.identity or manifest).get("run_id")
        if found != expected:
            self.find("checkpoint-foreign", name=folder.name, found=found, expected=expected)
            return
        self.whole.append(manifest["step"])
        n_bytes = sum(entry["bytes"] for entry in manifest["files"].values())
        self.needed_bytes = max(self.needed_bytes, n_bytes + n_bytes // 10 + SPARE_BYTES)

    def _look_at_numbers(self, folder: Path) -> None:
        """A checkpoint that is whole may hold numbers that no training can go on from."""
        free = available_bytes()
        if free is not None and free < self.needed_bytes:
            self.find("weights-unchecked", name=folder.name, needed=f"{self.needed_bytes:,}", free=f"{free:,}")
            return
        try:
            checkpoint = load_checkpoint(folder)
        except CheckpointError as error:  # its hashes are right, and yet it is none of ours
            if os.path.lexists(folder):
                self.whole.pop(0)
                self.damaged[folder.name] = f"{error.what} [{error.code}]"
            return
        except StorageError as error:
            self.find("checkpoint-unreadable", name=folder.name, why=error.what)
            return
        for name, tensor in (checkpoint.model | checkpoint.optimizer).items():
            n = int((~torch.isfinite(tensor)).sum()) if tensor.is_floating_point() else 0
            if n:
                self.find("weights-nonfinite", name=folder.name, tensor=name, n=n, of=tensor.numel())
                return

    def _tell_damage(self) -> None:
        """What to do about damaged checkpoints, which is known only when all of them have been looked at."""
        newest = max(self.whole, default=-1)
        for name, why in self.damaged.items():
            kind = "/last" if newest < 0 else "/older" if step_of(name) < newest else ""
            self.find(f"checkpoint-damaged{kind}", name=name, why=why, **self._ways())

    # --- how it ended ---

    def look_at_outcome(self) -> None:
        """status.json, beside what is really there: who holds the lock, and what was saved."""
        if self.has("status.json"):
            try:
                self.status = read_status(self.run / "status.json")
                self.sound.append("status.json")
            except (ValueError, OSError) as error:
                self.find("status-damaged", why=reason(error))
        begun = self.has("run.json")
        if not begun and (self.whole or self.damaged):
            steps = ", ".join(map(str, self.whole)) or ", ".join(self.damaged)
            self.find("identity-missing", checkpoints=steps)
            begun = True
        if self.holder is not None:
            self.find("busy", holder=self.holder)
        elif not begun and self.status.get("state") != "failed":
            self.find("not-begun")
        elif self.status:
            self._tell_end()
        elif not self.has("status.json"):
            self.find("status-missing")
        saved = self.status.get("saved_step")
        explained = self.damaged or names_in(self.run / "bad")
        if isinstance(saved, int) and saved > max(self.whole, default=0) and not explained and self.holder is None:
            self.find("checkpoint-lost", saved=saved, **self._ways())

    def _tell_end(self) -> None:
        status, step = self.status, self.status["step"]
        match status["state"]:
            case "running":
                self.find("killed", step=step, **self._ways())
            case "interrupted":
                name = "interrupted" if status.get("saved") else "interrupted-unsaved"
                self.find(name, step=step, **self._ways())
            case "failed":
                error = {key: str(text_of(status.get("error"), key) or "–") for key in ("code", "what", "where", "fix")}
                name = "failed-outside" if error["code"] in OUTSIDE else "failed"
                error["error"] = error.pop("what")
                self.find(name, step=step, **error, **self._ways())
            case _:  # done: that is no ailment
                return

    def _ways(self) -> dict[str, object]:
        """How to go on, and from where."""
        own = " --parts DIR" if (self.identity or {}).get("own_parts") else ""
        command = f"groundup train --run-dir {shlex.quote(str(self.run))} --resume{own}"
        return {"resume": command, "newest": max(self.whole, default="–")}

    def look_at_disk(self) -> None:
        """Whether one more checkpoint would fit."""
        free = shutil.disk_usage(self.run).free
        if free < self.needed_bytes:
            self.find("disk-full", free=f"{free:,}", needed=f"{self.needed_bytes:,}")


def step_of(name: str) -> int:
    """The step of a checkpoint, from the name of its folder."""
    return int(name.removeprefix("step-"))


def text_of(error: object, key: str) -> object:
    """One field of the error in a status.json."""
    return cast(Json, error).get(key, "–") if isinstance(error, dict) else "–"
