"""Everything that decides a run: the sections of a training config besides `[model]`.

A preset is one TOML file with these sections; `--set section.key=value` changes a key. The resolved config is written
into the run directory, and training from that file again gives the same run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

from ..config import Section, Table, apply_settings, build, parse_toml, quoted_choices, read_toml
from ..errors import ConfigError, quoted
from ..model.config import ModelConfig

MOST_THREADS = 1024  # torch dies of many more, without a word
MOST_RATE = 1e30  # beyond, the rate itself overflows on its way through a schedule or an optimizer
CALIBRATION_STEPS = 20  # after so many steps a time budget becomes a number of steps


@dataclass(frozen=True, kw_only=True)
class DataSection(Section):
    """What the model reads."""

    corpus: Literal["shakespeare", "the-verdict", "chinese"] = "shakespeare"  # packaged text, where no train is given
    train: tuple[str, ...] | None = None  # files of text, JSON Lines or Parquet, or folders of shards
    val: tuple[str, ...] | None = None  # held out; None: what the shards hold out, or the last tenth
    tokenizer: str | None = None  # a folder with a tokenizer.json, or "gpt2"; None: the shards', or a new one
    pattern: Literal["gpt2", "gpt4"] = "gpt2"  # how a new tokenizer splits text into words
    shuffle: bool = True
    documents: Literal["cross", "mask"] = "cross"  # whether attention goes on into the document before
    workers: int = 0  # processes that read batches of shards ahead; they decide nothing

    def problems(self) -> Iterator[str]:
        """Each setting that cannot be, with what would do."""
        if self.val is not None and self.train is None:
            yield "data.val is given without data.train: name the training files too"
        if not 0 <= self.workers <= 256:
            yield f"data.workers is {self.workers}: use 0 to 256"


@dataclass(frozen=True, kw_only=True)
class TrainingSection(Section):
    """How the model learns."""

    steps: int | None = None  # optimizer steps; wins over seconds
    seconds: float | None = None  # a time budget: the number of steps is fixed after the first 20
    batch_size: int = 16  # sequences in a step
    micro_batch_size: int | None = None  # sequences in one forward pass; None: all of them
    optimizer: Literal["adamw", "muon"] = "adamw"
    max_lr: float = 3e-3  # AdamW's, reached at the end of warm-up
    min_lr: float | None = None  # at the last step; None: a tenth of max_lr
    muon_lr: float = 0.02  # Muon's peak; it follows the same schedule
    warmup_steps: int = 50  # linear; the first step already learns
    schedule: Literal["cosine", "linear", "wsd", "constant"] = "cosine"
    decay_steps: int | None = None  # of wsd, at the end; None: a third of the run
    beta1: float = 0.9
    beta2: float = 0.95
    weight_decay: float = 0.1
    max_norm: float = 1.0  # gradients longer than this are shortened to it
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    parts: Literal["fast", "plain", "numpy"] = "fast"  # numpy: gradients by hand, of `backprop/`
    compile: bool = False
    deterministic: bool = False  # on CUDA: the same bytes again, at some cost
    skip_nonfinite: int = 0  # so many steps in a row may be left out when their numbers go bad
    seed: int = 1
    device: str = "auto"  # auto, cpu, cuda, mps
    threads: int | None = None  # of the CPU; None: what torch chooses

    def problems(self) -> Iterator[str]:
        """Each setting that cannot be, with what would do."""
        if self.steps is None and self.seconds is None:
            yield "training.steps is missing: set training.steps, or a time budget with training.seconds"
        for key in ("steps", "batch_size", "micro_batch_size", "decay_steps", "threads"):
            value = getattr(self, key)
            if value is not None and value < 1:
                yield f"training.{key} is {value}: use a whole number of at least 1"
        if self.threads is not None and self.threads > MOST_THREADS:
            yield f"training.threads is {self.threads}: use 1 to {MOST_THREADS}"
        for key in ("max_lr", "muon_lr", "weight_decay"):
            if getattr(self, key) > MOST_RATE:
                yield f"training.{key} is {getattr(self, key)}: use at most {MOST_RATE:g}"
        for key in ("seconds", "max_lr", "muon_lr", "max_norm"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                yield f"training.{key} is {value}: use a number above 0"
        for key in ("weight_decay", "warmup_steps", "skip_nonfinite", "seed"):
            if not getattr(self, key) >= 0:
                yield f"training.{key} is {getattr(self, key)}: use 0 or more"
        for key in ("beta1", "beta2"):
            if not 0 <= getattr(self, key) < 1:
                yield f"training.{key} is {getattr(self, key)}: use a number from 0 up to, but not, 1"
        if self.micro_batch_size is not None and 1 <= self.micro_batch_size <= self.batch_size:
            if self.batch_size % self.micro_batch_size:
                yield (
                    f"training.micro_batch_size is {self.micro_batch_size}: "
                    f"it must divide training.batch_size ({self.batch_size})"
                )
        elif self.micro_batch_size is not None and self.micro_batch_size > self.batch_size:
            yield (
                f"training.micro_batch_size is {self.micro_batch_size}: "
                f"use at most training.batch_size ({self.batch_size})"
            )
        if self.min_lr is not None and self.max_lr > 0 and not 0 <= self.min_lr <= self.max_lr:
            yield f"training.min_lr is {self.min_lr}: use a number from 0 to training.max_lr ({self.max_lr})"
        if self.steps is None and 0 <= self.warmup_steps < CALIBRATION_STEPS:
            yield (
                f"training.warmup_steps is {self.warmup_steps}: with a time budget use at least {CALIBRATION_STEPS}, "
                "the steps after which their number is known"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationSection(Section):
    """How often the model is measured, and how often it writes something."""

    every: int | None = None  # steps; None: ten times a run, less in a short one
    batches: int | None = None  # of the held-out text; None: all of it
    samples_every: int | None = None  # steps; None: five times a run
    prompt: str = "\n"
    sample_tokens: int = 100

    def problems(self) -> Iterator[str]:
        """Each setting that cannot be, with what would do."""
        for key in ("every", "batches", "samples_every", "sample_tokens"):
            value = getattr(self, key)
            if value is not None and value < 1:
                yield f"evaluation.{key} is {value}: use a whole number of at least 1"
        if not self.prompt:
            yield 'evaluation.prompt is "": give it at least one character to go on from'


@dataclass(frozen=True, kw_only=True)
class CheckpointSection(Section):
    """How often the state is saved."""

    every: int | None = None  # steps; None: five times a run; the last step is always saved
    keep: int = 2  # the newest so many; the best one is kept besides

    def problems(self) -> Iterator[str]:
        """Each setting that cannot be, with what would do."""
        for key in ("every", "keep"):
            value = getattr(self, key)
            if value is not None and value < 1:
                yield f"checkpoint.{key} is {value}: use a whole number of at least 1"


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """One complete run. Raises ConfigError when made with settings that cannot be."""

    data: DataSection = field(default_factory=DataSection)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingSection = field(default_factory=lambda: TrainingSection(seconds=180.0))
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    checkpoint: CheckpointSection = field(default_factory=CheckpointSection)

    def problems(self) -> Iterator[str]:
        """What only two sections together can get wrong."""
        if self.data.tokenizer is None and self.model.vocab_size < 257:
            yield (
                f"model.vocab_size is {self.model.vocab_size}: a new tokenizer needs at least 257, "
                "one for each byte and one for the end of a text"
            )


MAY_CHANGE = {
    "training.steps",
    "training.device",
    "training.seconds",
    "data.workers",
}  # and [evaluation], [checkpoint]: they decide nothing


def decisive(config: TrainConfig) -> dict[str, object]:
    """The settings that decide the weights at every step, as one flat table: what a resumed run may not change."""
    flat = {
        f"{section}.{key}": value
        for section, table in dataclasses.asdict(config).items()
        if section not in ("evaluation", "checkpoint")
        for key, value in table.items()
    }
    return {key: value for key, value in flat.items() if key not in MAY_CHANGE}


def preset_names() -> list[str]:
    """The presets that come with the package."""
    folder = resources.files("groundup") / "presets"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_config(name: str, settings: Iterable[str] = ()) -> TrainConfig:
    """The config of a preset or a TOML file, with `section.key=value` settings put in.

    Raises ConfigError: PRESET for an unknown preset, otherwise as `groundup.config.build`.
    """
    return build(TrainConfig, apply_settings(_tables(name), settings), where=_where(name, settings))


def _where(name: str, settings: Iterable[str]) -> str:
    return " ".join([name, *(f"--set {quoted(setting)}" for setting in settings)])


def _tables(name: str) -> Table:
    if name in preset_names():
        return parse_toml((resources.files("groundup") / "presets" / f"{name}.toml").read_text("utf-8"), name)
    if name.endswith(".toml") or Path(name).exists():
        return read_toml(Path(name))
    raise ConfigError(
        f"there is no preset {quoted(name)}",
        fix=f"name a TOML file, or use one of {quoted_choices(name, preset_names())}",
        code="PRESET",
    )
