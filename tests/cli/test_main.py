"""The door: help, errors as people and programs read them, exit statuses."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import Run, needs_dev_full

from groundup.cli.main import COMMANDS, Session, as_text, as_told, main
from groundup.errors import ConfigError, GroundupError

HEAVY = {"torch", "numpy", "rich", "transformers", "safetensors", "regex"}
MODULES = 250  # that --help may load, those of Python itself included: what keeps it under 0.3 s


def started(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "groundup", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_help_lists_the_commands_in_learning_order(groundup: Run) -> None:
    shown = groundup("--help")
    assert shown.status == 0
    places = [shown.out.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_no_arguments_are_a_wish_for_help(groundup: Run) -> None:
    assert groundup().out == groundup("--help").out
    assert groundup("tokenizer").out == groundup("tokenizer", "--help").out


def test_help_imports_little_and_nothing_heavy() -> None:
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "groundup", "--help"], capture_output=True, text=True, timeout=60
    )
    rows = [line.removeprefix("import time:").split("|") for line in shown.stderr.splitlines() if "|" in line][1:]
    assert not {row[2].strip().partition(".")[0] for row in rows} & HEAVY
    assert len(rows) < MODULES


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_of_the_table_exists_and_has_help(name: str, groundup: Run) -> None:
    shown = groundup(name, "--help")
    assert shown.status == 0
    assert shown.out.startswith(f"Usage: groundup {name} ")


def test_the_version_is_shown(groundup: Run) -> None:
    assert groundup("--version").out.startswith("groundup 0.")


def test_a_misspelt_command_is_guessed(groundup: Run) -> None:
    shown = groundup("tran")
    assert shown.status == 2
    assert shown.err == (
        "error: there is no command tran [CLI_COMMAND]\n  where: groundup\n  fix:   did you mean train?\n"
    )


@pytest.mark.parametrize(
    ("words", "what", "fix"),
    [
        (["generate"], "MODEL is missing", "see groundup generate --help"),
        (["generate", "x", "--temprature", "1"], "there is no option --temprature", "did you mean --temperature?"),
        (["generate", "x", "--seed", "y"], "--seed: 'y' is not a valid integer", "see groundup generate --help"),
        (["generate", "x", "--seed"], "option '--seed' requires an argument", "see groundup generate --help"),
        (["generate", "x", "--max-tokens", "-1"], "--max-tokens: -1 is not in the range x>=0", "see groundup generate"),
        (["export", "x"], "--out is missing", "see groundup export --help"),
        (["eval", "x", "y"], "got unexpected extra argument (y)", "see groundup eval --help"),
    ],
)
def test_a_request_that_cannot_be_read_is_status_2_with_one_clear_line(
    words: list[str], what: str, fix: str, groundup: Run
) -> None:
    shown = groundup(*words)
    first, where, last = shown.err.splitlines()
    assert (shown.status, shown.out) == (2, "")
    assert first == f"error: {what} [CLI_USAGE]"
    assert where == f"  where: groundup {words[0]}"
    assert last.startswith(f"  fix:   {fix}")


def test_with_json_an_error_is_one_object_on_stdout(groundup: Run) -> None:
    shown = groundup("generate", "nowhere", "--json")
    assert (shown.status, shown.err) == (2, "")
    error = shown.json["error"]
    assert error["code"] == "PATH"
    assert error["status"] == 2
    assert "nowhere" in error["what"]


def test_an_error_of_many_problems_is_indented_under_its_label() -> None:
    error = ConfigError("2 settings are wrong", where="x.toml", fix="a is 1: use 2\n         b is 2: use 1")
    assert as_text(error).splitlines()[2:] == ["  fix:   a is 1: use 2", "         b is 2: use 1"]


def test_an_unknown_failure_is_a_bug_whose_traceback_is_kept_in_the_run(tmp_path: Path) -> None:
    try:
        [].pop()
    except IndexError as error:
        told = as_told(error, Session(run_dir=tmp_path))
    assert (told.code, told.status) == ("BUG", 3)
    assert told.what == "something broke inside groundup: IndexError: pop from empty list"
    kept = Path(told.where)
    assert kept.parent == tmp_path / "debug"
    assert "[].pop()" in kept.read_text()


def test_without_a_run_the_traceback_is_kept_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told = as_told(ZeroDivisionError("division by zero"), Session())
    assert Path(told.where).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_too_little_memory_is_said_so(error: BaseException) -> None:
    told = as_told(error, Session())
    assert (told.code, told.status) == ("MEM", 3)


def test_ctrl_c_is_status_130_and_no_error() -> None:
    told = as_told(KeyboardInterrupt(), Session())
    assert told.status == 130
    assert as_text(told) == "stopped [INTERRUPTED]"


@needs_dev_full
def test_a_full_disk_behind_stdout_is_no_bug() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "groundup", "--help"]
        shown = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert shown.returncode == 3
    assert "[DISK_FULL]" in shown.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "groundup", "--help"]
    shown = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (0, "")


def test_debug_shows_the_traceback_before_the_error(groundup: Run) -> None:
    shown = groundup("--debug", "generate", "nowhere")
    assert shown.err.startswith("Traceback")
    assert shown.err.rstrip().splitlines()[-2].startswith("error: nowhere does not exist [PATH]")


def test_a_locale_without_the_characters_is_no_failure() -> None:
    latin = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    shown = started("tokenizer", "show", "gpt2", "Привет", env=latin)
    assert shown.returncode == 0, shown.stderr
    assert "7 tokens for 12 bytes" in shown.stdout


def test_python_m_groundup_is_the_command() -> None:
    shown = started("tokenizer", "show", "nowhere", "x", "--json")
    assert shown.returncode == 2
    assert json.loads(shown.stdout)["error"]["code"] == "PATH"


def test_errors_of_the_family_pass_through_unchanged() -> None:
    error = GroundupError("x", code="Y", status=3)
    assert as_told(error, Session()) is error


def test_main_reads_sys_argv(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["groundup", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("groundup ")


def test_every_command_that_answers_takes_json() -> None:
    def leaves(command: click.Command) -> Iterator[click.Command]:
        if isinstance(command, click.Group):
            for inner in command.commands.values():
                yield from leaves(inner)
        else:
            yield command

    for address, _what in COMMANDS.values():
        module, _colon, name = address.partition(":")
        for command in leaves(getattr(importlib.import_module(module), name)):
            assert "as_json" in {parameter.name for parameter in command.params}, command.name
