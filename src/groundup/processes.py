"""What processes that belong together need to know of each other, and how many cores one takes.

Read next: `text/workers.py`, helpers that share work; `path/sandbox.py`, a process for somebody else's code.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

PR_SET_PDEATHSIG = 1
PACKAGES = str(Path(__file__).parents[1])  # where the package groundup lies


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, however that came."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it was gone before the line above


@contextlib.contextmanager
def one_core() -> Generator[None]:
    """Within the block each of torch's operations of this thread runs on one core.

    One that runs on several leaves the others spinning for a while, in wait for more, on cores that are needed.
    """
    torch = sys.modules["torch"]  # whoever has an operation has imported it
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
