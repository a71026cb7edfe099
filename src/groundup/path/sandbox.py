"""The judge's end of a process that runs a learner's code: started, asked, timed, and ended with all that it began.

A `Courtroom` keeps one server process, which has imported what the parts need and forks a child for each trial in a few
milliseconds. Where there is no safe fork a child is a process of its own. Whatever happens in a child, the courtroom
says it in one of a few words (`Outcome`), and nothing of the child is left running.

Read next: `compare.py`.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import GroundupError
from ..processes import PACKAGES
from .wire import WireError, pack, read_frame, unpack

CAN_FORK = sys.platform == "linux"
WALL_SECONDS = 10.0  # for all that a child is asked
START_SECONDS = 60.0  # for the server, which may have to read torch from a cold disk
KEPT_OUTPUT = 256 << 10


class JudgeError(GroundupError):
    """The checker itself cannot run."""

    code = "JUDGE"


class Lost(Exception):
    """A child gave no answer. outcome: timeout, memory, crashed or forbidden."""

    def __init__(self, outcome: str, detail: str = "") -> None:
        super().__init__(detail)
        self.outcome, self.detail = outcome, detail


@dataclass
class Trial:
    """A child under way: what it is asked, and what it says."""

    nonce: str
    questions: BinaryIO
    answers: queue.SimpleQueue[bytes | WireError | None]
    deadline: float
    output: bytearray = field(default_factory=bytearray)
    number: int = 1

    def loaded(self) -> dict[str, Any]:
        """Whether the learner's file could be loaded, and holds the function. Raises Lost."""
        return self._answer(0)

    def ask(self, value: Any) -> Any:
        """The answer to a call. Raises Lost."""
        number, self.number = self.number, self.number + 1
        with contextlib.suppress(OSError):  # a child that is gone says so below
            self.questions.write(pack(self.nonce, number, value))
            self.questions.flush()
        return self._answer(number)

    def finish(self) -> None:
        """No more questions. Raises Lost unless the child comes to a clean end."""
        with contextlib.suppress(OSError):
            self.questions.close()
        if self._answer(self.number) != {"end": True} or self._next() is not None:
            raise Lost("forbidden", "it wrote into the judge's pipe")

    def _next(self) -> bytes | None:
        """The next frame, None at the end of the pipe. Raises Lost."""
        try:
            frame = self.answers.get(timeout=max(0.0, self.deadline - time.monotonic()))
        except queue.Empty:
            raise Lost("timeout") from None
        if isinstance(frame, WireError):
            raise Lost("forbidden", frame.what)
        return frame

    def _answer(self, number: int) -> Any:
        frame = self._next()
        if frame is None:
            raise Lost("crashed")
        try:
            nonce, given, value = unpack(frame)
        except WireError as error:
            raise Lost("forbidden", error.what) from error
        if (nonce, given) != (self.nonce, number):
            raise Lost("forbidden", "it wrote into the judge's pipe")
        return value


