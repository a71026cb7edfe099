"""A very small run to be examined, made once; each test takes a copy that it may damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from groundup.training import load_config, train

SETTINGS = [
    "data.corpus=the-verdict", "model.vocab_size=300", "model.context_length=16", "model.n_layers=1",
    "model.d_model=16", "model.n_heads=2", "training.steps=4", "training.batch_size=4", "evaluation.batches=2",
    "evaluation.sample_tokens=2",
]  # fmt: skip


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps that has come to its end."""
    return train(load_config("first-gpt", SETTINGS), tmp_path_factory.mktemp("runs") / "tiny").run_dir


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))
