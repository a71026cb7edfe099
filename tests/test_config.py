"""Settings are read, checked and reported at the edge: every fault at once, each with what would do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.config import Section, apply_settings, as_tables, build, parse_toml, read_toml, to_toml
from groundup.errors import ConfigError
from groundup.model.config import ModelConfig
from groundup.training.config import TrainConfig

ENOUGH = {"training": {"steps": 10}}


def config(*settings: str) -> TrainConfig:
    """The default config with some settings, as `--set` gives them."""
    return build(TrainConfig, apply_settings(ENOUGH, settings), where="here")


def refusal(act: Callable[..., object], *arguments: object, **named: object) -> ConfigError:
    """The error that a call raises."""
    with pytest.raises(ConfigError) as raised:
        act(*arguments, **named)
    return raised.value


def fault(*settings: str) -> ConfigError:
    return refusal(config, *settings)


# What is wrong, and a part of what would do.
BAD_VALUES = [
    ("model.n_layers=0", "at least 1"),
    ("model.n_layers=-3", "at least 1"),
    ("model.n_layers=2.5", "whole number"),
    ("model.n_layers=two", "whole number"),
    ("model.n_layers=true", "whole number"),
    ("model.n_layers=[2]", "whole number"),
    ("model.n_layers=none", "whole number"),
    ("model.n_layers=2026-01-01", "whole number"),
    ("model.d_model=nan", "whole number"),
    ("model.n_heads=3", "use one of 1, 2, 4, 8, 16"),
    ("model.n_heads=-4", "at least 1"),
    ("model.n_kv_heads=3", "use one of 1, 2, 4"),
    ("model.n_kv_heads=8", "use one of 1, 2, 4"),
    ("model.vocab_size=0", "at least 1"),
    ("model.vocab_size=256", "at least 257"),
    ("model.context_length=0", "at least 1"),
    ("model.d_ff=0", "at least 1"),
    ("model.window=0", "at least 1"),
    ("model.dropout=1", "up to, but not, 1"),
    ("model.dropout=-0.1", "from 0"),
    ("model.dropout=nan", "finite number"),
    ("model.dropout=some", "a number"),
    ("model.rope_theta=0", "above 0"),
    ("model.rope_theta=inf", "finite number"),
    ("model.norm_eps=-1e-5", "above 0"),
    ("model.logit_soft_cap=0", "above 0"),
    ("model.position=roep", "did you mean rope?"),
    ("model.position=5", "learned, sinusoidal, rope, none"),
    ("model.norm=layernorm", "did you mean layer?"),
    ("model.feed_forward=swigul", "did you mean swiglu?"),
    ("model.bias=yes", "true or false"),
    ("model.bias=1", "true or false"),
    ("model.tie_embeddings=none", "true or false"),
    ("training.steps=0", "at least 1"),
    ("training.steps=1e3.5", "whole number"),
    ("training.seconds=0", "above 0"),
    ("training.batch_size=-1", "at least 1"),
    ("training.micro_batch_size=5", "must divide"),
    ("training.micro_batch_size=32", "at most"),
    ("training.max_lr=0", "above 0"),
    ("training.max_lr=nan", "finite number"),
    ("training.max_lr=-inf", "finite number"),
    ("training.max_lr=1" + "0" * 400, "finite number"),
    ("training.min_lr=1", "from 0 to training.max_lr"),
    ("training.warmup_steps=-1", "0 or more"),
    ("training.beta1=1", "up to, but not, 1"),
    ("training.optimizer=adam", "did you mean adamw?"),
    ("training.schedule=cos", "cosine"),
    ("training.precision=float8", "did you mean float"),
    ("training.seed=-1", "0 or more"),
    ("training.device=0", "text"),
    ("evaluation.every=0", "at least 1"),
    ("checkpoint.keep=0", "at least 1"),
    ("data.train=[1, 2]", "text"),
    ("data.shuffle=maybe", "true or false"),
    ("data.train=\udcff.txt", "UTF-8"),
]

BAD_KEYS = [
    ("training.max_lrr=1", "training.max_lr"),
    ("training.lr=1", ""),
    ("trainig.max_lr=1", ""),
    ("model.n_layer=2", "model.n_layers"),
    ("model.d_modle=2", "model.d_model"),
    ("model.nheads=2", "model.n_heads"),
    ("training.batchsize=2", "training.batch_size"),
    ("evaluation.evry=2", "evaluation.every"),
    ("checkpoint.Keep=2", "checkpoint.keep"),
    ("data.tokeniser=x", "data.tokenizer"),
    ("nothing.like_it=2", ""),
]


@pytest.mark.parametrize(("setting", "fix"), BAD_VALUES, ids=[setting[:40] for setting, _ in BAD_VALUES])
def test_a_value_that_cannot_be_is_named_with_what_would_do(setting: str, fix: str) -> None:
    error = fault(setting)
    assert (error.code, error.status, error.where) == ("CFG_VALUE", 2, "here")
    assert setting.partition("=")[0] in str(error)
    assert fix in error.fix
    assert len(error.what) < 300


@pytest.mark.parametrize(("setting", "meant"), BAD_KEYS)
def test_a_key_that_does_not_exist_is_named_with_the_one_that_was_meant(setting: str, meant: str) -> None:
    error = fault(setting)
    assert (error.code, error.status) == ("CFG_KEY", 2)
    assert setting.partition("=")[0].partition(".")[0] in error.what
    assert f"did you mean {meant}" in error.fix if meant else error.fix


@pytest.mark.parametrize("setting", ["model", "model=1", ".n_layers=1", "model.=1", "=", "", "n_layers=2"])
def test_a_setting_that_is_not_key_and_value_is_refused(setting: str) -> None:
    error = fault(setting)
    assert (error.code, error.status) == ("CFG_KEY", 2)
    assert "section.key=value" in error.fix


def test_all_faults_are_shown_at_once() -> None:
    error = fault("model.n_layers=0", "model.dropout=2", "training.max_lrr=1", "training.seed=x", "checkpoint.keep=0")
    assert error.what == "5 settings are wrong"
    assert len(error.problems) == 5
    for key in ("model.n_layers", "model.dropout", "training.max_lrr", "training.seed", "checkpoint.keep"):
        assert key in error.fix
    assert error.code == "CFG_KEY"


def test_a_section_that_is_no_table_is_named() -> None:
    error = refusal(build, TrainConfig, ENOUGH | {"model": 3}, where="here")
    assert error.what == "model is 3"
    assert "[model]" in error.fix


def test_hostile_text_in_a_value_is_shown_short_and_escaped() -> None:
    error = fault("model.position=\x1b]0;x\x07" + "y" * 5000)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 1000


# What is allowed.


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("training.max_lr=1", 1.0),
        ("training.max_lr=2e-2", 0.02),
        ("training.steps=1e4", 10_000),
        ("training.steps=1_000", 1000),
        ("training.device=cuda:0", "cuda:0"),
        ('training.device="cpu"', "cpu"),
        ("training.compile=true", True),
        ("data.train=a.txt", ("a.txt",)),
        ('data.train=["a.txt", "b.txt"]', ("a.txt", "b.txt")),
        ("data.train=a=b, c.txt", ("a=b, c.txt",)),
        (" training.steps = 7 ", 7),
        ("model.window=none", None),
        ("evaluation.prompt=紅樓夢", "紅樓夢"),
    ],
)
def test_a_setting_is_read_as_toml_or_as_plain_text(setting: str, value: object) -> None:
    section, key = setting.partition("=")[0].strip().split(".")
    found = getattr(getattr(config(setting), section), key)
    assert found == value
    assert type(found) is type(value)


def test_a_later_setting_wins_and_the_tables_stay_as_they_were() -> None:
    tables = {"model": {"n_layers": 3}}
    assert apply_settings(tables, ["model.n_layers=4", "model.n_layers=5"]) == {"model": {"n_layers": 5}}
    assert tables == {"model": {"n_layers": 3}}


def test_defaults_fill_what_is_not_given() -> None:
    made = config("model.n_layers=3")
    assert (made.model.n_layers, made.model.d_model) == (3, ModelConfig().d_model)


@dataclass(frozen=True, kw_only=True)
class Inner(Section):
    needed: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer(Section):
    inner: Inner = field(default_factory=lambda: Inner(needed=1))


def test_a_required_key_that_is_missing_is_named() -> None:
    error = refusal(build, Outer, {"inner": {}}, where="here")
    assert error.what == "inner.needed is missing"
    assert "--set inner.needed=" in error.fix


def test_a_section_made_in_python_checks_types_and_choices_too() -> None:
    error = refusal(ModelConfig, position="rotary", d_model="48")
    assert len(error.problems) == 2
    assert error.where == "ModelConfig"
    assert refusal(Inner, needed=1.5).what == "needed is 1.5"


# TOML in and out.

NUMBERS = st.floats(1e-300, 1e300)
WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
SETTINGS = st.fixed_dictionaries(
    {
        "training": st.fixed_dictionaries(
            {"max_lr": st.floats(1e-300, 1e30), "min_lr": st.just(0.0), "steps": st.integers(1, 2**60)}
        )
    },
    optional={
        "data": st.fixed_dictionaries({"train": st.lists(WORDS, max_size=3), "tokenizer": WORDS | st.none()}),
        "model": st.fixed_dictionaries({"rope_theta": NUMBERS, "bias": st.booleans(), "norm_eps": st.none() | NUMBERS}),
        "evaluation": st.fixed_dictionaries({"prompt": WORDS.filter(bool)}),
    },
)


@given(SETTINGS)
def test_a_config_written_as_toml_reads_back_the_same(tables: dict[str, object]) -> None:
    made = build(TrainConfig, tables, where="here")
    text = to_toml(made)
    again = build(TrainConfig, parse_toml(text, "here"), where="here")
    assert again == made
    assert repr(again) == repr(made)
    assert to_toml(again) == text


def test_every_setting_is_written_out_but_those_that_are_off() -> None:
    tables = as_tables(config())
    assert set(tables) == {"data", "model", "training", "evaluation", "checkpoint"}
    assert tables["model"]["n_layers"] == ModelConfig().n_layers
    assert "window" not in tables["model"]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('[model]\nn_layers = 3  # few\n[data]\ntokenizer = "紅樓夢"\n', encoding="utf-8")
    assert read_toml(path) == {"model": {"n_layers": 3}, "data": {"tokenizer": "紅樓夢"}}


DEEP = [
    "a = " + "[" * 10_000,
    "a = " + "[\n" * 10_000 + "]" * 10_000,
    "a = " + "{a = " * 10_000 + "1" + "}" * 10_000,
    "a" + ".a" * 10_000 + " = 1",
    "[model]\nn_layers" + '."a"' * 10_000 + " = 1",
    "[" + "a." * 10_000 + "a]",
]


@pytest.mark.parametrize("text", DEEP, ids=lambda text: repr(text[:12]))
def test_a_deep_config_is_refused_at_once(text: str) -> None:
    start = time.monotonic()
    error = refusal(parse_toml, text, "deep.toml")
    assert time.monotonic() - start < 1
    assert (error.code, error.status, error.where) == ("CFG_PARSE", 3, "deep.toml")
    assert "16 levels" in error.what


@pytest.mark.parametrize("text", ["[" * 10_000, "{a = " * 10_000 + "1" + "}" * 10_000, "{a" + ".a" * 10_000 + " = 1}"])
def test_a_deep_value_on_the_command_line_is_only_a_wrong_value(text: str) -> None:
    assert fault(f"model.n_layers={text}").code == "CFG_VALUE"


@pytest.mark.parametrize(
    "text",
    [
        "[data]\ntrain = [" + ", ".join(f'"a[{i}].txt"' for i in range(40)) + "]",
        '[data]\ntokenizer = """' + "[" * 40 + '"""',
        "[data]  # " + "[" * 40,
        "[data]\ntokenizer = '" + "a." * 40 + "'",
        "[data]\ntrain = [\n" + "[],\n" * 40 + "]",
    ],
)
def test_brackets_in_texts_and_comments_and_side_by_side_are_not_deep(text: str) -> None:
    assert "data" in parse_toml(text, "here")


@pytest.mark.parametrize("text", ["a = ", "[a", "a = 'b", "a = 1\na = 2", "= 1", "a = 1" + "0" * 5000, 'a = "\x00"'])
def test_text_that_is_no_toml_is_refused(text: str) -> None:
    error = refusal(parse_toml, text, "bad.toml")
    assert (error.code, error.status) == ("CFG_PARSE", 3)


def test_a_file_of_very_many_keys_is_refused_in_few_words(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("[model]\n" + "".join(f"n_layer{i} = 1\n" for i in range(20_000)))
    error = refusal(build, TrainConfig, ENOUGH | read_toml(path), where="here")
    assert error.code == "CFG_KEY"
    assert "19980 more" in error.fix
    assert len(str(error)) < 3000


@pytest.mark.parametrize(
    ("content", "code", "status"),
    [(b"#" * (1 << 20) + b"\n", "CFG_PARSE", 3), (b"a = '\xff\xfe'", "CFG_PARSE", 3), (None, "PATH", 2)],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, code: str, status: int) -> None:
    path = tmp_path / "run.toml"
    if content is not None:
        path.write_bytes(content)
    error = refusal(read_toml, path)
    assert (error.code, error.status) == (code, status)
    assert "run.toml" in str(error)


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"a = 1\n".ljust(1 << 20, b"#"))
    assert read_toml(path) == {"a": 1}


def test_a_folder_or_a_pipe_is_no_config_and_nothing_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path, tmp_path / "pipe.toml"):
        assert refusal(read_toml, path).code == "PATH_KIND"
