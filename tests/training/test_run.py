"""A run as a whole: it learns, stops, goes on to the same bytes, and leaves a folder that says what happened."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from own_parts import RIGHT

from groundup.errors import BusyError, CheckpointError, ConfigError, DataError, DivergedError, Interrupted
from groundup.report import Report
from groundup.training import Parts, TrainConfig, load_config, train
from groundup.training.metrics import read_metrics
from groundup.training.run_directory import RunDirectory, next_free
from groundup.weights import load, load_tokenizer
from groundup.weights.checkpoint import load_checkpoint

SMALL = [
    "data.corpus=the-verdict", "model.vocab_size=300", "model.context_length=16", "model.n_layers=2",
    "model.d_model=16", "model.n_heads=2", "training.steps=20", "training.batch_size=4", "training.warmup_steps=2",
    "training.max_lr=0.01", "evaluation.every=8", "evaluation.batches=2", "evaluation.sample_tokens=2",
]  # fmt: skip
MUON = [
    "training.optimizer=muon", "model.position=rope", "model.norm=rms", "model.bias=false", "model.qk_norm=true",
    "model.feed_forward=relu2", "model.tie_embeddings=false", "model.dropout=0.1", "training.micro_batch_size=2",
]  # fmt: skip


class StopAt(Report):
    """Asks the process to stop, by a real signal, when a step is reached."""

    def __init__(self, step: int) -> None:
        self.at = step

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            os.kill(os.getpid(), signal.SIGTERM)


class Heard(Report):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.samples: list[str] = []
        self.steps: list[int] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def sample(self, step: int, text: str) -> None:
        self.samples.append(text)

    def step(self, row: Mapping[str, float]) -> None:
        self.steps.append(int(row["step"]))


def config(*settings: str) -> TrainConfig:
    return load_config("first-gpt", [*SMALL, *settings])


def state_id(run_dir: Path, step: int) -> str:
    return str(load_checkpoint(run_dir / "checkpoints" / f"step-{step:012d}").manifest["state_id"])


@pytest.fixture(scope="module", params=[[], MUON], ids=["adamw", "muon"])
def uninterrupted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    path = tmp_path_factory.mktemp("runs") / "whole"
    train(config(*request.param), path)
    return request.param, path


def test_a_run_learns_and_leaves_a_whole_folder(uninterrupted: tuple[list[str], Path]) -> None:
    _, path = uninterrupted
    rows = read_metrics(path / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, 21))
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert {"step", "tokens", "loss", "lr", "grad_norm", "tokens_per_s", "seconds"} <= rows[0].keys()
    assert "update_ratio" in rows[0]
    assert all(later["seconds"] > earlier["seconds"] for earlier, later in pairwise(rows))
    assert [row["step"] for row in rows if "val_bits_per_byte" in row] == [8, 16, 20]
    status = json.loads((path / "status.json").read_text())
    assert (status["state"], status["step"], status["exit_status"]) == ("done", 20, 0)
    assert (path / "loss.svg").read_text().startswith("<svg")
    assert {"config.toml", "run.json", "tokenizer", "samples", "checkpoints"} <= {item.name for item in path.iterdir()}


@pytest.mark.slow
def test_resuming_after_a_stop_at_any_of_five_random_steps_gives_the_same_bytes(
    uninterrupted: tuple[list[str], Path], tmp_path: Path
) -> None:
    settings, whole = uninterrupted
    seed = random.randrange(10**6)
    for stop in random.Random(seed).sample(range(1, 20), 5):
        path = tmp_path / f"stop-{stop}"
        with pytest.raises(Interrupted, match=f"stopped after step {stop}; the state is saved"):
            train(config(*settings), path, report=StopAt(stop))
        status = json.loads((path / "status.json").read_text())
        assert (status["state"], status["step"], status["saved"], status["exit_status"]) == (
            "interrupted",
            stop,
            True,
            130,
        )
        train(config(*settings), path, resume=True)
        assert state_id(path, 20) == state_id(whole, 20), f"seed {seed}, stop after {stop}"
        losses = [row["loss"] for row in read_metrics(path / "metrics.jsonl")]
        assert losses == [row["loss"] for row in read_metrics(whole / "metrics.jsonl")]


def test_the_same_config_file_repeats_the_run(uninterrupted: tuple[list[str], Path], tmp_path: Path) -> None:
    _, whole = uninterrupted
    train(load_config(str(whole / "config.toml")), tmp_path / "again")
    assert state_id(tmp_path / "again", 20) == state_id(whole, 20)


def test_an_own_train_step_resumes_with_what_it_kept(tmp_path: Path) -> None:
    (tmp_path / "my_llm").mkdir()
    (tmp_path / "my_llm" / "mine.py").write_text(RIGHT["train_step"])
    parts = Parts.from_folder(tmp_path / "my_llm")
    train(config(), tmp_path / "whole", parts=parts)
    with pytest.raises(Interrupted):
        train(config(), tmp_path / "stopped", parts=parts, report=StopAt(7))
    train(config(), tmp_path / "stopped", parts=parts, resume=True)
    assert state_id(tmp_path / "stopped", 20) == state_id(tmp_path / "whole", 20)


def test_a_trained_run_can_be_loaded_with_its_tokenizer(uninterrupted: tuple[list[str], Path]) -> None:
    _, path = uninterrupted
    model, tokenizer = load(path), load_tokenizer(path)
    ids = torch.tensor([tokenizer.encode("I had always")])
    assert model(ids).shape == (1, ids.shape[1], 300)


def test_another_seed_gives_another_run(uninterrupted: tuple[list[str], Path], tmp_path: Path) -> None:
    settings, whole = uninterrupted
    train(config(*settings, "training.seed=2"), tmp_path / "run")
    assert state_id(tmp_path / "run", 20) != state_id(whole, 20)


def test_a_run_directory_that_holds_a_run_is_not_overwritten(uninterrupted: tuple[list[str], Path]) -> None:
    settings, path = uninterrupted
    before = (path / "metrics.jsonl").read_bytes()
    with pytest.raises(ConfigError, match="already here") as caught:
        train(config(*settings), path)
    assert (caught.value.code, caught.value.status) == ("RUN_EXISTS", 2)
    assert (path / "metrics.jsonl").read_bytes() == before


def test_resume_refuses_another_config_and_names_the_key(uninterrupted: tuple[list[str], Path]) -> None:
    settings, path = uninterrupted
    with pytest.raises(ConfigError, match=r"training\.max_lr was 0\.01, now 0\.02") as caught:
        train(config(*settings, "training.max_lr=0.02"), path, resume=True)
    assert caught.value.code == "RUN_CONFIG"


def test_a_finished_run_goes_on_when_it_gets_more_steps(tmp_path: Path) -> None:
    train(config("training.schedule=constant"), tmp_path / "run")
    result = train(config("training.schedule=constant", "training.steps=24"), tmp_path / "run", resume=True)
    assert result.step == 24
    assert [row["step"] for row in read_metrics(tmp_path / "run" / "metrics.jsonl")] == list(range(1, 25))


def test_resume_refuses_other_data(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 60)
    train(config(f"data.train={text}", "training.steps=2"), tmp_path / "run")
    text.write_text("The quick brown fox jumps over the lazy cat. " * 60)
    with pytest.raises(ConfigError, match="data changed") as caught:
        train(config(f"data.train={text}", "training.steps=3"), tmp_path / "run", resume=True)
    assert caught.value.code == "RUN_DATA"


def test_resume_where_nothing_is_begins_a_run(tmp_path: Path) -> None:
    assert train(config("training.steps=2"), tmp_path / "run", resume=True).step == 2


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(tmp_path: Path) -> None:
    path, heard = tmp_path / "run", Heard()
    train(config("checkpoint.every=5", "checkpoint.keep=3"), path)
    newest = path / "checkpoints" / "step-000000000020" / "model.safetensors"
    data = bytearray(newest.read_bytes())
    data[len(data) // 2] ^= 1
    before = state_id(path, 20)
    newest.write_bytes(data)
    train(config("checkpoint.every=5", "checkpoint.keep=3"), path, resume=True, report=heard)
    assert any("model.safetensors" in warning for warning in heard.warnings)
    assert (path / "bad" / "step-000000000020" / "reason.txt").exists()
    assert heard.steps == [16, 17, 18, 19, 20]
    assert state_id(path, 20) == before


def test_a_run_whose_checkpoints_are_all_damaged_does_not_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "run"
    train(config(), path)
    for file in path.glob("checkpoints/*/optimizer.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CheckpointError) as caught:
        train(config(), path, resume=True)
    assert (caught.value.code, caught.value.status) == ("CKPT_NONE", 3)


def test_a_run_directory_in_use_is_refused(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "run"), pytest.raises(BusyError, match=f"pid {os.getpid()}") as caught:
        train(config(), tmp_path / "run")
    assert (caught.value.code, caught.value.status) == ("RUN_LOCKED", 3)


def test_missing_text_is_noticed_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        train(config(f"data.train={tmp_path / 'missing.txt'}"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_text_shorter_than_the_context_names_both_numbers(tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("ten tokens")
    with pytest.raises(DataError, match="one window takes 17") as caught:
        train(config(f"data.train={text}"), tmp_path / "run")
    assert caught.value.code == "DATA_SHORT"
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_saves_nothing_bad(tmp_path: Path) -> None:
    with pytest.raises(DivergedError) as caught:
        train(config("training.max_lr=1e30", "training.min_lr=0", "training.steps=60"), tmp_path / "run")
    assert caught.value.status == 3
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
    for path in (tmp_path / "run" / "checkpoints").glob("step-*"):
        assert all(tensor.isfinite().all() for tensor in load_checkpoint(path).model.values())


def test_a_time_budget_becomes_a_number_of_steps_that_a_resume_keeps(tmp_path: Path) -> None:
    path = tmp_path / "run"
    heard = Heard()
    settings = [setting for setting in SMALL if not setting.startswith("training.steps")]
    timed = load_config("first-gpt", [*settings, "training.seconds=0.5", "training.warmup_steps=20"])
    result = train(timed, path, report=heard)
    assert result.step > 20
    assert any("seconds are" in note for note in heard.notes)
    newest = load_checkpoint(path / "checkpoints" / f"step-{result.step:012d}")
    assert newest.state["total_steps"] == result.step
    shutil.rmtree(newest.path)
    assert train(timed, path, resume=True).step == result.step


def test_a_timed_run_is_repeated_by_its_config_file(tmp_path: Path) -> None:
    settings = [setting for setting in SMALL if not setting.startswith("training.steps")]
    timed = load_config("first-gpt", [*settings, "training.seconds=0.5", "training.warmup_steps=20"])
    result = train(timed, tmp_path / "run")
    again = train(load_config(str(tmp_path / "run" / "config.toml")), tmp_path / "again")
    assert again.step == result.step
    assert state_id(tmp_path / "again", result.step) == state_id(tmp_path / "run", result.step)


@pytest.mark.slow
def test_a_timed_run_that_is_stopped_before_its_steps_are_known_goes_on(tmp_path: Path) -> None:
    settings = [setting for setting in SMALL if not setting.startswith("training.steps")]
    timed = load_config("first-gpt", [*settings, "training.seconds=0.5", "training.warmup_steps=20"])
    for step in (3, 17, 19):
        with pytest.raises(Interrupted):
            train(timed, tmp_path / str(step), report=StopAt(step))
        assert train(timed, tmp_path / str(step), resume=True).step > 20


def test_a_refused_resume_leaves_the_status_as_it_was(tmp_path: Path) -> None:
    train(config("training.steps=2"), tmp_path / "run")
    before = (tmp_path / "run" / "status.json").read_bytes()
    with pytest.raises(ConfigError):
        train(config("training.steps=2", "training.max_lr=0.02"), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "status.json").read_bytes() == before


def test_bad_steps_are_left_out_where_that_is_allowed(tmp_path: Path) -> None:
    def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, ignore_index: int = -100) -> torch.Tensor:
        calls.append(1)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return loss * (math.nan if len(calls) in bad else 1.0)

    heard, bad = Heard(), {3, 4, 7}
    calls: list[int] = []
    parts = Parts(cross_entropy=cross_entropy)
    settings = ("training.steps=10", "evaluation.every=100")
    train(config(*settings, "training.skip_nonfinite=2"), tmp_path / "two", parts=parts, report=heard)
    assert [row["step"] for row in read_metrics(tmp_path / "two" / "metrics.jsonl")] == [1, 2, 5, 6, 8, 9, 10]
    assert len(heard.warnings) == 3
    calls.clear()
    with pytest.raises(DivergedError, match="loss is nan") as caught:
        train(config(*settings, "training.skip_nonfinite=1"), tmp_path / "one", parts=parts)
    assert caught.value.where.startswith("step 4, ")


def test_samples_are_told_and_kept(tmp_path: Path) -> None:
    heard = Heard()
    train(config("evaluation.samples_every=10"), tmp_path / "run", report=heard)
    kept = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in kept] == ["step-000000000010.txt", "step-000000000020.txt"]
    assert [path.read_text() for path in kept] == heard.samples


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns(precision: str, tmp_path: Path) -> None:
    train(config(f"training.precision={precision}"), tmp_path / "run")
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.5
    assert ("loss_scale" in rows[-1]) == (precision == "float16")


def test_micro_batches_change_the_loss_in_the_last_bits_only(tmp_path: Path) -> None:
    rows = []
    for size in (1, 2, 4):
        train(config(f"training.micro_batch_size={size}"), tmp_path / str(size))
        rows.append([row["loss"] for row in read_metrics(tmp_path / str(size) / "metrics.jsonl")])
    assert rows[0] == pytest.approx(rows[2], rel=1e-4)
    assert rows[1] == pytest.approx(rows[2], rel=1e-4)


def test_several_documents_are_read_from_json_lines(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Document {i} speaks of {i * i} and of {i + 7}. " * 8}) for i in range(20)]
    (tmp_path / "documents.jsonl").write_text("\n".join(lines))
    result = train(config(f"data.train={tmp_path / 'documents.jsonl'}", "training.steps=3"), tmp_path / "run")
    assert result.val_bits_per_byte > 0


def test_the_first_free_number_names_a_run(tmp_path: Path) -> None:
    (tmp_path / "first-gpt-001").mkdir()
    assert next_free(tmp_path, "first-gpt").name == "first-gpt-002"


@pytest.mark.slow
def test_a_second_process_is_refused_while_the_first_trains(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groundup", "train", "first-gpt", "--run-dir", str(tmp_path / "run")]
    command += [word for setting in [*SMALL, "training.steps=100000"] for word in ("--set", setting)]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for((tmp_path / "run" / "metrics.jsonl").exists)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (second.returncode, "RUN_LOCKED" in second.stderr) == (3, True)
        start = time.monotonic()
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=15) == 130
        assert time.monotonic() - start < 10
    finally:
        first.kill()
    assert json.loads((tmp_path / "run" / "status.json").read_text())["saved"] is True


def wait_for(happened: Callable[[], bool], seconds: float = 60) -> None:
    """Look for an event until it is there."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
