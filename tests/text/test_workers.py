"""Helper processes answer in order, and never outlive the one that started them (rows R4 and R7)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groundup.text.workers import Worker, WorkerLost

HERE = str(Path(__file__).parent)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", HERE)
    worker = Worker("slow_worker", b"first ")
    yield worker
    worker.close()


def test_answers_come_in_the_order_of_the_questions(worker: Worker) -> None:
    for question in (b"", b"a", b"b" * 1000):
        worker.send(question)
    assert [worker.receive() for _ in range(3)] == [b"first ", b"first a", b"first " + b"b" * 1000]


def test_an_answer_may_be_larger_than_a_pipe(worker: Worker) -> None:
    worker.send(b"x" * 10_000_000)
    assert worker.receive() == b"first " + b"x" * 10_000_000


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_a_worker_that_is_gone_is_named_with_what_ended_it(worker: Worker, how: str) -> None:
    worker.send(b"sleep" if how == "killed" else b"end")
    if how == "killed":
        os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerLost) as caught:
        worker.receive()
    assert (caught.value.code, caught.value.status) == ("WORKER_LOST", 3)
    assert ("signal 9" if how == "killed" else "status 3") in caught.value.what
    with pytest.raises(WorkerLost):
        worker.send(b"x")


def test_a_worker_ends_when_it_is_closed_even_in_the_middle_of_an_answer(worker: Worker) -> None:
    worker.send(b"sleep")
    worker.close()
    assert not is_alive(worker.pid)


def test_signals_to_the_whole_family_do_not_reach_a_worker(worker: Worker) -> None:
    worker.send(b"ready")
    worker.receive()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(worker.pid, number)
    worker.send(b"a")
    assert worker.receive() == b"first a"


PARENT = """
import time
from groundup.text import workers
{change}
worker = workers.Worker("slow_worker", b"")
worker.send(b"ready")
worker.receive()
worker.send(b"sleep")
print(worker.pid, flush=True)
time.sleep(60)
"""
WITHOUT_GUARD = """
start = workers.command
def command(module):
    words = start(module)
    words[3] = "import groundup.text.workers as w; w.die_with_parent = lambda parent: None; " + words[3]
    return words
workers.command = command
"""


def survivor_of_a_kill(change: str) -> int | None:
    """The number of the worker if it still lives two seconds after its parent was killed."""
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", PARENT.format(change=change)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 2
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return pid if is_alive(pid) else None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker notices when it answers next")
def test_r4_a_worker_is_gone_two_seconds_after_its_parent_was_killed() -> None:
    assert survivor_of_a_kill("") is None


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker notices when it answers next")
def test_r4_teeth_without_the_guard_the_worker_lives_on() -> None:
    pid = survivor_of_a_kill(WITHOUT_GUARD)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
