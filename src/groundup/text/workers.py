"""Helper processes: a fresh interpreter at the other end of two pipes, which never outlives the one that started it.

A question is some bytes, and so is the answer; there is no pickle, no shared memory and no fork of a process that holds
threads or locks. The pipe itself is the queue: who does not read is not overrun. A helper ignores the signals that ask
a program to stop, since its parent decides when it ends. When the parent is killed, the kernel kills the helper too
(Linux; elsewhere it ends with the pipe).

Read next: `piece_counts.py`, the first to ask them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, TypeVar, cast

from ..errors import GroundupError
from ..processes import PACKAGES, die_with_parent

LENGTH = struct.Struct("<Q")

Answer = Callable[[bytes], bytes]
Work = TypeVar("Work")
Result = TypeVar("Result")

AHEAD = 2  # questions for each helper that are under way or wait


class WorkerLost(GroundupError):
    """A helper process is gone."""

    code = "WORKER_LOST"


class Worker:
    """A helper that runs `main()` of a module, which calls `serve`. first: what it needs to know before a question."""

    def __init__(self, module: str, first: bytes) -> None:
        paths = [PACKAGES, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            command(module),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            process_group=0 if os.name == "posix" else None,  # so that a terminal's Ctrl-C goes to the parent alone
        )
        self._to, self._from = cast(BinaryIO, self._process.stdin), cast(BinaryIO, self._process.stdout)
        self.send(first)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, question: bytes) -> None:
        """Ask. Answers come in the order of the questions. Raises WorkerLost."""
        try:
            write_message(self._to, question)
        except OSError as error:
            raise self._lost() from error

    def receive(self) -> bytes:
        """The next answer. Raises WorkerLost."""
        answer = read_message(self._from)
        if answer is None:
            raise self._lost()
        return answer

    def close(self) -> None:
        """End the process, in the middle of an answer if need be, and wait until it is gone."""
        self._process.kill()
        for pipe in (self._to, self._from):
            with contextlib.suppress(OSError):  # what was still to be written finds no reader
                pipe.close()
        self._process.wait()

    def _lost(self) -> WorkerLost:
        status = self._process.wait()
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return WorkerLost(
            f"a helper process {how}",
            where=f"process {self.pid}",
            fix="run the same command again: what is done is kept; if the memory ran out, use fewer workers",
        )


@contextlib.contextmanager
def helpers(module: str, first: bytes, n: int) -> Generator[Callable[[bytes], bytes]]:
    """A function that asks whichever of n workers is free, from any thread, and waits for its answer."""
    with contextlib.ExitStack() as stack:
        idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        # Started from the main thread: the kernel ends a helper with the thread that started it.
        for _ in range(n):
            worker = Worker(module, first)
            stack.callback(worker.close)
            idle.put(worker)

        def ask(question: bytes) -> bytes:
            worker = idle.get()
            try:
                worker.send(question)
                return worker.receive()
            finally:
                idle.put(worker)

        yield ask


def in_order(works: Iterable[Work], do: Callable[[Work], Result], n_threads: int) -> Iterator[tuple[Work, Result]]:
    """Each work with what `do` makes of it, several under way at once, in the order of the works.

    At most AHEAD works for each thread are taken before the first of them is given back.
    """
    threads = ThreadPoolExecutor(n_threads)
    try:
        waiting: deque[tuple[Work, Future[Result]]] = deque()
        for work in works:
            waiting.append((work, threads.submit(do, work)))
            if len(waiting) >= AHEAD * n_threads:
                done, result = waiting.popleft()
                yield done, result.result()
        while waiting:
            done, result = waiting.popleft()
            yield done, result.result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def n_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command(module: str) -> list[str]:
    """What starts a helper. -P: a file in the working directory that is named like a package is not one."""
    return [sys.executable, "-P", "-c", f"from {module} import main; main()", str(os.getpid())]


def serve(make: Callable[[bytes], Answer]) -> None:
    """The helper's side: make the function that answers from the first message, then answer until nobody asks."""
    die_with_parent(int(sys.argv[1]))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else writes to stdout does not stand between the answers
    questions = sys.stdin.buffer
    first = read_message(questions)
    answer = make(first) if first is not None else None
    while answer is not None and (question := read_message(questions)) is not None:
        try:
            write_message(answers, answer(question))
        except BrokenPipeError:
            os._exit(0)  # nobody is left to hear it


def write_message(pipe: BinaryIO, message: bytes) -> None:
    """Its length, and then the message."""
    pipe.write(LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def read_message(pipe: BinaryIO) -> bytes | None:
    """One message; None where the pipe ends."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None
