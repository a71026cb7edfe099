"""E2, E3, E7: whatever a file is called, in whichever language, it is read; what is no file is said to be none.

No traceback, no waiting for a pipe, no file with half a name.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import TINY, Run, process

from groundup import files

pytestmark = pytest.mark.usefixtures("alarm")


ASCII_ONLY = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.mark.slow
def test_e2_in_a_locale_without_cyrillic_every_verb_reads_and_writes_it(trained: Path, tmp_path: Path) -> None:
    signal.alarm(250)  # nine processes, each of which imports torch
    run, text = Path(shutil.copytree(trained, tmp_path / "Пушкин")), tmp_path / "Онегин.txt"
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
        shown = process(*map(str, words), **ASCII_ONLY)
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
    run, text = Path(shutil.copytree(trained, tmp_path / name)), tmp_path / name / "text.txt"
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
    assert shown.status == 0 or (shown.status == 2 and shown.error["what"] == "the name is too long"), shown
    for words in (["export", run, "--out", tmp_path / f"{name[:240]}2"], ["train", "first-gpt", "--run-dir",
                  tmp_path / f"{name[:240]}3", *TINY, "--set", f"data.train={text}"]):  # fmt: skip
        shown = groundup(*words, "--json")
        assert shown.status in (0, 2), (words, shown)
        assert shown.status == 0 or shown.error["code"] == "CFG_VALUE"  # a TOML file cannot hold such a name


def test_e3_a_name_that_begins_like_an_option_is_quoted_or_taken_after_two_dashes(
    trained: Path, tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path / "-rf")
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


def test_e2_teeth_in_that_locale_a_text_is_no_utf8_unless_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "Онегин.txt").write_text("Мой дядя", encoding="utf-8")
    for how, status in (("", 1), (", encoding='utf-8'", 0)):
        code = f"import os, sys; open(os.fsencode(sys.argv[1]){how}).read()"
        command = [sys.executable, "-c", code, str(tmp_path / "Онегин.txt")]
        ended = subprocess.run(command, env=os.environ | ASCII_ONLY, capture_output=True)
        assert (ended.returncode, b"UnicodeDecodeError" in ended.stderr) == (status, bool(status))


def test_e3_teeth_without_quoting_control_characters_reach_the_terminal(
    groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundup.insight.doctor.quoted", lambda text: text)
    assert "\x07" not in groundup("doctor", "bell\x07").err  # whoever writes to the terminal looks once more
    monkeypatch.setattr("groundup.cli.terminal._acts", lambda character: False)
    assert "\x07" in groundup("doctor", "bell\x07").err


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
    if kind == "link to itself" and shown.error["code"] == "DATA_READ":
        return  # the reader of texts calls it a file that cannot be read
    assert shown.status == 2, shown
    codes = {"PATH", "PATH_KIND", "PATH_EXISTS", "PRESET"} if kind in GONE else {"PATH_KIND", "PATH_EXISTS"}
    assert shown.error["code"] in codes, shown


def test_e7_teeth_without_the_look_at_its_kind_a_device_is_read(
    groundup: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").symlink_to("/dev/null")
    words = ("train", "first-gpt", "--run-dir", tmp_path / "run", "--parts", tmp_path, "--json", *TINY)
    assert groundup(*words).error["code"] == "PATH_KIND"
    monkeypatch.setattr(files, "_require_regular", lambda *_: None)
    assert groundup(*words).error["code"] == "PARTS"


def test_e7_teeth_without_the_flag_of_the_open_a_pipe_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "it")
    with pytest.raises(OSError, match="no ordinary file"):
        files.open_regular(tmp_path / "it")
    monkeypatch.setattr(files, "NO_WAIT", 0)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(AssertionError, match="it waits"):
        files.open_regular(tmp_path / "it")
