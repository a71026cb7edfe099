"""Does it fit? Asked before anything is read, because an answer afterwards is a killed process.

Read next: `huggingface.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import WeightsError

CGROUP = Path("/sys/fs/cgroup")


def require_memory(n_bytes: int, where: str) -> None:
    """Raise WeightsError (MEM) when this process cannot have so many bytes more."""
    free = available_bytes()
    if free is not None and n_bytes > free:
        raise WeightsError(
            f"the weights need {n_bytes:,} bytes of memory, {free:,} are free",
            where=where,
            fix="close other programs, or use a smaller model or one in bfloat16",
            code="MEM",
        )


def available_bytes() -> int | None:
    """The memory that this process can still get: the least that any of its limits leaves. None: nobody says."""
    limits = [_of_machine(), _of_container(), _of_process()]
    return min((limit for limit in limits if limit is not None), default=None)


def _of_machine() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_container() -> int | None:
    """What a container's memory limit leaves; cached file contents count as free, the system gives them up."""
    limit, used = _lines(CGROUP / "memory.max"), _lines(CGROUP / "memory.current")
    if not limit or not used or not limit[0].isdigit():
        return None
    cached = sum(int(line.split()[1]) for line in _lines(CGROUP / "memory.stat") if line.startswith("file "))
    return int(limit[0]) - int(used[0]) + cached


def _of_process() -> int | None:
    """What `ulimit -v` leaves."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    pages = _lines(Path("/proc/self/statm"))
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0].split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
