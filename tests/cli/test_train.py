"""`groundup train`."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from command_line import TINY, Run

from groundup.cli.train import run_name
from groundup.training import preset_names

OWN_SOFTMAX = "import torch\n\ndef softmax(x, dim=-1):\n    return torch.softmax(x, dim)\n"


def test_a_run_tells_its_story_and_what_to_try_next(tmp_path: Path, groundup: Run) -> None:
    run = tmp_path / "a run"
    shown = groundup("train", "first-gpt", "--run-dir", run, *TINY)
    assert shown.status == 0, shown.err
    assert "parameters learn from" in shown.out
    assert "step           4/4  loss" in shown.out
    assert "bits per byte" in shown.out
    assert "a sample after step 4:" in shown.out
    assert "training loss\n" in shown.out
    assert f"everything is in {run}; the curve as a picture: {run / 'loss.svg'}" in shown.out
    assert (run / "loss.svg").exists()
    commands = [line.strip() for line in shown.out.splitlines() if line.startswith("    groundup ")]
    assert commands == [
        f"groundup generate '{run}' 'I had always thought' --temperature 0.8",
        f"groundup generate '{run}' 'I had always thought' --compare",
        # Not the preset: that would be another text, and other sizes.
        f"groundup train '{run / 'config.toml'}' --set training.steps=8",
    ]


def test_with_json_stdout_is_the_result_alone(tmp_path: Path, groundup: Run) -> None:
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", "--json", *TINY)
    answer = shown.json
    assert answer["run_dir"] == str(tmp_path / "run")
    assert answer["step"] == 4
    assert 0 < answer["val_bits_per_byte"] < 20
    assert set(answer) == {"run_dir", "step", "loss", "val_bits_per_byte", "seconds", "parameters"}
    assert "step" in shown.err


def test_without_a_run_dir_runs_are_numbered(tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        answer = groundup("train", "first-gpt", "--json", *TINY).json
        assert answer["run_dir"] == f"runs/first-gpt-00{number}"
    # The resolved config repeats the run, under the same name.
    again = groundup("train", "runs/first-gpt-001/config.toml", "--json").json
    assert again["run_dir"] == "runs/first-gpt-003"
    metrics = [json.loads(line)["loss"] for line in Path("runs/first-gpt-001/metrics.jsonl").read_text().splitlines()]
    assert again["loss"] == metrics[-1]


def test_a_run_that_was_stopped_while_it_measured_is_measured_on_resume(
    tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def interrupted(*given: object) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        check = cast("Callable[[], None]", given[-1])
        check()
        raise AssertionError("the measurement went on")

    with monkeypatch.context() as context:
        context.setattr("groundup.training.loop.held_out_bits", interrupted)
        assert groundup("train", "first-gpt", "--run-dir", run, *TINY).status == 130
    shown = groundup("train", "--run-dir", run, "--resume")
    assert shown.status == 0, shown.err
    assert "step           1/4  held-out text:" in shown.out
    assert " of training, 0:0" in shown.out  # and how long it took in all


def test_a_finished_run_goes_on_when_given_more_steps(tmp_path: Path, groundup: Run) -> None:
    run = tmp_path / "run"
    assert groundup("train", "first-gpt", "--run-dir", run, *TINY).status == 0
    # --resume alone takes the run's own config.
    shown = groundup("train", "--run-dir", run, "--resume", "--set", "training.steps=6", "--json")
    assert shown.status == 0, shown.out
    assert shown.json["step"] == 6


def test_resume_starts_where_nothing_is(tmp_path: Path, groundup: Run) -> None:
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", "--resume", "--json", *TINY)
    assert shown.json["step"] == 4


def test_own_parts_train_the_first_gpt(tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my llm"
    folder.mkdir()
    (folder / "attention.py").write_text(OWN_SOFTMAX + "\ndef causal_mask(T, device=None):\n    ...\n")
    shown = groundup("train", "--parts", folder, "--run-dir", tmp_path / "run", *TINY)
    assert shown.status == 0, shown.err
    assert "own parts: softmax" in shown.out
    assert "lent parts: causal_mask" in shown.out
    assert f"--parts '{folder}'" in shown.out


def test_numpy_trains_with_gradients_by_hand_and_an_own_one_among_them(tmp_path: Path, groundup: Run) -> None:
    settings = (*TINY, "--set", "training.parts=numpy", "--json")
    by_torch = groundup("train", "first-gpt", "--run-dir", tmp_path / "torch", *TINY, "--json").json
    by_hand = groundup("train", "first-gpt", "--run-dir", tmp_path / "numpy", *settings).json
    assert by_hand["loss"] == pytest.approx(by_torch["loss"], rel=1e-5)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "back.py").write_text(
        "def softmax_backward(dy, y):\n    return y * (dy - (dy * y).sum(-1, keepdims=True))\n"
    )
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "own", "--parts", folder, *settings)
    assert "own parts: softmax_backward" in shown.err
    assert shown.json["loss"] == pytest.approx(by_hand["loss"], rel=1e-5)


def test_numpy_refuses_what_it_has_no_place_for(tmp_path: Path, groundup: Run) -> None:
    settings = ("--set", "training.parts=numpy", "--set", "model.dropout=0.1")
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", *TINY, *settings)
    assert shown.status == 2
    assert "training.parts = 'numpy' needs model.dropout = 0.0, not 0.1" in shown.err


def test_a_fault_in_an_own_part_names_its_line(tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "attention.py").write_text("def softmax(x, dim=-1):\n    return x.soft_max(dim)\n")
    shown = groundup("train", "--parts", folder, "--run-dir", tmp_path / "run", *TINY)
    assert shown.status == 2
    first, where, *_rest = shown.err.splitlines()
    assert first == "error: your softmax failed: AttributeError: 'Tensor' object has no attribute 'soft_max' [PARTS]"
    assert where == f"  where: {folder / 'attention.py'} line 2"
    # The run remembers it in the same words, so that the doctor can name the line too.
    told = json.loads((tmp_path / "run" / "status.json").read_text())["error"]
    assert told["code"] == "PARTS"
    assert told["where"] == f"{folder / 'attention.py'} line 2"
    assert groundup("doctor", tmp_path / "run").out.count("mend that line") == 1


def test_a_part_that_gives_something_else_is_no_fault_of_the_library(tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "feedforward.py").write_text("def gelu(x):\n    return x.sum()\n")
    shown = groundup("train", "--parts", folder, "--run-dir", tmp_path / "run", *TINY)
    assert shown.err.startswith("error: with your own gelu it broke: RuntimeError")
    traceback = shown.err.splitlines()[1].removeprefix("  where: ")
    assert "feed_forward" in Path(traceback).read_text()
    assert json.loads((tmp_path / "run" / "status.json").read_text())["error"]["code"] == "PARTS"


def test_a_run_of_own_parts_says_so_when_it_goes_on_without_them(tmp_path: Path, groundup: Run) -> None:
    folder = tmp_path / "my_llm"
    folder.mkdir()
    (folder / "attention.py").write_text(OWN_SOFTMAX)
    run = tmp_path / "run"
    groundup("train", "--parts", folder, "--run-dir", run, *TINY)
    resume = ("--run-dir", run, "--resume", "--set")
    without = groundup("train", *resume, "training.steps=6")
    assert "without --parts DIR the library's run in their place" in without.err
    (folder / "attention.py").write_text(OWN_SOFTMAX + "\n# another one\n")
    other = groundup("train", "--parts", folder, *resume, "training.steps=8")
    assert "from this step on, those of --parts are at work" in other.err


def test_what_the_run_itself_has_to_say_is_chinese_too(tmp_path: Path, groundup: Run) -> None:
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", *TINY, "--lang", "zh")
    assert "4 步不超过 80 步的预热：学习率只会上升" in shown.out
    assert "第 4 步后的样文：\n" in shown.out
    again = groundup("train", "--resume", "--run-dir", tmp_path / "run", "--lang", "zh")
    assert "要继续，请加上 --set training.steps=8" in again.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--set", "training.max_lrr=1"], "CFG_KEY", "did you mean training.max_lr?"),
        (["--set", "training.max_lr=-1"], "CFG_VALUE", "training.max_lr is -1"),
        (["--set", "max_lr"], "CFG_KEY", "write --set section.key=value"),
        (["shakespear"], "PRESET", "did you mean shakespeare?"),
        (["nowhere.toml"], "PATH", "nowhere.toml does not exist"),
        (["--resume"], "CLI_USAGE", "name it with --run-dir"),
        (["--parts", "nowhere"], "PATH", "nowhere is no folder of parts"),
        (["--set", "data.train=nowhere.txt"], "PATH", "where: nowhere.txt"),
    ],
)
def test_a_wrong_request_is_status_2_and_leaves_nothing(
    words: list[str], code: str, said: str, *, tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = groundup("train", *words)
    assert shown.status == 2
    assert f"[{code}]" in shown.err.splitlines()[0]
    assert said in shown.err
    assert not (tmp_path / "runs").exists()


def test_an_existing_run_is_not_overwritten(trained: Path, groundup: Run) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*.safetensors")}
    shown = groundup("train", "first-gpt", "--run-dir", trained, *TINY)
    assert shown.status == 2
    assert shown.err.splitlines() == [
        "error: a run is already here [RUN_EXISTS]",
        f"  where: {trained}",
        "  fix:   add --resume, or name another folder",
    ]
    assert {path: path.read_bytes() for path in trained.rglob("*.safetensors")} == before


def test_a_missing_device_is_status_3(tmp_path: Path, groundup: Run) -> None:
    shown = groundup("train", "first-gpt", "--run-dir", tmp_path / "run", *TINY, "--set", "training.device=cuda:99")
    assert shown.status == 3
    assert "[DEVICE]" in shown.err


def test_the_help_names_every_preset(groundup: Run) -> None:
    shown = groundup("train", "--help").out
    for name in preset_names():
        assert name in shown


def test_a_run_is_named_after_what_it_trains() -> None:
    assert run_name("shakespeare") == "shakespeare"
    assert run_name("configs/small.toml") == "small"
    assert run_name("runs/shakespeare-007/config.toml") == "shakespeare"


def test_an_own_part_that_gives_something_else_is_no_bug_of_ours(tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "mine.py").write_text("def layer_norm(x, weight, bias, eps=1e-5):\n    return x[..., :3]\n")
    shown = groundup("train", "first-gpt", "--parts", tmp_path, "--run-dir", tmp_path / "run", *TINY)
    assert shown.status == 2
    assert "with your own layer_norm it broke" in shown.err and "[PARTS]" in shown.err
    assert "report this" not in shown.err


def test_an_own_part_that_takes_other_arguments_is_refused_before_the_run_begins(tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "mine.py").write_text("\ndef layer_norm(x):\n    return x\n")
    shown = groundup("train", "first-gpt", "--parts", tmp_path, "--run-dir", tmp_path / "run", *TINY)
    assert (shown.status, (tmp_path / "run").exists()) == (2, False)
    assert shown.err.splitlines() == [
        "error: your layer_norm takes (x): too many positional arguments [PARTS]",
        f"  where: {tmp_path / 'mine.py'} line 2",
        "  fix:   let it take layer_norm(x, weight, bias=None, eps=1e-05)",
    ]


@pytest.mark.parametrize("command", ["train first-gpt", "generate RUN I", "eval RUN"])
def test_a_folder_with_no_part_but_one_that_is_misspelt_is_refused(
    command: str, tmp_path: Path, trained: Path, groundup: Run
) -> None:
    (tmp_path / "mine.py").write_text("def sofmax(x, dim=-1):\n    return x\n")
    words = [trained if word == "RUN" else word for word in command.split()]
    shown = groundup(*words, "--parts", tmp_path)
    assert (shown.status, shown.out) == (2, "")
    assert f"there is no part in {tmp_path}; sofmax ({tmp_path / 'mine.py'} line 1) is not" in shown.err
    assert "did you mean softmax? [PARTS]" in shown.err
