"""For the tests of what a run reads: a small text as shards, and a run so short that it may be repeated."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from groundup.canonical_json import canonical_json
from groundup.errors import GroundupError
from groundup.report import Report
from groundup.text import Tokenizer, packaged
from groundup.text.prepare import PrepareOptions, prepare
from groundup.training import load_config, train
from groundup.weights.checkpoint import load_checkpoint

TEXTS = packaged("the-verdict").train.split("\n\n")
TOKENIZER = Tokenizer.train(TEXTS, 300)
SMALL = [
    "model.vocab_size=300", "model.context_length=16", "model.n_layers=1", "model.d_model=16", "model.n_heads=2",
    "training.batch_size=4", "training.warmup_steps=2", "evaluation.batches=2", "evaluation.sample_tokens=2",
]  # fmt: skip
N_STEPS = 12


def make_shards(folder: Path, val_fraction: float = 0.2, tokenizer: Tokenizer = TOKENIZER) -> Path:
    (folder / "texts.jsonl").write_bytes(b"".join(canonical_json({"text": text}) for text in TEXTS))
    options = PrepareOptions(workers=0, shard_tokens=2000, val_fraction=val_fraction)
    prepare([str(folder / "texts.jsonl")], tokenizer, folder / "out", options)
    return folder / "out"


def train_on(folder: Path | str, run_dir: Path, *settings: str, steps: int = N_STEPS, **more):
    names = [f'data.train=["{folder}"]', f"training.steps={steps}"]
    return train(load_config("first-gpt", [*SMALL, *names, *settings]), run_dir, **more)


def state_id(run_dir: Path, step: int = N_STEPS) -> str:
    return str(load_checkpoint(run_dir / "checkpoints" / f"step-{step:012d}").manifest["state_id"])


def refused(folder: Path | str, run_dir: Path, *settings: str, **more) -> GroundupError:
    with pytest.raises(GroundupError) as caught:
        train_on(folder, run_dir, *settings, **more)
    return caught.value


class StopAt(Report):
    """Asks the process to stop, by a real signal, when a step is reached."""

    def __init__(self, step: int) -> None:
        self.at, self.warnings = step, list[str]()

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
