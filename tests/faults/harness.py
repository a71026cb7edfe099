"""A run so small that a fault can be tried hundreds of times: a page of text, a model of a few thousand numbers.

`settings` is its config, `server` a process that has torch loaded and forks a child for each trial: a start takes
milliseconds in place of seconds. A child tells a log file what it is told, with one write for each word, so that the
log is right whatever happens to the child.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.report import Report
from groundup.text.tokenizer import Tokenizer
from groundup.training import Parts, TrainConfig, load_config, train
from groundup.weights.checkpoint import load_checkpoint

TEXT = " ".join(f"The {i}th line says that {i * i} is the square of {i}, which is {'even' if i % 2 else 'odd'}."
                for i in range(1, 60))  # fmt: skip
MUON = ("training.optimizer=muon", "model.dropout=0.1", "training.micro_batch_size=2")


class Heard(Report):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.steps: list[int] = []
        self.saves: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def step(self, row: Mapping[str, float]) -> None:
        self.steps.append(int(row["step"]))

    def saved(self, step: int, path: Path) -> None:
        self.saves.append(step)


@dataclass(frozen=True)
class Tiny:
    """The files that a tiny run needs."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Tiny:
        """Write the text, and train the tokenizer, which would take longer than the run."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "text.txt").write_text(TEXT)
        Tokenizer.train([TEXT], 260).save(folder / "tokenizer")
        return cls(folder)

    def settings(self, *more: str, steps: int = 12) -> list[str]:
        """The config as `--set` takes it."""
        return [
            f"data.train={self.folder / 'text.txt'}", f"data.tokenizer={self.folder / 'tokenizer'}",
            "model.vocab_size=260", "model.context_length=8", "model.n_layers=2", "model.d_model=8", "model.n_heads=2",
            f"training.steps={steps}", "training.batch_size=4", "training.warmup_steps=2", "training.max_lr=0.01",
            "training.threads=1", "training.device=cpu", "evaluation.every=1000", "evaluation.batches=1",
            "evaluation.samples_every=1000", "evaluation.sample_tokens=1", "checkpoint.every=1", *more,
        ]  # fmt: skip

    def config(self, *more: str, steps: int = 12) -> TrainConfig:
        """The config of the tiny run."""
        return load_config("first-gpt", self.settings(*more, steps=steps))

    def run(self, path: Path, *more: str, steps: int = 12, **arguments: Any) -> Any:
        """Train it in this process."""
        return train(self.config(*more, steps=steps), path, **arguments)


def checkpoint(run: Path, step: int) -> Path:
    """The folder of a checkpoint."""
    return run / "checkpoints" / f"step-{step:012d}"


def state_id(run: Path, step: int) -> str:
    """What a checkpoint's manifest says of the state, every byte checked."""
    return str(load_checkpoint(checkpoint(run, step)).manifest["state_id"])


def saved_steps(run: Path) -> list[int]:
    """The steps that have a folder, in order."""
    return sorted(int(path.name[5:]) for path in (run / "checkpoints").glob("step-*"))


def leftovers(run: Path) -> list[str]:
    """What a save that failed or was killed has left."""
    return [str(path.relative_to(run)) for path in run.rglob(".t*")]


def status(run: Path) -> dict[str, Any]:
    """status.json."""
    return json.loads((run / "status.json").read_text())


@contextmanager
def seeded(name: str) -> Iterator[random.Random]:
    """Random numbers whose seed is printed when the test fails; GROUNDUP_FAULT_SEED repeats one."""
    seed = int(os.environ.get("GROUNDUP_FAULT_SEED", random.randrange(10**9)))
    try:
        yield random.Random(seed)
    except BaseException:
        sys.stderr.write(f"{name}: GROUNDUP_FAULT_SEED={seed}\n")
        raise


def copy_run(source: Path, target: Path, keep: Sequence[int]) -> Path:
    """A copy of a run as it was when its newest checkpoint was the last of `keep`."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("checkpoints", "bad"))
    for step in keep:
        shutil.copytree(checkpoint(source, step), checkpoint(target, step))
    return target


# --- children -----------------------------------------------------------------------------------------------------


class ForkServer:
    """Starts children that have everything imported. Use it in a `with` block. prefix: a command to be started by."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self.prefix = prefix

    def __enter__(self) -> ForkServer:
        here = Path(__file__).parent
        paths = [str(here.parent), str(Path(sys.modules["groundup"].__file__ or "").parent.parent)]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        command = [*self.prefix, sys.executable, str(here / "fork_server.py")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        )
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the fork server is gone"
        return json.loads(line)

    def start(self, *jobs: Mapping[str, object]) -> list[int]:
        """Fork a child for each job (see fork_server.py); their process ids. `wait` must follow."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(jobs) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def wait(self) -> list[int]:
        """The exit statuses of the children, as subprocess gives them: minus the signal for a killed one."""
        assert self.process.stdin is not None
        self.process.stdin.write("wait\n")
        self.process.stdin.flush()
        return self._answer()

    def run(self, *jobs: Mapping[str, object]) -> list[int]:
        """Start and wait."""
        self.start(*jobs)
        return self.wait()


def job(tiny: Tiny, run: Path, log: Path, *more: str, steps: int = 12, **extra: object) -> dict[str, object]:
    """A job for the fork server: the tiny run, resumed where there is one."""
    return {"settings": tiny.settings(*more, steps=steps), "run": str(run), "log": str(log), **extra}


def words(log: Path, word: str) -> list[str]:
    """What a child's log says after a word, line by line."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.removeprefix(f"{word} ") for line in lines if line.startswith(f"{word} ")]


def command(tiny: Tiny, run: Path, *more: str, steps: int = 12) -> list[str]:
    """The same run as a real command."""
    sets = [part for setting in tiny.settings(*more, steps=steps) for part in ("--set", setting)]
    return [sys.executable, "-m", "groundup", "train", "first-gpt", "--run-dir", str(run), "--resume", *sets]


def command_environment() -> dict[str, str]:
    """The environment in which `command` finds this checkout."""
    source = Path(sys.modules["groundup"].__file__ or "").parent.parent
    return os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "LANG": "C.UTF-8"}


__all__ = [
    "MUON", "ForkServer", "Heard", "Parts", "Tiny", "checkpoint", "command", "command_environment", "copy_run", "job",
    "leftovers", "saved_steps", "seeded", "state_id", "status", "words",
]  # fmt: skip
