"""Stopping when asked: a signal only sets a flag, and the work looks at the flag where stopping is safe.

A signal may arrive at any moment, in the middle of a step or of a save. Whatever a handler did then would have to be
right at every such moment, so it does nothing but remember. The loop asks after every micro-batch and every evaluation
batch; a step that is half done is dropped, since weights change only inside the optimizer, and what is saved is the
state after the last whole step.

SIGTERM, SIGINT, SIGHUP: save and leave. SIGUSR1: save and go on. A second Ctrl-C leaves at once. A watcher thread
holds a deadline of nine seconds, so that a stuck save cannot keep the process alive until it is killed.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType

from ..errors import INTERRUPTED, Interrupted

DEADLINE_SECONDS = 9.0
STOPPING = ("SIGTERM", "SIGINT", "SIGHUP")


class StopFlag:
    """Catches signals while the block runs; `check` raises Interrupted where the work may stop.

    give_up runs when time is up or the user insists: it says in status.json that nothing was saved.
    """

    def __init__(self, give_up: Callable[[], None], deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self.asked = False
        self.save_asked = False
        self._give_up = give_up
        self._deadline_seconds = deadline_seconds
        self._previous: dict[int, object] = {}
        self._finished = threading.Event()

    def __enter__(self) -> StopFlag:
        if threading.current_thread() is not threading.main_thread():  # only there does Python deliver signals
            return self
        # Starting a thread inside a handler can deadlock; a thread that waits at the wake-up socket cannot.
        self._listener, self._speaker = socket.socketpair()
        self._speaker.setblocking(False)
        signal.set_wakeup_fd(self._speaker.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()
        for name in (*STOPPING, "SIGUSR1"):
            number = getattr(signal, name, None)  # Windows has two of the four
            is_nohup = name == "SIGHUP" and number is not None and signal.getsignal(number) == signal.SIG_IGN
            if number is not None and not is_nohup:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        if self._previous:
            for number, handler in self._previous.items():
                signal.signal(number, handler)  # pyright: ignore[reportArgumentType] -- what signal.signal gave us
            signal.set_wakeup_fd(-1)
            self._speaker.close()  # the watcher's recv returns, and the thread ends

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == getattr(signal, "SIGUSR1", None):
            self.save_asked = True
        elif self.asked and number == signal.SIGINT:
            self._leave()
        else:
            self.asked = True

    def _watch(self) -> None:
        stopping = {int(getattr(signal, name)) for name in STOPPING if hasattr(signal, name)}
        with self._listener:
            while received := self._listener.recv(1):
                if received[0] in stopping:
                    if not self._finished.wait(self._deadline_seconds):
                        self._leave()
                    return

    def _leave(self) -> None:
        try:
            self._give_up()
        finally:
            os._exit(INTERRUPTED)  # no clean-up: a rename that is under way is finished by the kernel or not at all

    def check(self) -> None:
        """Raise Interrupted if somebody asked to stop."""
        if self.asked:
            raise Interrupted("stopped by a signal")
