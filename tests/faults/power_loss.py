"""What a disk may hold after a power cut, for every moment at which the power may go.

`kill -9` does not test an fsync: the system's cache survives the process. So the calls are recorded, and the disk is
played: what was synced is there; of the names that were not, any may be lost, whatever their order; of the bytes that
were not, none, half or all are there. A name is synced with its folder, bytes with their file.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Op = tuple[Any, ...]
Disk = dict[str, bytes | None]  # path: content, None for a folder
MOST_VOLATILE = 9  # names that may be lost at the same time: 2 to the power of it are tried, of more a few


@dataclass
class Recorder:
    """The calls that change what is below `root`, as operations on numbered files and folders."""

    root: Path
    ops: list[Op] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)  # path -> file or folder
    first: dict[int, bytes | None] = field(default_factory=dict)  # what was on the disk before
    names: list[Op] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)

    def record(self, patch: pytest.MonkeyPatch) -> None:
        """Take note of every call from now on; what is there counts as synced."""
        self.number[str(self.root)] = 0
        for path in sorted(self.root.rglob("*")):
            self.number[str(path)] = len(self.number)
            self.first[self.number[str(path)]] = path.read_bytes() if path.is_file() else None
            self.names.append(("link", *self._place(path), self.number[str(path)]))
        for name in ("open", "write", "fsync", "mkdir", "replace", "unlink", "rmdir"):
            patch.setattr(os, name, self._recorded(getattr(self, f"_{name}"), getattr(os, name)))

    def _recorded(self, note: Any, real: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            existed = isinstance(arguments[0], str | Path) and os.path.lexists(str(arguments[0]))
            answer = real(*arguments, **keywords)
            note(answer, existed, *arguments, **keywords)
            return answer

        return call

    def _place(self, path: str | Path) -> tuple[int, str]:
        return self.number[str(Path(path).parent)], Path(path).name

    def _mine(self, path: object) -> bool:
        return isinstance(path, str | Path) and str(path).startswith(str(self.root))

    def _new(self, path: str | Path) -> None:
        self.number[str(path)] = max(self.number.values()) + 1
        self.ops.append(("link", *self._place(path), self.number[str(path)]))

    def _open(self, answer: int, existed: bool, path: Any, flags: int, *_: Any, dir_fd: int | None = None) -> None:
        path = self._whole(path, dir_fd)
        if not self._mine(path):
            return
        if flags & os.O_CREAT and not existed:
            self._new(path)
        elif flags & os.O_TRUNC:
            self.ops.append(("cut", self.number[str(path)]))
        self.opened[answer] = self.number[str(path)]

    def _write(self, answer: int, _existed: bool, descriptor: int, data: Any) -> None:
        if descriptor in self.opened:
            self.ops.append(("write", self.opened[descriptor], bytes(data[:answer])))

    def _fsync(self, _answer: None, _existed: bool, descriptor: int) -> None:
        if descriptor in self.opened:
            self.ops.append(("sync", self.opened[descriptor]))

    def _mkdir(self, _answer: None, _existed: bool, path: Any, *_: Any, **__: Any) -> None:
        if self._mine(path):
            self._new(path)

    def _replace(self, _answer: None, _existed: bool, source: Any, target: Any, **_: Any) -> None:
        if self._mine(source):
            moved = self.number[str(source)]
            self.ops.append(("move", *self._place(source), *self._place(target), moved))
            inside = re.compile(re.escape(str(source)) + r"(?=/|$)")
            self.number = {inside.sub(str(target), path): number for path, number in self.number.items()}

    def _unlink(self, _answer: None, _existed: bool, path: Any, *_: Any, dir_fd: int | None = None) -> None:
        if self._mine(path := self._whole(path, dir_fd)):
            self.ops.append(("unlink", *self._place(path)))

    _rmdir = _unlink

    @staticmethod
    def _whole(path: Any, dir_fd: int | None) -> Any:
        return path if dir_fd is None else Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / path


# --- the model ----------------------------------------------------------------------------------------------------


def crash_states(recorder: Recorder, n_done: int, limit: int = MOST_VOLATILE) -> Iterator[Disk]:
    """Every disk that a power cut after the first `n_done` operations may leave."""
    done = recorder.ops[:n_done]
    names = [(i, op) for i, op in enumerate(done) if op[0] in ("link", "move", "unlink")]
    kept = [op for i, op in names if synced(done, i, folder_of(op))]
    volatile = [(i, op) for i, op in names if not synced(done, i, folder_of(op))]
    n = len(volatile)
    for share in (0.0, 0.5, 1.0):
        bytes_of = contents(recorder, done, share)
        for n_lost in range(n + 1) if n <= limit else sorted({0, 1, n - 1, n}):
            for lost in itertools.combinations(volatile, n_lost):
                survived = [op for i, op in names if op in kept or ((i, op) in volatile and (i, op) not in lost)]
                yield tree(recorder.names + survived, bytes_of)


def synced(ops: list[Op], since: int, number: int) -> bool:
    """Whether a file or folder was synced after an operation."""
    return any(op == ("sync", number) for op in ops[since + 1 :])


def folder_of(op: Op) -> int:
    """The folder whose sync makes a name durable: for a move, the one that it goes to."""
    return op[3] if op[0] == "move" else op[1]


def contents(recorder: Recorder, ops: list[Op], share: float) -> dict[int, bytes | None]:
    """The bytes of each file: all that were synced, and that share of the others."""
    content = dict(recorder.first)
    content |= {op[3]: content.get(op[3]) for op in ops if op[0] == "link"}
    for number in {op[1] for op in ops if op[0] in ("write", "cut")}:
        changes = [(i, op) for i, op in enumerate(ops) if op[0] in ("write", "cut") and op[1] == number]
        sure = [op for i, op in changes if synced(ops, i, number)]
        loose = [op for i, op in changes if not synced(ops, i, number)]
        data = content.get(number) or b""
        for op in [*sure, *loose[: round(share * len(loose) + 0.1)]]:
            data = b"" if op[0] == "cut" else data + op[2]
        if loose and share == 0.5 and loose[-1][0] == "write":
            data += loose[-1][2][: len(loose[-1][2]) // 2]
        content[number] = data
    for number in {op[1] for op in ops if op[0] == "sync"}:
        content.setdefault(number, None)
    return content


def tree(names: list[Op], content: dict[int, bytes | None]) -> Disk:
    """The paths that lead from the root to a file or a folder."""
    folders: dict[int, dict[str, int]] = {}
    for op in names:
        if op[0] == "move":
            folders.setdefault(op[1], {}).pop(op[2], None)
        if op[0] == "unlink":
            folders.setdefault(op[1], {}).pop(op[2], None)
        else:
            folders.setdefault(op[-3], {})[op[-2]] = op[-1]
    disk: Disk = {}

    def walk(number: int, path: str) -> None:
        for name, inner in folders.get(number, {}).items():
            is_folder = inner in folders or (content.get(inner) is None and inner not in written)
            disk[f"{path}{name}"] = None if is_folder else content.get(inner) or b""
            walk(inner, f"{path}{name}/")

    written = {number for number, data in content.items() if data is not None}
    walk(0, "")
    return disk


def restore(disk: Disk, root: Path) -> None:
    """Put a disk's state into an empty folder."""
    for path, data in sorted(disk.items()):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            (root / path).mkdir(exist_ok=True)
        else:
            (root / path).write_bytes(data)
