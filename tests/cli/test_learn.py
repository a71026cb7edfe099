"""`groundup learn`: a sitting at a terminal, and the commands around it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import Run

from groundup.cli.check import say_answer
from groundup.path.answer import Answer, Found
from groundup.path.catalog import catalog
from groundup.path.texts import units
from groundup.path.workspace import PROGRESS, read_progress

pytestmark = pytest.mark.usefixtures("english")
RIGHT = "    y = x @ weight.T\n    return y if bias is None else y + bias\n"
WRONG = "    return x @ weight.T\n"


@pytest.fixture
def workspace(tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    assert groundup("learn", "init", tmp_path / "my_llm").status == 0
    monkeypatch.chdir(tmp_path / "my_llm")
    return tmp_path / "my_llm"


def write_linear(workspace: Path, body: str) -> None:
    path = workspace / catalog()["linear"].file
    text = path.read_text()
    path.write_text(
        re.sub(r'    raise NotImplementedError\("linear"\)\n|    (y|return) [^#]*?(?=\n\ndef )', body, text, count=1)
    )


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        import pty

        ours, theirs = pty.openpty()
        environment = os.environ | {
            "TERM": "xterm",
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "groundup", *words],
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        )
        os.close(theirs)
        self.terminal, self.seen, self.at = ours, "", 0
        os.set_blocking(ours, False)

    def wait_for(self, text: str, seconds: float = 60) -> float:
        """Read until the text has come, after what was waited for before; returns how long that took."""
        start = time.monotonic()
        while (found := self.seen.find(text, self.at)) < 0:
            assert time.monotonic() - start < seconds, self.seen[self.at :]
            try:
                self.seen += os.read(self.terminal, 65536).decode("utf-8", "replace")
            except BlockingIOError:
                time.sleep(0.02)
        self.at = found + len(text)
        return time.monotonic() - start

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_a_sitting_from_one_unit_to_the_next(workspace: Path) -> None:
    terminal = Terminal(workspace, "learn", "--unit", "linear")
    terminal.wait_for("predict")
    terminal.wait_for("> ")
    terminal.type("3\n")
    terminal.wait_for("[h]int")
    terminal.type("h")
    terminal.wait_for("hint 1 of 3")
    terminal.wait_for("[q]uit")
    write_linear(workspace, WRONG)
    terminal.wait_for("change seen at")
    terminal.wait_for("the bias is left out")
    terminal.wait_for("[q]uit")
    write_linear(workspace, RIGHT)
    seconds = terminal.wait_for("linear: right")
    assert seconds < 5  # a second on a quiet machine
    terminal.wait_for("Something to try")
    terminal.wait_for("[c]ompare")
    terminal.type("c")
    terminal.wait_for("the library")
    terminal.wait_for("[q]uit")
    terminal.type("n")
    terminal.wait_for(units()["softmax"].title("en"))
    terminal.wait_for("> ")
    terminal.type("\n")
    terminal.wait_for("[q]uit")
    terminal.type("b")
    terminal.wait_for("borrowed for now")
    terminal.wait_for("> ")
    terminal.type("\n")
    terminal.wait_for("[q]uit")
    terminal.type("l")
    terminal.wait_for("parts are your own")
    terminal.type("q")
    assert terminal.process.wait(20) == 0
    os.close(terminal.terminal)


def test_away_from_a_terminal_it_shows_the_unit_and_the_verdicts(workspace: Path, groundup: Run) -> None:
    outcome = groundup("learn")
    assert outcome.status == 0
    assert f"# {units()[next(iter(units()))].title('en')}" in outcome.out


def test_any_unit_can_be_opened_in_any_order(workspace: Path, groundup: Run) -> None:
    outcome = groundup("learn", "--unit", "split_heads")
    assert f"# {units()['heads'].title('en')}" in outcome.out
    assert f"# {units()['heads'].title('en')}" in groundup("learn").out  # and is where one goes on
    assert groundup("learn", "--unit", "nothing").status == 2


def test_the_map_the_path_and_the_plan(workspace: Path, groundup: Run) -> None:
    assert set(groundup("learn", "status", "--json").json) == set(catalog())
    assert "lent: a stub" in groundup("learn", "status").out
    path = groundup("learn", "path", "--json").json
    assert [row["unit"] for row in path] == list(units())
    assert all(5 <= row["minutes"] <= 40 for row in path)
    by_section = groundup("learn", "path", "--book").out.splitlines()
    assert by_section[1].startswith("2.")
    assert not by_section[-1][0].isdigit() or by_section[-1] > by_section[1]
    plan = groundup("learn", "plan", "--weeks", "2").out
    assert "hours in all" in plan


def test_show_hint_and_compare(workspace: Path, groundup: Run) -> None:
    assert groundup("learn", "show", "softmax").out.startswith("# ")
    assert "hint 1 of 3" in groundup("learn", "hint", "softmax").out
    assert "hint 2 of 3" in groundup("learn", "hint", "softmax").out
    refused = groundup("learn", "compare", "linear")
    assert refused.status == 2
    assert "not right yet" in refused.err


def test_reset_keeps_what_was_written(workspace: Path, groundup: Run) -> None:
    write_linear(workspace, RIGHT)
    assert "kept in" in groundup("learn", "reset", "linear").out
    (kept,) = (workspace / "kept").iterdir()
    assert "y + bias" in kept.read_text()


def test_a_check_of_everything_never_says_nothing(workspace: Path, groundup: Run) -> None:
    fresh = groundup("check")
    assert (fresh.status, "Nothing is written yet: " in fresh.out) == (1, True)
    path = workspace / catalog()["linear"].file
    path.write_text(path.read_text() + "def broken(:\n")
    broken = groundup("check")
    assert broken.status == 1
    assert broken.out.count("not valid Python") == 1
    assert "Why, with a hint: groundup check" in broken.out


def test_a_stub_and_a_forgotten_return_are_named(workspace: Path, groundup: Run) -> None:
    assert "in place of `raise NotImplementedError`" in groundup("check", "linear").out
    write_linear(workspace, "    y = x @ weight.T\n")
    assert "Nothing is returned" in groundup("check", "linear").out


def test_mistakes_that_cannot_be_told_apart_are_not_all_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    two = [Found(name, False, f"this is {name}", "", "", "") for name in ("one", "two")]
    say_answer(Answer("linear", False, False, "wrong", tuple(two)))
    assert capsys.readouterr().out.count("leaves open which") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_a_prediction_is_seen_as_it_is_typed_and_may_be_left_out(workspace: Path) -> None:
    terminal = Terminal(workspace, "learn")
    terminal.wait_for("> ")
    terminal.type("\x04")  # the end of the input
    terminal.wait_for("[q]uit")
    terminal.type("b")
    terminal.wait_for("> ")
    time.sleep(0.2)
    terminal.type("many\n")
    terminal.wait_for("many")
    terminal.wait_for("not a number")
    terminal.wait_for("> ")
    time.sleep(0.2)
    terminal.type("9\x7f0.1\n")  # with a correction
    terminal.wait_for("[q]uit")
    terminal.type("q")
    assert terminal.process.wait(20) == 0
    os.close(terminal.terminal)
    assert read_progress(workspace / PROGRESS).predictions[list(units())[1]] == 0.1


def test_beginning_in_the_middle_of_the_book(tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert groundup("learn", "init", tmp_path / "late", "--from-chapter", "3").status == 0
    monkeypatch.chdir(tmp_path / "late")
    assert groundup("learn").status == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["learn", "show", "nothing"], "there is no unit"),
        (["learn", "reset", "nothing"], "there is no unit"),
        (["learn", "plan", "--weeks", "0"], "--weeks"),
        (["learn", "dance"], "no command"),
        (["check", "softmaxx"], "did you mean softmax?"),
        (["check", "softmax", "--file", "missing.py"], "there is no file"),
    ],
)
def test_a_wrong_request_is_one_clear_line(workspace: Path, groundup: Run, words: list[str], said: str) -> None:
    outcome = groundup(*words)
    assert outcome.status == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_outside_of_a_workspace_it_says_how_to_make_one(
    tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["learn"], ["learn", "status"], ["check"], ["check", "softmax"]):
        outcome = groundup(*words)
        assert outcome.status == 2
        assert "groundup learn init" in outcome.err


def test_placement_names_the_units_of_what_was_answered_wrong(
    workspace: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("43\n60\n12\n0.6\n\n7\n2.5\n"))  # the chain rule is left out
    out = groundup("learn", "placement").out
    assert "6 of 7 are right" in out
    assert "Begin with these units of stage 0: backpropagate, tiny_network" in out
    states = groundup("learn", "status", "--json").json
    assert (states["backpropagate"], states["matrix_multiply"]) == ("lent", "placed")
    asked = groundup("learn", "placement", "--json").json
    assert [one["answer"] for one in asked][:2] == [43, 60]
    task = groundup("learn", "placement", "--stage", "2")
    assert task.status == 1
    assert "multi_head_attention" in task.out


def test_talk_says_how_much_runs_through_one_s_own_code(workspace: Path, groundup: Run) -> None:
    nobody = groundup("learn", "talk", "--json").json
    assert (nobody["share"], nobody["own"]) == (0, [])
    write_linear(workspace, RIGHT)
    assert groundup("learn", "talk", "--json").json["share"] == 0  # it has not been checked yet
    assert groundup("check", "linear").status == 0
    mine = groundup("learn", "talk", "--json").json
    assert mine["text"] == nobody["text"]
    assert mine["share"] > 0.8
    assert list(mine["by_part"]) == mine["own"] == ["linear"]
    assert "of its multiplications now run through your code" in groundup("learn", "talk", "JULIET:").out


@pytest.mark.slow
def test_a_tokenizer_s_payoff_cuts_two_scripts_and_a_text_of_one_s_own(
    workspace: Path, groundup: Run, tmp_path: Path
) -> None:
    own = tmp_path / "日记.txt"
    own.write_text("Dear diary, dear diary. " * 50, encoding="utf-8")
    cuts = groundup("learn", "payoff", "1", "--text", own, "--json").json
    assert [cut["learnt_from"] for cut in cuts] == ["english", "chinese", own.name]
    assert all(cut["same"] for cut in cuts)
    english, chinese, mine = (cut["bytes_per_token"] for cut in cuts)
    assert english["english"] > 1.5
    assert english["chinese"] == 1  # byte by byte
    assert chinese["chinese"] > 1.3 > chinese["english"]
    assert mine[own.name] > 3
    assert "│" in groundup("learn", "payoff", "1").out


@pytest.mark.slow
def test_the_payoffs_of_the_later_stages(workspace: Path, groundup: Run) -> None:
    noise = groundup("learn", "payoff", "3", "--json").json
    assert noise["n_counted"] == noise["n_parameters"] == 124_439_808
    assert abs(noise["loss"] - noise["of_guessing"]) < 1.5
    voices = groundup("learn", "payoff", "5", "--json").json
    assert {"greedy", "top-p 0.9", "beam 4"} <= {one["name"] for one in voices["written"]}
    tree = voices["tree"]
    depth = 0
    while tree["children"]:
        tree = max(tree["children"].values(), key=lambda child: child["best"])
        depth += 1
    assert depth == 6
    assert tree["best"]
