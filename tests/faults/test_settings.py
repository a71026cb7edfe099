"""The rows C of the fault matrix: settings that cannot be are refused, with their status and code, and at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import TINY, Run

from groundup import config as config_module
from groundup.config import MAX_BYTES
from groundup.model import Transformer
from groundup.training import load_config, memory, train
from groundup.training import run as run_module

pytestmark = pytest.mark.usefixtures("alarm")


def test_c1_an_unknown_key_is_named_with_the_one_that_was_meant(groundup: Run, tmp_path: Path) -> None:
    shown = groundup("train", "first-gpt", "--set", "training.max_lrr=1", "--run-dir", tmp_path / "run")
    assert (shown.status, (tmp_path / "run").exists()) == (2, False)
    first, _where, fix = shown.err.splitlines()
    assert first == "error: there is no setting training.max_lrr [CFG_KEY]"
    assert fix == "  fix:   did you mean training.max_lr?"


def test_c1_teeth_without_the_look_at_keys_a_misspelt_one_changes_nothing_in_silence(
    groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config_module, "_unknown", lambda *_: [])
    shown = groundup("train", "first-gpt", "--set", "training.max_lrr=1", "--run-dir", "/dev/null/x", "--json", *TINY)
    assert shown.error["code"] == "PATH_KIND"  # it got past the settings


# Key=value, and a part of the range that is allowed. More of them are in tests/test_config.py.
WRONG = [
    ("model.n_layers=0", "at least 1"), ("model.n_layers=-1", "at least 1"), ("model.n_layers=1.5", "whole number"),
    ("model.n_layers=many", "whole number"), ("model.n_layers=nan", "whole number"), ("model.n_layers=[1]", "whole"),
    ("model.d_model=0", "at least 1"), ("model.d_model=inf", "whole number"), ("model.n_heads=5", "must divide"),
    ("model.n_heads=0", "at least 1"), ("model.n_kv_heads=3", "must divide"), ("model.d_head=-8", "at least 1"),
    ("model.vocab_size=100", "at least 257"), ("model.context_length=-1", "at least 1"), ("model.d_ff=0", "at least 1"),
    ("model.dropout=1.5", "from 0 up to"), ("model.dropout=nan", "finite"), ("model.rope_theta=-1", "above 0"),
    ("model.norm_eps=0", "above 0"), ("model.window=0", "at least 1"), ("model.position=left", "learned, sinusoidal"),
    ("model.norm=batch", "layer, rms"), ("model.feed_forward=relu", "did you mean relu2?"),
    ("model.bias=perhaps", "true or false"), ("training.steps=-5", "at least 1"), ("training.seconds=0", "above 0"),
    ("training.seconds=nan", "finite"), ("training.batch_size=0", "at least 1"),
    ("training.micro_batch_size=3", "must divide"), ("training.max_lr=-1", "above 0"),
    ("training.max_lr=inf", "finite"), ("training.max_lr=fast", "a number"), ("training.min_lr=9", "from 0 to"),
    ("training.warmup_steps=-1", "0 or more"), ("training.beta2=1", "from 0 up to"),
    ("training.weight_decay=-0.1", "0 or more"), ("training.max_norm=0", "above 0"), ("training.seed=-1", "0 or more"),
    ("training.optimizer=sgd", "adamw, muon"), ("training.precision=int8", "float32"),
    ("training.schedule=step", "cosine"), ("checkpoint.keep=0", "at least 1"), ("evaluation.every=0", "at least 1"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "allowed"), WRONG, ids=[setting for setting, _ in WRONG])
def test_c2_a_wrong_value_is_named_with_what_is_allowed(setting: str, allowed: str, groundup: Run) -> None:
    shown = groundup("train", "first-gpt", "--set", setting, "--json")
    error = shown.error
    assert (shown.status, error["code"]) == (2, "CFG_VALUE")
    assert error["what"].startswith(setting.partition("=")[0] + " is ")
    assert allowed in error["fix"]


def test_c2_all_faults_are_shown_at_once(groundup: Run) -> None:
    one_each = {setting.partition("=")[0]: setting for setting, _ in WRONG}
    del one_each["model.vocab_size"]  # it is a fault of two sections together, which are made only if each can be
    words = [word for setting in one_each.values() for word in ("--set", setting)]
    shown = groundup("train", "first-gpt", *words)
    assert shown.status == 2
    assert shown.err.startswith("error: ")
    kinds = [key for key in one_each if f"{key} is " in shown.err]
    assert len(kinds) > 20, shown.err


def test_c2_teeth_without_the_check_of_values_a_wrong_one_gets_in(
    groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundup.training.config.TrainingSection.problems", lambda _self: iter(()))
    words = ("train", "first-gpt", "--set", "training.max_norm=0", "--run-dir", "/dev/null/x", "--json")
    assert groundup(*words).error["code"] == "PATH_KIND"


def test_c3_a_model_that_no_memory_holds_is_refused_before_it_is_made(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not(*_: object) -> None:
        raise AssertionError("something was made")

    monkeypatch.setattr(Transformer, "__init__", must_not)
    monkeypatch.setattr(run_module, "read_data", must_not)
    for setting in ("model.n_layers=1000000", "model.vocab_size=1" + "0" * 30, "model.d_ff=1" + "0" * 18):
        shown = groundup("train", "gpt2-124m", "--set", setting, "--json", "--run-dir", tmp_path / "run")
        error = shown.error
        assert (shown.status, error["code"]) == (2, "CFG_MEMORY")
        assert "bytes of memory" in error["what"]
    assert not (tmp_path / "run").exists()


def test_c3_a_batch_that_no_memory_holds_is_refused_before_anything_is_read(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not(*_: object) -> None:
        raise AssertionError("something was read")

    monkeypatch.setattr(run_module, "read_data", must_not)
    words = ("train", "first-gpt", "--json", "--run-dir", tmp_path / "run", "--set")
    shown = groundup(*words, "training.batch_size=1000000000")
    error = shown.error
    assert (shown.status, error["code"]) == (2, "CFG_MEMORY")
    assert "a step with 1,000,000,000 sequences at once needs" in error["what"]
    assert "training.micro_batch_size or model.context_length" in error["fix"]
    # In pieces that fit it is a long step, and no large one: the reading begins.
    with pytest.raises(AssertionError, match="something was read"):
        train(load_config("first-gpt", ["training.batch_size=1000000", "training.micro_batch_size=2"]))


def test_c3_the_estimate_is_the_arithmetic(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    shown = groundup("train", "gpt2-124m", "--json")
    assert shown.error["what"] == (
        "the model has 124,439,808 parameters: training needs 1,991,036,928 bytes of memory, 1,000 are free"
    )


@pytest.mark.parametrize("setting", ["model.n_layers=1000000", "training.batch_size=1000000000"])
def test_c3_teeth_without_the_arithmetic_the_model_and_the_batch_would_be_made(
    setting: str, groundup: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    monkeypatch.setattr(run_module, "read_data", lambda _data: (_ for _ in ()).throw(KeyboardInterrupt))
    words = ("train", "first-gpt", "--set", setting, "--run-dir", tmp_path / "run")
    assert groundup(*words).status == 130


DEEP = 10_000
CONFIGS = {
    "deep lists": "a = " + "[" * DEEP + "]" * DEEP,
    "deep tables": "a = " + "{a = " * DEEP + "1" + "}" * DEEP,
    "a deep key": "[" + "a." * DEEP + "a]",
    "10^6 keys": "".join(f"k{i} = 1\n" for i in range(10**6)),
    "100 MB": "#" * (100 << 20),
    "no TOML": "[model\n",
    "a long number": "a = 1" + "0" * 5000,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_c4_an_oversized_or_deep_config_is_refused(name: str, groundup: Run, tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_text(CONFIGS[name])
    shown = groundup("train", tmp_path / "big.toml", "--json")
    assert (shown.status, shown.error["code"]) == (3, "CFG_PARSE")


def test_c4_keys_up_to_the_limit_are_answered_in_few_words(groundup: Run, tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("".join(f"[k{i}]\n" for i in range(MAX_BYTES // 12)))
    shown = groundup("train", tmp_path / "keys.toml")
    assert (shown.status, "[CFG_KEY]" in shown.err) == (2, True)
    assert len(shown.err) < 4000


@pytest.mark.parametrize("file", ["config.toml", "run.json", "tokenizer/tokenizer.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "#" * (2 << 20)], ids=["lists", "tables", "large"])
def test_c4_a_deep_or_large_file_in_a_run_is_refused_by_every_reader(
    file: str, text: str, trained: Path, groundup: Run, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "run"))
    (run / file).write_text(text)
    assert groundup("doctor", run).status == 1
    if file != "run.json":
        assert groundup("generate", run, "x", "--max-tokens", "1").status in (2, 3)


@pytest.mark.parametrize("guard", ["MAX_DEPTH", "MAX_BYTES"])
def test_c4_teeth_without_the_bounds_the_parser_meets_it_all(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_module, guard, 1 << 40)
    text = "[" + "a." * 20 + "a]\n" if guard == "MAX_DEPTH" else "a = 1\n" + "#" * (1 << 21)
    assert config_module.parse_toml(text, "here")
