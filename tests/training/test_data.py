"""What a run reads: texts or shards, checked before anything is built (rows D1, D2, D4, D5, D6, R4 and R7)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from groundup.canonical_json import canonical_json, parse_sealed, sealed
from groundup.errors import CheckpointError, ConfigError, DataError, GroundupError
from groundup.report import Report
from groundup.text import Tokenizer, packaged, shards
from groundup.text.loader import Loader
from groundup.text.prepare import PrepareOptions, prepare
from groundup.training import Parts, load_config, run, train
from groundup.training.data import Shards, Texts, read_data
from groundup.training.run_directory import RunDirectory
from groundup.weights.checkpoint import load_checkpoint

TEXTS = packaged("the-verdict").train.split("\n\n")
TOKENIZER = Tokenizer.train(TEXTS, 300)
SMALL = [
    "model.vocab_size=300", "model.context_length=16", "model.n_layers=1", "model.d_model=16", "model.n_heads=2",
    "training.batch_size=4", "training.warmup_steps=2", "evaluation.batches=2", "evaluation.sample_tokens=2",
]  # fmt: skip
N_STEPS = 12


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_shards(tmp_path_factory.mktemp("shards"))


def make_shards(folder: Path, val_fraction: float = 0.2, tokenizer: Tokenizer = TOKENIZER) -> Path:
    (folder / "texts.jsonl").write_bytes(b"".join(canonical_json({"text": text}) for text in TEXTS))
    options = PrepareOptions(workers=0, shard_tokens=2000, val_fraction=val_fraction)
    prepare([str(folder / "texts.jsonl")], tokenizer, folder / "out", options)
    return folder / "out"


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "shards"))


def train_on(folder: Path | str, run_dir: Path, *settings: str, steps: int = N_STEPS, **more):
    names = [f'data.train=["{folder}"]', f"training.steps={steps}"]
    return train(load_config("first-gpt", [*SMALL, *names, *settings]), run_dir, **more)


def state_id(run_dir: Path, step: int = N_STEPS) -> str:
    return str(load_checkpoint(run_dir / "checkpoints" / f"step-{step:012d}").manifest["state_id"])


def refused(folder: Path | str, run_dir: Path, *settings: str, **more) -> GroundupError:
    with pytest.raises(GroundupError) as caught:
        train_on(folder, run_dir, *settings, **more)
    return caught.value


class StopAt(Report):
    """Asks the process to stop, by a real signal, when a step is reached."""

    def __init__(self, step: int) -> None:
        self.at, self.warnings = step, list[str]()

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] == self.at:
            os.kill(os.getpid(), signal.SIGTERM)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


# --- shards -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_0_1_and_4_workers_and_any_resume_read_the_same(prepared: Path, tmp_path: Path) -> None:
    for n_workers in (0, 1, 4):
        train_on(prepared, tmp_path / str(n_workers), f"data.workers={n_workers}")
    for stop in (1, 5, 8):
        path = tmp_path / f"stopped-{stop}"
        with pytest.raises(GroundupError):
            train_on(prepared, path, "data.workers=2", report=StopAt(stop))
        train_on(prepared, path, f"data.workers={stop % 2}", resume=True)  # their number decides nothing
        assert state_id(path) == state_id(tmp_path / "0")
    assert state_id(tmp_path / "1") == state_id(tmp_path / "4") == state_id(tmp_path / "0")


def test_shards_train_the_same_model_as_their_texts_in_memory(tmp_path: Path) -> None:
    folder = make_shards(tmp_path, val_fraction=0)
    TOKENIZER.save(tmp_path / "tokenizer")
    (tmp_path / "val.txt").write_text(TEXTS[0])
    texts = [f"data.tokenizer={tmp_path / 'tokenizer'}", f'data.val=["{tmp_path / "val.txt"}"]']
    train_on(tmp_path / "texts.jsonl", tmp_path / "a", *texts)
    held_out = tmp_path / "held out"
    prepare([str(tmp_path / "val.txt")], TOKENIZER, held_out, PrepareOptions(workers=0, val_fraction=0))
    result = train_on(folder, tmp_path / "b", f'data.val=["{held_out}"]')
    assert (
        load_checkpoint(tmp_path / "a" / "checkpoints" / f"step-{N_STEPS:012d}").manifest["files"]["model.safetensors"]
        == load_checkpoint(tmp_path / "b" / "checkpoints" / f"step-{N_STEPS:012d}").manifest["files"][
            "model.safetensors"
        ]
    )
    assert 0 < result.val_bits_per_byte < 20


def test_what_is_held_out_is_what_the_shards_hold_out_or_the_last_tenth(prepared: Path, tmp_path: Path) -> None:
    found = read_data(load_config("first-gpt", [f'data.train=["{prepared}"]']).data)
    assert isinstance(found, Shards)
    train_ids, val_ids = found.parts()
    assert len(val_ids) == sum(entry["n_tokens"] for entry in shards.open_shards(prepared).entries("val"))
    assert set(found.held_out_texts()) <= set(TEXTS)
    whole = read_data(load_config("first-gpt", [f'data.train=["{make_shards(tmp_path, 0)}"]']).data)
    assert isinstance(whole, Shards)
    first, rest = whole.parts()
    assert len(first) == int(0.9 * (len(first) + len(rest))) == int(0.9 * (len(train_ids) + len(val_ids)))


def test_shards_of_another_tokenizer_are_refused(prepared: Path, tmp_path: Path) -> None:
    Tokenizer.train(TEXTS[0], 280).save(tmp_path / "tokenizer")
    error = refused(prepared, tmp_path / "run", f"data.tokenizer={tmp_path / 'tokenizer'}")
    assert (error.code, error.status) == ("TOK_MATCH", 2)
    assert TOKENIZER.sha256 in error.what
    assert not (tmp_path / "run").exists()


def test_shards_and_texts_are_not_mixed(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ConfigError):
        read_data(load_config("first-gpt", [f'data.train=["{prepared}", "{tmp_path / "a.txt"}"]']).data)
    whole = make_shards(tmp_path, 0)
    with pytest.raises(ConfigError, match="holds nothing out"):
        read_data(load_config("first-gpt", [f'data.train=["{whole}"]', f'data.val=["{whole}"]']).data)


def test_a_text_in_memory_needs_no_workers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(TEXTS))
    notes: list[str] = []
    report = type("Notes", (Report,), {"note": lambda self, text: notes.append(text)})()
    train_on(tmp_path / "a.txt", tmp_path / "run", "data.workers=2", report=report)
    assert any("data.workers" in note for note in notes)


# --- faults in the data -------------------------------------------------------------------------------------------


def test_d1_an_empty_text_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    error = refused(tmp_path / "a.txt", tmp_path / "run")
    assert (error.code, error.status) == ("DATA_EMPTY", 3)
    assert not (tmp_path / "run").exists()


def test_d2_a_text_shorter_than_a_window_leaves_no_run_behind(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ten tokens")
    error = refused(tmp_path / "a.txt", tmp_path / "runs" / "run", "model.context_length=256")
    assert (error.code, error.status) == ("DATA_SHORT", 3)
    assert " 7 tokens" in error.what and "257" in error.what
    assert not (tmp_path / "runs" / "run").exists()


def test_d2_a_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ten tokens")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    refused(tmp_path / "a.txt", tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").exists()


def test_d2_teeth_without_the_clearing_up_the_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunDirectory, "discard", lambda self: None)
    (tmp_path / "a.txt").write_text("ten tokens")
    refused(tmp_path / "a.txt", tmp_path / "run")
    assert (tmp_path / "run").exists()


def test_d4_a_cut_shard_never_trains(folder: Path, tmp_path: Path) -> None:
    path = folder / "train-000001.bin"
    path.write_bytes(path.read_bytes()[:-3])
    error = refused(folder, tmp_path / "run")
    assert (error.code, error.status) == ("DATA_SIZE", 3)
    assert not (tmp_path / "run").exists()


def test_d5_an_id_beyond_the_vocabulary_is_found_before_the_first_step(folder: Path, tmp_path: Path) -> None:
    put(folder / "train-000001.bin", 7, 300)
    seal_again(folder)
    error = refused(folder, tmp_path / "run", "model.vocab_size=400")  # the model even has a row for it
    assert (error.code, error.status) == ("DATA_TOKEN", 3)
    assert "token 7 is 300" in error.what and "train-000001.bin" in error.where
    assert not (tmp_path / "run").exists()


def test_d5_teeth_without_the_scan_it_is_an_index_error(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "train-000001.bin", 7, 300)
    monkeypatch.setattr(shards.ShardFolder, "scan", lambda self, split, check: iter(()))
    with pytest.raises(IndexError):
        train_on(folder, tmp_path / "run", steps=400)


def test_a_damaged_shard_is_refused_by_a_new_run(folder: Path, tmp_path: Path) -> None:
    put(folder / "train-000001.bin", 7, 65)
    error = refused(folder, tmp_path / "run")
    assert (error.code, error.status) == ("DATA_HASH", 3)
    assert not (tmp_path / "run").exists()


def test_d6_changed_shards_stop_a_resume_unless_they_are_accepted(folder: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    train_on(folder, run_dir)
    before = (run_dir / "status.json").read_text()
    put(folder / "train-000001.bin", 7, 65)
    error = refused(folder, run_dir, steps=20, resume=True)
    assert (error.code, error.status) == ("RUN_DATA", 2)
    assert "sha256 was" in error.what and "now" in error.what and "--accept-new-data" in error.fix
    assert (run_dir / "status.json").read_text() == before
    report = StopAt(0)
    train_on(folder, run_dir, steps=20, resume=True, accept_new_data=True, report=report)
    assert any("data changed" in warning for warning in report.warnings)
    assert error.what.rpartition("now ")[2] in (run_dir / "accepted-data.json").read_text()
    train_on(folder, run_dir, steps=24, resume=True)  # they count from now on


def test_d6_a_changed_text_stops_a_resume_unless_it_is_accepted(tmp_path: Path) -> None:
    path, run_dir = tmp_path / "a.txt", tmp_path / "run"
    path.write_text("\n\n".join(TEXTS))
    train_on(path, run_dir)
    path.write_text("\n\n".join(TEXTS).replace("Gisburn", "Gisborn"))
    assert refused(path, run_dir, steps=20, resume=True).code == "RUN_DATA"
    train_on(path, run_dir, steps=20, resume=True, accept_new_data=True)


def test_d6_teeth_without_the_hash_of_the_bytes_the_change_goes_unnoticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_on(folder, tmp_path / "run")
    put(folder / "train-000001.bin", 7, 65)
    scan = shards.ShardFolder.scan
    monkeypatch.setattr(
        shards.ShardFolder,
        "scan",
        lambda self, split, check: ((entry, entry["sha256"]) for entry, _ in scan(self, split, check)),
    )
    train_on(folder, tmp_path / "run", steps=20, resume=True)


def put(path: Path, place: int, i: int) -> None:
    """Put another id into a shard."""
    data = bytearray(path.read_bytes())
    assert data[2 * place : 2 * place + 2] != i.to_bytes(2, "little")
    data[2 * place : 2 * place + 2] = i.to_bytes(2, "little")
    path.write_bytes(data)


def seal_again(folder: Path) -> None:
    """Make the index believe in the shards as they are."""
    import hashlib

    index = parse_sealed((folder / "index.json").read_bytes())
    assert index is not None
    del index["self"]
    for split in shards.SPLITS:
        for entry in index["splits"][split]:
            entry["sha256"] = hashlib.sha256((folder / entry["name"]).read_bytes()).hexdigest()
    (folder / "index.json").write_bytes(canonical_json(sealed(index)))


# --- workers that die ---------------------------------------------------------------------------------------------


class KillWorkers(Report):
    """Kills a data worker when certain steps are reached."""

    def __init__(self, *steps: int) -> None:
        self.steps, self.loader, self.warnings = set(steps), None, list[str]()

    def step(self, row: Mapping[str, float]) -> None:
        if row["step"] in self.steps:
            assert self.loader is not None
            os.kill(self.loader.workers[0].pid, signal.SIGKILL)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch):
    """Lets a report know the loader of the run that it hears of."""

    def watch(report: KillWorkers) -> KillWorkers:
        def made(*arguments: object) -> Loader:
            report.loader = Loader(*arguments)
            return report.loader

        monkeypatch.setattr(run, "Loader", made)
        return report

    return watch


def test_r7_one_dead_worker_changes_nothing_and_a_second_ends_the_run_with_a_save(
    prepared: Path, tmp_path: Path, watched
) -> None:
    train_on(prepared, tmp_path / "whole")
    report = watched(KillWorkers(4))
    train_on(prepared, tmp_path / "once", "data.workers=2", report=report)
    assert len(report.warnings) == 1
    assert state_id(tmp_path / "once") == state_id(tmp_path / "whole")

    error = refused(prepared, tmp_path / "twice", "data.workers=1", report=watched(KillWorkers(2, 7)))
    assert (error.code, error.status) == ("WORKER_LOST", 3)
    status = json.loads((tmp_path / "twice" / "status.json").read_text())
    assert status["state"] == "failed" and status["error"]["code"] == "WORKER_LOST"
    assert status["saved_step"] == status["step"] >= 7
    assert (tmp_path / "twice" / "checkpoints" / f"step-{status['step']:012d}").exists()
    train_on(prepared, tmp_path / "twice", "data.workers=1", resume=True)
    assert state_id(tmp_path / "twice") == state_id(tmp_path / "whole")


RUN = """
import sys
from groundup.training import load_config, train
train(load_config("first-gpt", sys.argv[2:]), sys.argv[1], resume=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_r4_a_killed_run_leaves_no_process_and_a_free_lock(prepared: Path, tmp_path: Path) -> None:
    settings = [*SMALL, f'data.train=["{prepared}"]', "training.steps=100000", "data.workers=3", "checkpoint.every=5"]
    process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path / "run"), *settings])
    end = time.monotonic() + 120
    while not list((tmp_path / "run").glob("checkpoints/step-*")) and time.monotonic() < end:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) == 3
    process.kill()
    process.wait()
    end = time.monotonic() + 2
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < end:
        time.sleep(0.02)
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    with RunDirectory(tmp_path / "run") as run:  # which takes the lock
        assert run.was_there
    last = max(int(path.name[5:]) for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    train_on(prepared, tmp_path / "run", "checkpoint.every=5", resume=True, steps=last + 2)
    assert (tmp_path / "run" / "checkpoints" / f"step-{last + 2:012d}").exists()


# --- documents ----------------------------------------------------------------------------------------------------

MASK = "data.documents=mask"


def test_masked_documents_train_another_model_the_same_with_fast_and_plain_parts(
    prepared: Path, tmp_path: Path
) -> None:
    losses = {
        name: train_on(prepared, tmp_path / name, *settings).loss
        for name, settings in {
            "cross": [],
            "fast": [MASK],
            "plain": [MASK, "training.parts=plain"],
        }.items()
    }
    assert losses["fast"] == pytest.approx(losses["plain"], abs=1e-5)
    assert abs(losses["fast"] - losses["cross"]) > 1e-5


def test_masked_documents_need_a_token_that_ends_them(tmp_path: Path) -> None:
    Tokenizer.train(TEXTS, 300, specials=()).save(tmp_path / "tokenizer")
    (tmp_path / "a.txt").write_text("\n\n".join(TEXTS))
    error = refused(tmp_path / "a.txt", tmp_path / "run", MASK, f"data.tokenizer={tmp_path / 'tokenizer'}")
    assert (error.code, error.status) == ("CFG_VALUE", 2) and "data.documents" in error.where


@pytest.mark.parametrize("part", ["multi_head_attention", "transformer_block", "gpt_forward", "train_step"])
def test_an_own_composite_part_contradicts_masked_documents(part: str) -> None:
    def own(*arguments: object, dropout: float = 0.0, generator: torch.Generator | None = None) -> None:
        """Never called."""

    with pytest.raises(ConfigError, match=r"data\.documents"):
        Parts(**{part: own}).check(load_config("first-gpt", [MASK]))
    Parts(**{part: own}).check(load_config("first-gpt"))


def test_texts_are_read_as_before() -> None:
    assert isinstance(read_data(load_config("first-gpt").data), Texts)
    with pytest.raises(DataError):
        read_data(load_config("first-gpt", ["data.train=nothing.txt"]).data)


@pytest.mark.parametrize("kind", ["pipe", "folder", "nested", "too long"])
def test_accepted_data_that_are_no_table_are_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "accepted-data.json"
    make = {
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "nested": lambda path: path.write_text("[" * 100_000),
        "too long": lambda path: path.write_text("[" + " " * (1 << 20) + "]"),
    }
    assert RunDirectory(tmp_path)._accepted_data() == []
    make[kind](path)
    with pytest.raises(CheckpointError) as caught:
        RunDirectory(tmp_path)._accepted_data()
    assert (caught.value.code, caught.value.status) == ("RUN_JSON", 3)
