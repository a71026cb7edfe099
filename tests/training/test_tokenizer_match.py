"""A run and its tokenizer belong together (row T3 of the fault matrix)."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundup.errors import ConfigError
from groundup.report import Report
from groundup.text import Tokenizer, packaged
from groundup.training import TrainConfig, load_config, train
from groundup.training.run_directory import RunDirectory

TEXT = packaged("the-verdict").train


class Heard(Report):
    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, text: str) -> None:
        self.notes.append(text)


def config(*settings: str) -> TrainConfig:
    small = ("data.corpus=the-verdict", "model.context_length=16", "model.n_layers=1", "model.d_model=16",
             "model.n_heads=2", "training.steps=1", "training.batch_size=2", "evaluation.batches=1",
             "evaluation.sample_tokens=1")  # fmt: skip
    return load_config("first-gpt", [*small, *settings])


def test_t3_fewer_rows_than_ids_are_refused_with_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"50,257 ids and the model 512 rows") as caught:
        train(config("data.tokenizer=gpt2", "model.vocab_size=512"), tmp_path / "run")
    assert (caught.value.code, caught.value.status) == ("TOK_MATCH", 2)


def test_t3_more_rows_than_ids_are_allowed_and_noted(tmp_path: Path) -> None:
    heard = Heard()
    Tokenizer.train(TEXT, 300).save(tmp_path / "own")
    train(config(f"data.tokenizer={tmp_path / 'own'}", "model.vocab_size=320"), tmp_path / "run", report=heard)
    assert any("320 rows" in note and "300 ids" in note for note in heard.notes)


@pytest.fixture
def run_with_another_tokenizer(tmp_path: Path) -> Path:
    train(config("model.vocab_size=300"), tmp_path / "run")
    Tokenizer.train(TEXT[5_000:], 300).save(tmp_path / "run" / "tokenizer")
    return tmp_path / "run"


def test_t3_another_tokenizer_on_resume_is_refused_with_both_hashes(run_with_another_tokenizer: Path) -> None:
    run = run_with_another_tokenizer
    with pytest.raises(ConfigError) as caught:
        train(config("model.vocab_size=300", "training.steps=2"), run, resume=True)
    assert (caught.value.code, caught.value.status) == ("TOK_MATCH", 2)
    for tokenizer in (Tokenizer.train(TEXT, 300), Tokenizer.load(run)):
        assert tokenizer.sha256 in caught.value.what


def test_t3_teeth_without_the_check_the_run_goes_on_with_it(
    run_with_another_tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_on(self: RunDirectory, facts: object, **_: object) -> list[str]:
        self.identity = self._read_identity()  # pyright: ignore[reportPrivateUsage] -- as it does, less the check
        return []

    monkeypatch.setattr(RunDirectory, "go_on", go_on)
    result = train(config("model.vocab_size=300", "training.steps=2"), run_with_another_tokenizer, resume=True)
    assert result.step == 2