class Courtroom:
    """Starts the processes in which learners' code runs. preload: modules that the server imports beforehand."""

    def __init__(self, preload: tuple[str, ...] = ()) -> None:
        self.preload = preload
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.status = 0  # of the last child, as waitpid gives it

    def warm_up(self) -> None:
        """Start the server, without waiting for it."""
        if not CAN_FORK or (self._server is not None and self._server.poll() is None):
            return
        ours, theirs = socket.socketpair()
        self._server = subprocess.Popen(
            _command(f"serve({theirs.fileno()}, {os.getpid()})", self.preload),
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        ours.settimeout(START_SECONDS)
        self._control = ours

    def _ready(self) -> socket.socket:
        """The server's socket, once it answers. Raises JudgeError."""
        self.warm_up()
        server, control = self._server, self._control
        assert server is not None and control is not None
        if not getattr(server, "is_ready", False):
            try:
                ready = control.recv(1)
            except OSError:
                ready = b""
            if ready != b"r":
                server.kill()
                said = server.communicate()[1].decode(errors="replace").strip().splitlines()
                raise JudgeError(
                    "the process that runs your code cannot be started",
                    where=said[-1] if said else "",
                    fix="check that torch and numpy can be imported by this Python",
                )
            server.is_ready = True  # pyright: ignore[reportAttributeAccessIssue] -- noted where it belongs
        return control

    @contextlib.contextmanager
    def trial(self, setting: dict[str, Any]) -> Generator[Trial]:
        """A child that has got the setting. When the block is left, it and all that it started are gone."""
        scratch = tempfile.mkdtemp(prefix="groundup-")
        questions, to_child = os.pipe()  # the child reads, we write
        from_child, answers = os.pipe()
        output, child_output = os.pipe()
        stop = self._start_child(questions, answers, child_output)
        for fd in (questions, answers, child_output):
            os.close(fd)
        trial = Trial(
            secrets.token_hex(8), os.fdopen(to_child, "wb"), queue.SimpleQueue(), time.monotonic() + WALL_SECONDS
        )
        readers = [
            threading.Thread(target=_read_answers, args=(os.fdopen(from_child, "rb"), trial.answers), daemon=True),
            threading.Thread(target=_drain, args=(os.fdopen(output, "rb"), trial.output), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            with contextlib.suppress(OSError):
                trial.questions.write(pack(trial.nonce, 0, setting | {"scratch": scratch}))
                trial.questions.flush()
            yield trial
        finally:
            with contextlib.suppress(OSError):
                trial.questions.close()
            self.status = stop()
            for reader in readers:
                reader.join(1.0)
            shutil.rmtree(scratch, ignore_errors=True)

    def _start_child(self, questions: int, answers: int, output: int) -> Any:
        """Start a child with these pipes. Returns what ends it and gives its status."""
        if not CAN_FORK:
            process = subprocess.Popen(
                _command("serve_once()", self.preload), stdin=questions, stdout=answers, stderr=output
            )

            def stop_process() -> int:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                _kill_group(process.pid)
                process.kill()
                return process.wait()

            return stop_process
        control = self._ready()
        try:
            socket.send_fds(control, [b"f"], [questions, answers, output])
            pid = int.from_bytes(_exactly(control, 8), "little")
        except OSError as error:
            self.close()
            raise JudgeError("the process that runs your code is gone", fix="run the command again") from error

        def stop_child() -> int:
            control.settimeout(0.3)  # a child that has come to its end needs no more
            try:
                status = _exactly(control, 8)
            except OSError:
                _kill_group(pid)
                control.settimeout(5.0)
                try:
                    status = _exactly(control, 8)
                except OSError:  # the child has killed the server, or holds it up
                    self.close()
                    return int(signal.SIGKILL)
            control.settimeout(START_SECONDS)
            return int.from_bytes(status, "little")

        return stop_child

    def close(self) -> None:
        """End the server."""
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            if self._server.stderr:
                self._server.stderr.close()
        self._server = self._control = None


def _command(call: str, preload: tuple[str, ...]) -> list[str]:
    """Python, isolated from whatever the user's environment and folder hold, but finding the packages that we find."""
    places = [PACKAGES, *(place for place in sys.path if place and Path(place) != Path.cwd())]
    program = f"import sys; sys.path[:] = {places!r}"
    program += "".join(f"; import {module}" for module in preload)
    return [sys.executable, "-I", "-c", f"{program}; from groundup.path.child import serve, serve_once; {call}"]


def _exactly(control: socket.socket, n: int) -> bytes:
    """N bytes of the socket. Raises OSError, also when it ends."""
    data = b""
    while len(data) < n:
        more = control.recv(n - len(data))
        if not more:
            raise OSError("the socket has ended")
        data += more
    return data


def _kill_group(pid: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)  # it may not have come to a group of its own yet


def _read_answers(pipe: BinaryIO, answers: queue.SimpleQueue[bytes | WireError | None]) -> None:
    """Hand on the child's frames as they come; at the end None."""
    with pipe:
        try:
            while (frame := read_frame(pipe)) is not None:
                answers.put(frame)
            answers.put(None)
        except WireError as error:
            answers.put(error)
        except OSError:
            answers.put(None)


def _drain(pipe: BinaryIO, kept: bytearray) -> None:
    """Read all that the child writes, so that it never waits for us, and keep the beginning."""
    with pipe:
        while data := os.read(pipe.fileno(), 65536):
            kept += data[: max(0, KEPT_OUTPUT - len(kept))]
