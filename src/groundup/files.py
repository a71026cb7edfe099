"""Durable writing: after a crash a file is the old one or the new one, whole.

The operating system may keep written bytes in memory for seconds and may put them on the disk in any order, so a power
cut can leave a new name on an empty file. The cure is an order that never varies: write under a temporary name, fsync
the file, rename it, fsync the folder that holds the name. Every durable write of the library goes through this module,
so that one test can record the calls and replay every possible crash.

Read next: `weights/checkpoint.py`, which writes a whole folder in this way.
Source: Pillai et al. 2014, "All File Systems Are Not Created Equal", section 2.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Generator
from io import FileIO
from pathlib import Path

from .errors import StorageError

# Not every system has these flags, and one that lacks a flag does not need it.
BINARY = getattr(os, "O_BINARY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
TEMPORARY_NAME = re.compile(r"\.tmp-.+-[0-9a-f]{8}")
NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would block the open for ever


class HashedFile:
    """A new file that hashes and counts its bytes as they leave memory. Make one with `create`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # O_EXCL: two writers can never share a temporary file, and no link is followed.
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o644)
        self._hash = hashlib.sha256()
        self.n_bytes = 0

    def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`: os.write may take fewer bytes than given, on a nearly full disk for one."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self.n_bytes += len(view)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        """Wait until the bytes are on the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file; it stays where it is."""
        os.close(self._descriptor)

    @property
    def sha256(self) -> str:
        """Of the bytes written so far."""
        return self._hash.hexdigest()


@contextlib.contextmanager
def create(path: Path) -> Generator[HashedFile, None, None]:
    """Open a new file, and have it on the disk when the block ends without an error."""
    file = HashedFile(path)
    try:
        yield file
        file.sync()
    finally:
        file.close()


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` (UTF-8) in one step; a reader sees the old file or the new one.

    A file name that is no UTF-8 reaches Python as lone surrogates, which UTF-8 has no bytes for: they are escaped.
    """
    temporary = path.with_name(f".tmp-{path.name}-{secrets.token_hex(4)}")
    with storage_errors(path):
        make_folder(path.parent)
        try:
            with create(temporary) as file:
                file.write(text.encode("utf-8", "backslashreplace"))
            rename(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def discard_temporary(folder: Path) -> None:
    """Delete the files that a kill in the middle of `write_text` has left. Only for whoever holds the folder's lock."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if TEMPORARY_NAME.fullmatch(path.name) and path.is_file():
            with contextlib.suppress(OSError):  # what cannot be deleted now is left for the next start
                path.unlink()


def append(path: Path, text: str) -> None:
    """Add `text` to the end of a file: all of it, or nothing and an OSError. For logs: nobody waits for the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | BINARY | NO_WAIT, 0o644)
    try:
        _require_regular(descriptor, path)
        n_bytes, view = os.fstat(descriptor).st_size, memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            os.ftruncate(descriptor, n_bytes)  # half a line would spoil the next one too
            raise
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system, durably: the lists of names on both sides are synced too."""
    os.replace(source, target)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in `folder` are on the disk."""
    if os.name == "nt":  # Windows gives no handle to a folder, and orders renames itself
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents, durably; with `storage_errors`, say what is in the way."""
    with storage_errors(folder):
        missing = [place for place in (folder, *folder.parents) if not place.is_dir()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in reversed(missing):
            sync_folder(made.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder so that no half-removed one keeps its name: rename it away, then delete."""
    trash = folder.with_name(f".trash-{secrets.token_hex(4)}")
    rename(folder, trash)
    discard_folder(trash)


def discard_folder(folder: Path) -> None:
    """Delete a folder under a temporary name, if it is there; what cannot be deleted now is left for the next start."""
    shutil.rmtree(folder, ignore_errors=True)


def require_space(folder: Path, n_bytes: int) -> None:
    """Raise StorageError (DISK_FULL) before a write that cannot fit."""
    free = shutil.disk_usage(nearest_folder(folder)).free
    if free < n_bytes:
        raise StorageError(
            f"the disk is full: {n_bytes:,} bytes are needed, {free:,} are free",
            where=str(folder),
            fix="free some space, or name a folder on another disk",
            code="DISK_FULL",
        )


def require_writable(folder: Path) -> None:
    """Raise StorageError (READ_ONLY) where `folder`, or what will hold it, takes no new file. Leaves nothing behind."""
    place = nearest_folder(folder)
    probe = place / f".tmp-probe-{secrets.token_hex(4)}"
    with storage_errors(folder):
        HashedFile(probe).close()  # asking for permissions would not do: nobody is refused to root but by the disk
        probe.unlink(missing_ok=True)  # a run that has just begun there takes it for a leftover


def open_regular(path: Path, *, follow_links: bool = True) -> FileIO:
    """Open an ordinary file to read. Raises OSError, with ELOOP for a folder, a device, a pipe or a refused link."""
    descriptor = os.open(path, os.O_RDONLY | BINARY | NO_WAIT | (0 if follow_links else NO_LINK))
    try:
        _require_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return FileIO(descriptor)


def open_to_lock(path: Path) -> int:
    """A descriptor of an ordinary file, made where there is none, for a lock. OSError as by open_regular."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | BINARY | NO_WAIT, 0o644)
    try:
        _require_regular(descriptor, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(descriptor: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.ELOOP, "this is no ordinary file", str(path))


def read_whole(file: FileIO, n_bytes: int) -> bytearray:
    """The next `n_bytes` bytes of a file, or fewer when it ends before."""
    data = bytearray(n_bytes)
    with memoryview(data) as view:
        n_read = 0
        while n_read < n_bytes and (count := file.readinto(view[n_read:])):
            n_read += count
    del data[n_read:]
    return data


def lock_file(descriptor: int) -> None:
    """Take an exclusive lock or raise BlockingIOError; StorageError where the file system has no locks."""
    if os.name == "nt":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue] -- Windows only
        except OSError as error:
            raise BlockingIOError from error
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def storage_errors(path: Path, needed: int = 0) -> Generator[None, None, None]:
    """Turn what the operating system says about a disk into a StorageError that says what to do.

    needed: how many bytes were to be written, where that is known.
    """
    try:
        yield
    except OSError as error:
        raise storage_error(error, path, needed) from error


def storage_error(error: OSError, path: Path, needed: int = 0) -> StorageError:
    """The StorageError for one OSError at `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        free = shutil.disk_usage(nearest_folder(path)).free
        wanted = f"{needed:,} bytes are needed, " if needed else ""
        return StorageError(
            f"the disk is full: {wanted}{free:,} bytes are free",
            where=str(path),
            fix="free some space, or name a folder on another disk",
            code="DISK_FULL",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            "no permission to write here",
            where=str(path),
            fix="choose a folder that you may write to",
            code="READ_ONLY",
        )
    if error.errno == errno.ENAMETOOLONG:
        return StorageError("the name is too long", where=str(path), fix="choose a shorter one", code="PATH", status=2)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StorageError(
            "a file stands where a folder is needed",
            where=str(path),
            fix="name another folder",
            code="PATH_KIND",
            status=2,
        )
    if error.errno in (errno.EISDIR, errno.ELOOP):
        return StorageError(
            "this is no ordinary file",
            where=str(path),
            fix="move it away, or name another folder",
            code="PATH_KIND",
            status=2,
        )
    return StorageError(f"the disk failed: {error.strerror}", where=str(path), fix="check the disk", code="DISK_FAILED")


def nearest_folder(path: Path) -> Path:
    """The deepest folder above `path` that exists."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("."))
