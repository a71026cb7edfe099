"""Single keys from a terminal, without waiting for Enter.

Only what a POSIX or a Windows terminal needs is imported, where it is used.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Generator


@contextlib.contextmanager
def single_keys() -> Generator[Callable[[float], str]]:
    """A function that waits so many seconds for a key, and gives it, or "" for none."""
    if os.name == "nt":
        yield _windows_key
        return
    import select
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def key(seconds: float) -> str:
        ready, _writable, _failed = select.select([descriptor], [], [], seconds)
        if not ready:
            return ""
        data = os.read(descriptor, 64)
        return data.decode("utf-8", "ignore")[:1] if data else "q"  # the terminal is gone

    tty.setcbreak(descriptor, termios.TCSADRAIN)  # a key that is pressed already counts
    try:
        yield key
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def whole_lines() -> Generator[None]:
    """While it lasts, a terminal gives lines again, which are seen as they are typed and can be corrected."""
    if os.name == "nt" or not sys.stdin.isatty():
        yield
        return
    import termios

    descriptor = sys.stdin.fileno()
    before, lines = termios.tcgetattr(descriptor), termios.tcgetattr(descriptor)
    lines[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, lines)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _windows_key(seconds: float) -> str:
    import importlib

    msvcrt = importlib.import_module("msvcrt")
    until = time.monotonic() + seconds
    while not msvcrt.kbhit():
        if time.monotonic() > until:
            return ""
        time.sleep(0.02)
    return msvcrt.getwch()
