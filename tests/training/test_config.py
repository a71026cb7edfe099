"""Presets are complete and true; what decides a run is told from what does not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from groundup.config import to_toml
from groundup.errors import ConfigError
from groundup.model import Transformer
from groundup.training import Parts, TrainConfig, load_config, preset_names
from groundup.training.config import TrainingSection, decisive
from groundup.weights.huggingface_config import family_of


def test_the_presets_are_those_of_the_documentation() -> None:
    assert preset_names() == ["chinese", "first-gpt", "gpt2-124m", "shakespeare", "talk"]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_complete_config_that_survives_its_own_file(name: str, tmp_path: Path) -> None:
    config = load_config(name)
    (tmp_path / "copy.toml").write_text(to_toml(config))
    assert load_config(str(tmp_path / "copy.toml")) == config
    Parts().check(config)


def test_gpt2_124m_is_gpt2() -> None:
    config = load_config("gpt2-124m").model
    with torch.device("meta"):
        model = Transformer(config)
    assert config.is_gpt2
    assert sum(parameter.numel() for parameter in model.parameters()) == 124_439_808
    assert family_of(config).model_type == "gpt2"


def test_first_gpt_is_the_book_s_architecture() -> None:
    config = load_config("first-gpt")
    assert config.model.is_gpt2 and config.model.tie_embeddings
    assert (config.training.optimizer, config.training.schedule) == ("adamw", "cosine")


def test_the_default_preset_can_be_exported_once_its_embedding_norm_is_worked_in() -> None:
    config = dataclasses.replace(load_config("shakespeare").model, embedding_norm=False)
    assert family_of(config).model_type == "qwen3"


@pytest.mark.parametrize(("name", "guess"), [("shakespear", "shakespeare"), ("first_gpt", "first-gpt")])
def test_an_unknown_preset_names_the_one_that_was_meant(name: str, guess: str) -> None:
    with pytest.raises(ConfigError, match=f"no preset {name}") as caught:
        load_config(name)
    assert (caught.value.code, caught.value.status) == ("PRESET", 2)
    assert f"did you mean {guess}?" in caught.value.fix


def test_what_decides_nothing_may_change() -> None:
    one = load_config("first-gpt")
    harmless = [
        "training.steps=7",
        "training.device=cpu",
        "evaluation.every=3",
        "checkpoint.keep=9",
        "training.seconds=9",
    ]
    assert decisive(load_config("first-gpt", harmless)) == decisive(one)
    for setting in ("training.seed=2", "model.n_layers=3", "data.pattern=gpt4", "training.parts=plain"):
        assert decisive(load_config("first-gpt", [setting])) != decisive(one)


def test_a_time_budget_needs_a_warm_up_that_lasts_until_the_steps_are_known() -> None:
    TrainingSection(seconds=10, warmup_steps=20)
    TrainingSection(steps=10, warmup_steps=2)
    with pytest.raises(ConfigError, match="warmup_steps is 19"):
        TrainingSection(seconds=10, warmup_steps=19)


def test_all_faults_of_all_sections_are_told_together() -> None:
    settings = ["model.n_heads=5", "training.max_lr=-1", "evaluation.every=0", "training.optimiser=muon"]
    with pytest.raises(ConfigError) as caught:
        load_config("first-gpt", settings)
    assert len(caught.value.problems) == 4
    assert "did you mean training.optimizer?" in caught.value.fix


def test_a_config_without_a_file_trains_shakespeare() -> None:
    assert TrainConfig().data.corpus == "shakespeare" and TrainConfig().training.seconds == 180


@pytest.mark.parametrize("key", ["max_lr", "muon_lr", "weight_decay"])
def test_a_rate_is_one_that_float32_can_carry_on_with(key: str) -> None:
    load_config("first-gpt", [f"training.{key}=1e30"])
    with pytest.raises(ConfigError, match=rf"training.{key} is 1e\+300(?s:.*)use at most 1e\+30"):
        load_config("first-gpt", [f"training.{key}=1e300"])


def test_threads_are_bounded_before_torch_is_asked_for_them() -> None:
    load_config("first-gpt", ["training.threads=1024"])
    with pytest.raises(ConfigError, match=r"training.threads is 1000000(?s:.*)use 1 to 1024"):
        load_config("first-gpt", ["training.threads=1000000"])
