"""The rows C and E of the fault matrix: settings, the command line, and the machine around it.

Every request here is wrong, or lies in an unusual place. It gets one clear error with its status and code, within its
time, and nothing is left behind; or it simply works. No traceback, no waiting for a pipe, no file with half a name.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import TINY, Outcome, Run

from groundup import config as config_module
from groundup.cli import main as main_module
from groundup.config import MAX_BYTES
from groundup.model import Transformer
from groundup.training import load_config, memory, train
from groundup.training import run as run_module

ENDS_SECONDS = 20  # a request that is refused ends at once; whoever waits for a pipe waits for ever


@pytest.fixture(autouse=True)
def alarm(english: None) -> Iterator[None]:
    """Ends a test that waits for a pipe."""

    def ring(*_: object) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(ENDS_SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def groundup(groundup: Run) -> Run:
    """Runs the command line in this process, and looks at the form of every answer."""

    def run(*words: str | Path) -> Outcome:
        shown = groundup(*words)
        assert "[BUG]" not in shown.err and '"BUG"' not in shown.out, shown
        assert "Traceback" not in shown.err
        return shown

    return run


def error_of(shown: Outcome) -> Any:
    """The error of a command that was given --json."""
    return shown.json["error"]


# C: settings.


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
    assert error_of(shown)["code"] == "PATH_KIND"  # it got past the settings


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
    error = error_of(shown)
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
    assert error_of(groundup(*words))["code"] == "PATH_KIND"


def test_c3_a_model_that_no_memory_holds_is_refused_before_it_is_made(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not(*_: object) -> None:
        raise AssertionError("something was made")

    monkeypatch.setattr(Transformer, "__init__", must_not)
    monkeypatch.setattr(run_module, "read_data", must_not)
    for setting in ("model.n_layers=1000000", "model.vocab_size=1" + "0" * 30, "model.d_ff=1" + "0" * 18):
        shown = groundup("train", "gpt2-124m", "--set", setting, "--json", "--run-dir", tmp_path / "run")
        error = error_of(shown)
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
    error = error_of(shown)
    assert (shown.status, error["code"]) == (2, "CFG_MEMORY")
    assert "a step with 1,000,000,000 sequences at once needs" in error["what"]
    assert "training.micro_batch_size or model.context_length" in error["fix"]
    # In pieces that fit it is a long step, and no large one: the reading begins.
    with pytest.raises(AssertionError, match="something was read"):
        train(load_config("first-gpt", ["training.batch_size=1000000", "training.micro_batch_size=2"]))


def test_c3_the_estimate_is_the_arithmetic(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    shown = groundup("train", "gpt2-124m", "--json")
    assert error_of(shown)["what"] == (
        "the model has 124,439,808 parameters: training needs 1,991,036,928 bytes of memory, 1,000 are free"
    )


def test_c3_teeth_without_the_arithmetic_the_model_would_be_made(
    groundup: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    monkeypatch.setattr(run_module, "read_data", lambda _data: (_ for _ in ()).throw(KeyboardInterrupt))
    words = ("train", "first-gpt", "--set", "model.n_layers=1000000", "--run-dir", tmp_path / "run")
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
    assert (shown.status, error_of(shown)["code"]) == (3, "CFG_PARSE")


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
    run = copied(trained, tmp_path)
    (run / file).write_text(text)
    assert groundup("doctor", run).status == 1
    if file != "run.json":
        assert groundup("generate", run, "x", "--max-tokens", "1").status in (2, 3)


@pytest.mark.parametrize("guard", ["MAX_DEPTH", "MAX_BYTES"])
def test_c4_teeth_without_the_bounds_the_parser_meets_it_all(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_module, guard, 1 << 40)
    text = "[" + "a." * 20 + "a]\n" if guard == "MAX_DEPTH" else "a = 1\n" + "#" * (1 << 21)
    assert config_module.parse_toml(text, "here")


# E1, E4, E5: the machine.


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "tpu", "cuda:x", "cpu:x", "cpu:1", "", "\x1b[31m"])
def test_e1_a_device_that_is_not_here_is_named_with_those_that_are(
    device: str, groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", "--set", f"training.device='{device}'"
                     if device != "\x1b[31m" else f"training.device={device}", "--json")  # fmt: skip
    error = error_of(shown)
    assert (shown.status, error["code"]) == (3, "DEVICE")
    assert "auto, cpu" in error["fix"]
    assert not (tmp_path / "run").exists()


def test_e1_auto_takes_the_cpu_where_there_is_nothing_else_and_says_so_in_one_line(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", *TINY)
    assert [line for line in shown.out.splitlines() if "on the CPU with" in line]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["HOME", "TMPDIR", "XDG_CACHE_HOME"])
def test_e4_a_missing_home_or_temporary_folder_stops_nothing(name: str, trained: Path) -> None:
    signal.alarm(250)  # two processes, each of which imports torch
    for words in (["generate", str(trained), "x", "--max-tokens", "2"], ["doctor", str(trained)]):
        shown = process(*words, **{name: "/nonexistent"})
        assert (shown.returncode, shown.stderr) == (0, ""), shown.stderr


def test_e4_without_any_temporary_folder_the_variable_to_set_is_named(
    groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    monkeypatch.setattr("groundup.cli.main.run", lambda *_: nowhere())
    shown = groundup("bench", "train", "--json")
    assert (shown.status, error_of(shown)["code"]) == (3, "TMPDIR")
    assert "TMPDIR" in error_of(shown)["fix"]


def test_e4_a_bug_without_any_temporary_folder_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/dev/null")
    told = main_module.as_told(ZeroDivisionError("x"), main_module.Session())
    assert "--debug" in told.where


@pytest.mark.parametrize("found", ["2.9.1", "2.9.0+cpu", "1.13", ""])
def test_e5_an_old_torch_is_one_line_before_it_is_imported(
    found: str, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(_name: str) -> str:
        if not found:
            raise metadata.PackageNotFoundError
        return found

    monkeypatch.setattr(metadata, "version", version)
    shown = groundup("train", "--json")
    assert (shown.status, error_of(shown)["code"]) == (3, "VERSION")
    assert "install torch 2.10 or newer" in error_of(shown)["fix"]


def test_e5_an_old_python_is_one_line(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    shown = groundup("train", "--json")
    assert (shown.status, error_of(shown)["code"]) == (3, "VERSION")
    assert error_of(shown)["what"] == "Python 3.10.13 is too old"


def test_e5_teeth_without_the_look_at_versions_it_goes_on(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    monkeypatch.setattr(main_module, "require_versions", lambda: None)
    assert groundup("train", "--help").status == 0


# E2, E3: where things lie, and in which language.


def copied(trained: Path, folder: Path, name: str = "run") -> Path:
    """A copy of the trained run."""
    import shutil

    return Path(shutil.copytree(trained, folder / name))


def process(*words: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "groundup", *words]
    return subprocess.run(
        command, capture_output=True, timeout=60, env=os.environ | environment, encoding="utf-8", errors="replace"
    )


@pytest.mark.slow
def test_e2_in_a_locale_without_cyrillic_every_verb_reads_and_writes_it(trained: Path, tmp_path: Path) -> None:
    signal.alarm(250)  # nine processes, each of which imports torch
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    run, text = copied(trained, tmp_path, "Пушкин"), tmp_path / "Онегин.txt"
    text.write_text("Мой дядя самых честных правил, " * 50, encoding="utf-8")
    out, tokens = tmp_path / "вывоз", tmp_path / "токены"
    for words in (
        ["generate", run, "Мой дядя", "--max-tokens", "3", "--json"],
        ["eval", run, "--text", text, "--json"],
        ["export", run, "--out", out, "--json"],
        ["doctor", run, "--json"],
        ["tokenizer", "train", text, "--vocab-size", "270", "--out", tokens, "--json"],
        ["tokenizer", "encode", tokens, "дядя", "--json"],
        ["tokenizer", "show", run, "дядя", "--json"],
        ["train", "first-gpt", "--run-dir", tmp_path / "новый", *TINY, "--set", f"data.train={text}", "--json"],
        ["train", "--run-dir", tmp_path / "новый", "--resume", "--set", "training.steps=5"],
    ):
        shown = process(*map(str, words), **ascii_only)
        assert shown.returncode == 0, (words, shown.stderr)
        assert "Error" not in shown.stderr
        if "generate" in words:
            assert json.loads(shown.stdout)["prompt"] == "Мой дядя"
    assert (out / "model.safetensors").exists() and (tmp_path / "новый" / "metrics.jsonl").exists()


NAMES = [
    "a b", "it's", 'say "x"', "two\nlines", "紅樓夢", "👩‍🚀", "-rf", "x" * 250, "a=b, [c] {d}", "~$HOME`x`",
    "tab\there", "esc\x1b[31m", "no utf8 \udcff",
]  # fmt: skip


# Each name takes thirteen commands: these in the fast tests, the rest in the slow ones.
SOME = {"a b", "two\nlines", "-rf", "x" * 250, "no utf8 \udcff"}
EACH = [pytest.param(name, id=repr(name)[:20], marks=[] if name in SOME else pytest.mark.slow) for name in NAMES]


@pytest.mark.parametrize("name", EACH)
def test_e3_every_verb_works_in_any_folder_or_says_why_not(
    name: str, trained: Path, tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, text = copied(trained, tmp_path, name), tmp_path / name / "text.txt"
    text.write_text("To be, or not to be, that is the question. " * 40)
    parts = tmp_path / name / "parts"
    parts.mkdir()
    (parts / "mine.py").write_text("def gelu(x):\n    return x\n")
    monkeypatch.chdir(tmp_path / name)
    works = [
        ["generate", run, "To be", "--max-tokens", "2"],
        ["generate", run, "To be", "--max-tokens", "2", "--parts", parts],
        ["eval", run, "--text", text],
        ["eval", run, "--text", text, "--parts", parts],
        ["export", run, "--out", tmp_path / name / "export"],
        ["doctor", run],
        ["tokenizer", "train", text, "--vocab-size", "270", "--out", tmp_path / name / "tokenizer_2"],
        ["tokenizer", "encode", run, "To be"],
        ["train", run / "config.toml", "--run-dir", tmp_path / name / "again", "--parts", parts],
        ["train", "--run-dir", run, "--resume", "--set", "training.steps=5"],
    ]
    for words in works:
        shown = groundup(*words)
        assert shown.status == 0, (words, shown)
        assert "\x1b" not in shown.out.partition("│")[0] + shown.err
    shown = groundup("export", run, "--out", tmp_path / ("2" + name), "--json")
    assert shown.status == 0 or (shown.status == 2 and error_of(shown)["what"] == "the name is too long"), shown
    for words in (["export", run, "--out", tmp_path / f"{name[:240]}2"], ["train", "first-gpt", "--run-dir",
                  tmp_path / f"{name[:240]}3", *TINY, "--set", f"data.train={text}"]):  # fmt: skip
        shown = groundup(*words, "--json")
        assert shown.status in (0, 2), (words, shown)
        assert shown.status == 0 or shown.json["error"]["code"] == "CFG_VALUE"  # a TOML file cannot hold such a name


def test_e3_a_name_that_begins_like_an_option_is_quoted_or_taken_after_two_dashes(
    trained: Path, tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(trained, tmp_path, "-rf")
    monkeypatch.chdir(tmp_path)
    shown = groundup("generate", "-rf", "x")
    assert (shown.status, "there is no option -r [CLI_USAGE]" in shown.err) == (2, True)
    assert groundup("generate", "--max-tokens", "1", "--", "-rf", "x").status == 0


def test_e3_a_missing_file_of_any_name_is_shown_without_its_control_characters(groundup: Run) -> None:
    for name in NAMES:
        for words in (["generate", name + "?"], ["doctor", "./" + name + "?"], ["tokenizer", "show", name + "?", "x"],
                      ["train", name + "?.toml"], ["train", "first-gpt", "--parts", name + "?"]):  # fmt: skip
            shown = groundup(*words)
            assert shown.status == 2, (words, shown)
            assert "\x1b" not in shown.err and shown.err.count("\n") <= 3


# E7: what is no file, or no folder.


def fifo(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    """A socket; its path may be no longer than a hundred bytes."""
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(before)


KINDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text("text"),
    "empty file": lambda path: path.write_text(""),
    "folder": Path.mkdir,
    "pipe": fifo,
    "socket": listener,
    "device": lambda path: path.symlink_to("/dev/null"),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path),
}
GONE = {"broken link", "link to itself"}
# Each flag: the command with {} for the path, and the kinds that it can do something with.
FLAGS: dict[str, tuple[str, set[str]]] = {
    "train PRESET": ("train {}", {"file", "empty file"}),
    "train --parts": ("train first-gpt --parts {} --run-dir run TINY", {"folder"}),
    "train --run-dir": ("train first-gpt --run-dir {} TINY", {"folder"}),
    "train below a file": ("train first-gpt --run-dir {}/run TINY", {"folder"}),
    "data.train": ("train first-gpt --run-dir run --set data.train={}", {"file", "empty file"}),
    "data.val": ("train first-gpt --run-dir run --set data.train=text.txt --set data.val={}", {"file", "empty file"}),
    "data.tokenizer": ("train first-gpt --run-dir run TINY --set data.tokenizer={}", {"file", "empty file", "folder"}),
    "generate MODEL": ("generate {} x", set()),
    "generate --parts": ("generate MODEL x --max-tokens 1 --parts {}", {"folder"}),
    "eval MODEL": ("eval {}", set()),
    "eval --text": ("eval MODEL --text {}", {"file", "empty file"}),
    "eval --parts": ("eval MODEL --text text.txt --parts {}", {"folder"}),
    "export MODEL": ("export {} --out out", set()),
    "export --out": ("export MODEL --out {}", {"folder"}),
    "doctor RUN": ("doctor {}", set()),
    "tokenizer TOKENIZER": ("tokenizer show {} x", {"file", "empty file", "folder"}),
    "tokenizer FILES": ("tokenizer train {} --vocab-size 257 --out out", {"file", "empty file", "folder"}),
    "tokenizer --out": ("tokenizer train text.txt --vocab-size 260 --out {}", {"folder"}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flag", FLAGS)
def test_e7_a_path_of_the_wrong_kind_is_status_2_and_nothing_waits(
    flag: str, kind: str, trained: Path, groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("To be, or not to be, that is the question. " * 40)
    KINDS[kind](tmp_path / "it")
    text, fits = FLAGS[flag]
    words = [word.replace("{}", "it").replace("MODEL", str(trained)) for word in shlex.split(text)]
    words = [part for word in words for part in (TINY if word == "TINY" else [word])]
    shown = groundup(*words, "--json")
    if kind in fits:  # whatever is wrong with it then is another row's
        assert shown.status in (0, 2, 3)
        return
    if kind == "link to itself" and error_of(shown)["code"] == "DATA_READ":
        return  # the reader of texts calls it a file that cannot be read
    assert shown.status == 2, shown
    codes = {"PATH", "PATH_KIND", "PATH_EXISTS", "PRESET"} if kind in GONE else {"PATH_KIND", "PATH_EXISTS"}
    assert error_of(shown)["code"] in codes, shown
