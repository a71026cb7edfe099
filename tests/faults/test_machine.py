"""E1, E4, E5: what the machine lacks is said in one error, or done without."""

from __future__ import annotations

import signal
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from command_line import TINY, Run, process

from groundup.cli import main as main_module
from groundup.training import run as run_module

pytestmark = pytest.mark.usefixtures("alarm")


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "tpu", "cuda:x", "cpu:x", "cpu:1", "", "\x1b[31m"])
def test_e1_a_device_that_is_not_here_is_named_with_those_that_are(
    device: str, groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", "--set", f"training.device='{device}'"
                     if device != "\x1b[31m" else f"training.device={device}", "--json")  # fmt: skip
    error = shown.error
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
    assert (shown.status, shown.error["code"]) == (3, "TMPDIR")
    assert "TMPDIR" in shown.error["fix"]


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
    assert (shown.status, shown.error["code"]) == (3, "VERSION")
    assert "install torch 2.10 or newer" in shown.error["fix"]


def test_e5_an_old_python_is_one_line(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    shown = groundup("train", "--json")
    assert (shown.status, shown.error["code"]) == (3, "VERSION")
    assert shown.error["what"] == "Python 3.10.13 is too old"


def test_e5_teeth_without_the_look_at_versions_it_goes_on(groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 13, "final", 0))
    monkeypatch.setattr(main_module, "require_versions", lambda: None)
    assert groundup("train", "--help").status == 0


def test_e1_teeth_without_the_look_at_the_devices_torch_fails_in_its_own_words(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "choose_device", torch.device)
    with pytest.raises(AssertionError, match="BUG"):
        groundup("train", "first-gpt", "--run-dir", tmp_path / "run", "--set", "training.device=tpu", *TINY)


def test_e4_teeth_what_is_not_about_temporary_files_is_not_told_so(
    groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("groundup.cli.main.run", nowhere)
    with pytest.raises(AssertionError, match="BUG"):
        groundup("bench", "train", "--json")
