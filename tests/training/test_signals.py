"""A signal sets a flag; time that runs out ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from groundup.errors import Interrupted
from groundup.training.signals import StopFlag


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_is_only_remembered_until_it_is_asked_for(name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with StopFlag(lambda: None) as stop:
        stop.check()
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.asked
        with pytest.raises(Interrupted):
            stop.check()
    assert signal.getsignal(getattr(signal, name)) == before


def test_sigusr1_asks_for_a_save_and_not_for_a_stop() -> None:
    with StopFlag(lambda: None) as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        stop.check()
        assert stop.save_asked


def test_outside_the_main_thread_it_catches_nothing_and_harms_nothing() -> None:
    def work() -> None:
        with StopFlag(lambda: None) as stop:
            stop.check()
            done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


CHILD = """
import os, signal, sys, time
from groundup.training.signals import StopFlag
with StopFlag(lambda: print("gave up", flush=True), deadline_seconds=0.2):
    for _ in range({signals}):
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""


@pytest.mark.slow
@pytest.mark.parametrize("signals", [1, 2])
def test_work_that_does_not_stop_in_time_or_is_asked_twice_is_ended(signals: int) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD.format(signals=signals)], capture_output=True, text=True, timeout=20
    )
    assert (child.returncode, child.stdout.strip()) == (130, "gave up")
