"""After a failure or a kill a file is the old one or the new one, whole."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import groundup
from groundup import files
from groundup.errors import StorageError

SOURCE = Path(groundup.__file__).parent.parent


def temporary_files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def python(code: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SOURCE)!r})\n{code}", *map(str, arguments)]


def test_a_text_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "status.json"
    files.write_text(path, "first")
    files.write_text(path, "second, 紅樓夢\r\n")
    assert path.read_bytes() == "second, 紅樓夢\r\n".encode()
    assert temporary_files(path.parent) == []


def test_a_file_knows_the_hash_and_size_of_its_bytes(tmp_path: Path) -> None:
    with files.create(tmp_path / "a") as file:
        file.write(b"one")
        file.write(memoryview(b"two"))
        assert (file.n_bytes, file.sha256) == (6, hashlib.sha256(b"onetwo").hexdigest())
    assert (tmp_path / "a").read_bytes() == b"onetwo"


def test_a_file_is_written_whole_however_little_the_system_takes_at_once(tmp_path: Path, monkeypatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    with files.create(tmp_path / "a") as file:
        file.write(b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    assert file.sha256 == hashlib.sha256(b"0123456789").hexdigest()


def test_a_new_file_never_takes_the_place_of_another_nor_follows_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError), files.create(tmp_path / name):
            pass
    assert (tmp_path / "there").read_text() == "precious"


def test_the_file_is_on_the_disk_before_its_name_and_the_name_before_the_end(tmp_path: Path, monkeypatch) -> None:
    calls: list[str] = []
    for name in ("write", "fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, real=real: (calls.append(name), real(*a))[1])
    files.write_text(tmp_path / "status.json", "new")
    assert calls == ["write", "fsync", "replace", "fsync"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch, step: str) -> None:
    path = tmp_path / "status.json"
    files.write_text(path, "old")

    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(StorageError) as raised:
        files.write_text(path, "new")
    assert (raised.value.code, raised.value.status, raised.value.where) == ("DISK_FAILED", 3, str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["status.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a file")
def test_a_disk_that_fills_up_at_any_byte_leaves_the_old_file(tmp_path: Path) -> None:
    code = """
import os, resource
from pathlib import Path
from groundup import files
from groundup.errors import StorageError
path = Path(sys.argv[1])
for limit in range(40):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        files.write_text(path, "n" * 40)
    except StorageError as error:
        assert (error.code, error.status) == ("DISK_FULL", 3), error
        assert "bytes are free" in str(error)
    else:
        raise AssertionError(f"{limit} bytes were enough")
    assert path.read_text() == "old" and os.listdir(path.parent) == [path.name], limit
resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
files.write_text(path, "n" * 40)
"""
    path = tmp_path / "status.json"
    path.write_text("old")
    result = subprocess.run(python(code, path), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert path.read_text() == "n" * 40


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no kill -9")
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from groundup import files
for i in range(10**9):
    files.write_text(Path(sys.argv[1]), f"{i % 10}" * 100_000)
"""
    path = tmp_path / "status.json"
    for trial in range(6):
        process = subprocess.Popen(python(code, path), stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(0.0007 * trial)
        process.send_signal(signal.SIGKILL)
        process.wait()
        text = path.read_text()
        assert len(text) == 100_000
        assert len(set(text)) == 1


def test_a_file_where_a_folder_is_needed_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for act in (files.make_folder, lambda p: files.write_text(p / "status.json", "")):
        for folder in (tmp_path / "file", tmp_path / "file" / "below"):
            with pytest.raises(StorageError, match="a file stands where a folder is needed") as raised:
                act(folder)
            assert (raised.value.code, raised.value.status) == ("PATH_KIND", 2)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        *[(number, "DISK_FULL") for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)],
        *[(number, "READ_ONLY") for number in (errno.EACCES, errno.EPERM, errno.EROFS)],
        *[(number, "PATH_KIND") for number in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP)],
        (errno.ENAMETOOLONG, "PATH"),
        (errno.EIO, "DISK_FAILED"),
    ],
)
def test_what_the_system_says_becomes_an_error_with_a_fix(tmp_path: Path, number: int, code: str) -> None:
    error = files.storage_error(OSError(number, os.strerror(number)), tmp_path / "not" / "there")
    assert error.code == code
    assert error.fix
    assert error.where.endswith("there")


def test_a_pipe_where_a_file_belongs_is_called_no_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(StorageError, match="no ordinary file"), files.storage_errors(tmp_path / "lock"):
        files.open_to_lock(tmp_path / "lock")


def test_a_removed_folder_is_gone_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "step-1"
    files.make_folder(folder / "inner")
    files.write_text(folder / "inner" / "a", "text")
    files.remove_folder(folder)
    assert os.listdir(tmp_path) == []


def test_the_nearest_folder_is_the_deepest_that_exists(tmp_path: Path) -> None:
    assert files.nearest_folder(tmp_path / "a" / "b") == tmp_path
    assert files.nearest_folder(tmp_path) == tmp_path
