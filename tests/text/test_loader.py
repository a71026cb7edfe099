"""Batches read ahead are those that would be read here, with any number of workers (row R7)."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.canonical_json import canonical_json
from groundup.errors import DataError
from groundup.text import Tokenizer, Windows, loader, next_token_windows, packaged
from groundup.text.loader import Loader, Wanted
from groundup.text.prepare import PrepareOptions, prepare
from groundup.text.shards import open_shards
from groundup.text.workers import WorkerLost

TEXTS = packaged("the-verdict").train.split("\n\n")
T, B, SEED = 16, 5, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    (folder / "texts.jsonl").write_bytes(b"".join(canonical_json({"text": text}) for text in TEXTS))
    options = PrepareOptions(workers=0, shard_tokens=500, val_fraction=0)
    prepare([str(folder / "texts.jsonl")], Tokenizer.train(TEXTS, 300), folder / "out", options)
    return folder / "out"


@pytest.fixture
def windows(folder: Path) -> Windows:
    ids = open_shards(folder).ids("train")
    return Windows(ids.part(0, len(ids) - 77), T, SEED)


class Loaders:
    """Makes loaders, and closes them."""

    def __init__(self, folder: Path, windows: Windows) -> None:
        self.folder, self.windows, self.made, self.warnings = folder, windows, list[Loader](), list[str]()

    def __call__(self, n_workers: int) -> Loader:
        wanted = Wanted([str(self.folder)], "train", len(self.windows.ids), T, B, SEED, True)
        self.made.append(Loader(self.windows, wanted, n_workers, self.warnings.append))
        return self.made[-1]


@pytest.fixture
def loaders(folder: Path, windows: Windows) -> Iterator[Loaders]:
    made = Loaders(folder, windows)
    yield made
    for one in made.made:
        one.close()


def same(loader: Loader, windows: Windows, step: int) -> bool:
    ours, theirs = loader.batch(step, B, next_token_windows), windows.batch(step, B)
    return all(a.equal(b) and a.dtype == b.dtype and a.shape == (B, T) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("n_workers", [1, 4])
def test_batches_are_the_same_in_order_after_a_jump_and_over_epochs(
    loaders: Loaders, windows: Windows, n_workers: int
) -> None:
    made = loaders(n_workers)
    n_steps = len(windows) // B
    for step in [*range(10), 7, 8, 100, *range(n_steps - 2, n_steps + 3), 3]:
        assert same(made, windows, step)
    assert len(made) == len(windows)


def test_nothing_runs_before_the_first_batch_and_after_the_end(loaders: Loaders, windows: Windows) -> None:
    made = loaders(2)
    assert made.workers == []
    assert same(made, windows, 0)
    pids = [worker.pid for worker in made.workers]
    made.close()
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("n_workers", [1, 3])
def test_r7_a_killed_worker_is_replaced_once_with_the_same_batches(
    loaders: Loaders, windows: Windows, n_workers: int
) -> None:
    made = loaders(n_workers)
    for step in range(20):
        if step == 10:
            os.kill(made.workers[0].pid, signal.SIGKILL)
        assert same(made, windows, step)
    assert len(loaders.warnings) == 1 and "signal 9" in loaders.warnings[0]
    os.kill(made.workers[-1].pid, signal.SIGKILL)
    with pytest.raises(WorkerLost) as caught:
        for step in range(20, 40):
            made.batch(step, B, next_token_windows)
    assert caught.value.code == "WORKER_LOST" and "second" in caught.value.what


def test_r7_teeth_without_the_replacement_the_first_death_ends_it(
    loaders: Loaders, windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "MAY_DIE", 0)
    made = loaders(1)
    assert same(made, windows, 0)
    os.kill(made.workers[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerLost):
        for step in range(1, 9):
            made.batch(step, B, next_token_windows)


@pytest.mark.parametrize("when", ["before the first batch", "between two"])
def test_w8_a_shard_that_shrinks_is_the_readers_error_and_no_lost_worker(
    folder: Path, tmp_path: Path, windows: Windows, when: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "shards"))
    made = Loaders(copy, windows)(1)
    try:
        if when == "between two":
            assert same(made, windows, 0)
        for path in copy.glob("*.bin"):
            os.truncate(path, 100)
        with pytest.raises(DataError) as caught:
            for step in range(1, 20):
                made.batch(step, B, next_token_windows)
        assert caught.value.code == ("FILE_CHANGED" if when == "between two" else "DATA_SIZE")
        assert caught.value.status == 3 and ".bin" in caught.value.where and caught.value.fix
    finally:
        made.close()
