"""Batches from shards, read by processes of their own while the model computes.

Worker w of n reads the windows of the steps w, w + n, w + 2n, … Which windows those are follows from the step number
alone, so the batches are the same with any number of workers, and those of a worker that dies can be read again by
another. A worker may be replaced once in a run; after that something is wrong with the machine.

Read next: `model/embedding.py`, which turns the ids into vectors.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DataError, GroundupError
from .order import window_at
from .shards import IdReader, Split, open_shards
from .workers import Answer, Worker, WorkerLost, serve

if TYPE_CHECKING:
    from .batches import Batch, NextTokenWindows, Windows

STEP = struct.Struct("<Q")
IDS, ERROR = b"i", b"e"  # what an answer begins with
AHEAD = 2  # batches that each worker reads before they are asked for
MAY_DIE = 1  # workers in a run


@dataclass(frozen=True)
class Wanted:
    """All that decides a run's batches."""

    folders: list[str]
    split: Split
    n_tokens: int  # the first so many of them are for training
    context_length: int
    batch_size: int
    seed: int
    shuffle: bool


class Loader:
    """Windows whose batches are read ahead by workers. `close` ends them."""

    def __init__(self, windows: Windows, wanted: Wanted, n_workers: int, warn: Callable[[str], None]) -> None:
        self.windows, self.wanted, self.n_workers, self.warn = windows, wanted, n_workers, warn
        self.workers: list[Worker] = []  # started with the first batch
        self._asked: list[deque[int]] = [deque() for _ in range(n_workers)]  # steps whose batches are under way
        self._n_lost = 0

    def __len__(self) -> int:
        """How many whole windows there are: one epoch."""
        return len(self.windows)

    def batch(self, step: int, batch_size: int, next_token_windows: NextTokenWindows) -> Batch:
        """The batch of one training step, as `Windows.batch`. Raises WorkerLost, and what reading a shard raises."""
        import torch

        assert batch_size == self.wanted.batch_size
        if not self.workers:
            self.workers = [self._new_worker() for _ in range(self.n_workers)]
        number = step % self.n_workers
        while True:
            try:
                ids = self._receive(number, step)
                break
            except WorkerLost as error:
                self._replace(number, error)
        rows = torch.from_numpy(ids.reshape(batch_size, -1).astype(np.int64))
        return self.windows.cut(list(rows), next_token_windows)

    def close(self) -> None:
        """End the workers."""
        for worker in self.workers:
            worker.close()
        self.workers = []

    def _new_worker(self) -> Worker:
        return Worker(__name__, json.dumps(asdict(self.wanted)).encode())

    def _receive(self, number: int, step: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
        """The ids of a step from its worker, which then has the next steps to read."""
        asked, worker = self._asked[number], self.workers[number]
        while asked and asked[0] != step:  # somebody went back, or on: what was read ahead is of no use
            worker.receive()
            asked.popleft()
        for ahead in range(step, step + AHEAD * self.n_workers, self.n_workers):
            if not asked or ahead > asked[-1]:
                asked.append(ahead)
                worker.send(STEP.pack(ahead))
        answer = worker.receive()
        asked.popleft()
        if answer[:1] == ERROR:
            raise error_from(answer[1:])
        return np.frombuffer(answer, np.uint32, offset=1)

    def _replace(self, number: int, error: WorkerLost) -> None:
        """A new worker in the place of a dead one."""
        self._n_lost += 1
        self.workers[number].close()
        if self._n_lost > MAY_DIE:
            error.what = f"a second data worker is gone: {error.what}"
            error.fix = "go on with --resume; if it was the memory that ran out, use fewer data.workers"
            raise error
        self.warn(f"{error.what} ({error.where}); another one reads the same batches")
        self._asked[number].clear()
        self.workers[number] = self._new_worker()


def main() -> None:
    """A worker's work: step numbers in, the ids of their windows out."""

    def make(first: bytes) -> Answer:
        wanted = Wanted(**json.loads(first))
        found = list[IdReader]()  # opened for the first question: what is wrong with a shard is an answer to it

        def answer(question: bytes) -> bytes:
            try:
                if not found:
                    found.append(ids_of(wanted))
                return IDS + windows_of(STEP.unpack(question)[0], found[0], wanted)
            except GroundupError as error:
                return ERROR + json.dumps(error.as_json()).encode()

        return answer

    serve(make)


def error_from(answer: bytes) -> DataError:
    """The error that a worker had, for whoever asked."""
    told = json.loads(answer)
    return DataError(told["what"], where=told["where"], fix=told["fix"], code=told["code"], status=told["status"])


def ids_of(wanted: Wanted) -> IdReader:
    """The ids for training, in all folders. Raises DataError."""
    arrays = [array for folder in wanted.folders for array in open_shards(folder).ids(wanted.split).arrays]
    return IdReader(arrays).part(0, wanted.n_tokens)


def windows_of(step: int, ids: IdReader, wanted: Wanted) -> bytes:
    """The ids of all windows of a step."""
    length, size = wanted.context_length, wanted.batch_size
    n_windows = (wanted.n_tokens - 1) // length
    places = [window_at(step * size + i, n_windows, wanted.seed, wanted.shuffle) for i in range(size)]
    return b"".join(ids.read(i * length, i * length + length + 1).astype(np.uint32).tobytes() for i in places)
