"""What processes that belong together need to know of each other.

Read next: `text/workers.py`, helpers that share work; `path/sandbox.py`, a process for somebody else's code.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
PACKAGES = str(Path(__file__).parents[1])  # where the package groundup lies


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, however that came."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it was gone before the line above
