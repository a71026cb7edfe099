"""F2: what a run writes besides its checkpoints is told, counted and never missed enough to stop."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from faults.harness import Heard, Tiny, saved_steps, state_id, status

from groundup import files
from groundup.errors import GroundupError, StorageError
from groundup.training.metrics import MetricsLog, read_metrics

LOGS = ["status.json", "metrics.jsonl", "loss.svg", "config.toml", "samples"]


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """The disk refuses one file, or all in one folder, from the first step on."""

    def refuse(name: str, number: int) -> None:
        write, append = files.HashedFile.write, files.append

        def failing(path: Path) -> None:
            if name in path.name or name == path.parent.name:
                raise OSError(number, os.strerror(number))

        def write_or_fail(self: files.HashedFile, data: bytes | memoryview) -> None:
            failing(self.path)
            write(self, data)

        def append_or_fail(path: Path, text: str) -> None:
            failing(path)
            append(path, text)

        monkeypatch.setattr(files.HashedFile, "write", write_or_fail)
        monkeypatch.setattr(files, "append", append_or_fail)

    return refuse


OFTEN = ("evaluation.samples_every=2", "evaluation.every=2")


@pytest.fixture(scope="module")
def whole(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three steps and three more, on a disk that refuses nothing."""
    whole = tmp_path_factory.mktemp("whole") / "run"
    tiny.run(whole, *OFTEN, steps=3)
    tiny.run(whole, *OFTEN, steps=6, resume=True)
    return whole


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("name", LOGS)
def test_f2_a_disk_that_refuses_a_log_does_not_end_the_run(
    tiny: Tiny, tmp_path: Path, whole: Path, refuse: Callable[[str, int], None], name: str, number: int
) -> None:
    path, heard = tmp_path / "run", Heard()
    tiny.run(path, *OFTEN, steps=3)
    refuse(name, number)
    result = tiny.run(path, *OFTEN, steps=6, resume=True, report=heard)
    assert result.step == 6 and saved_steps(path)[-1] == 6
    assert state_id(path, 6) == state_id(whole, 6)
    assert any(name in warning for warning in heard.warnings), heard.warnings
    assert result.loss == read_metrics(whole / "metrics.jsonl")[-1]["loss"]


def test_f2_lost_log_lines_are_counted_and_reported(
    tiny: Tiny, tmp_path: Path, refuse: Callable[[str, int], None]
) -> None:
    heard = Heard()
    refuse("metrics.jsonl", errno.ENOSPC)
    result = tiny.run(tmp_path / "run", steps=5, report=heard)
    assert "5 lines of metrics.jsonl are lost in all" in heard.warnings[-1]
    assert status(tmp_path / "run")["lost_log_lines"] == 5
    assert result.loss > 0 and result.val_bits_per_byte > 0


@pytest.mark.parametrize("name", ["status.json", "loss.svg"])
def test_f2_teeth_without_the_guard_the_run_ends(
    tiny: Tiny, tmp_path: Path, refuse: Callable[[str, int], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "groundup.training.run_directory.RunDirectory.keep",
        lambda self, name, text: files.write_text(self.path / name, text),
    )
    refuse(name, errno.ENOSPC)
    with pytest.raises(StorageError):
        tiny.run(tmp_path / "run", steps=3)


def test_f2_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk takes half of a line and then no more: the next line must not be glued to it."""
    log, heard = tmp_path / "metrics.jsonl", Heard()
    metrics, write = MetricsLog(log, heard), os.write

    def full(descriptor: int, data: memoryview) -> int:
        if len(data) > 20:
            return write(descriptor, data[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    for step in (1, 2, 3):
        metrics.add({"step": step, "loss": 1.0 / step, "seconds": 0.1 * step})
        monkeypatch.setattr(os, "write", full if step == 2 else write)
        metrics.flush()
    assert [row["step"] for row in read_metrics(log, heard)] == [1, 3]
    assert heard.warnings == ["1 lines of metrics.jsonl are lost: No space left on device"]
    metrics.close()
    assert heard.warnings[-1] == "1 lines of metrics.jsonl are lost in all"


BAD_LINES = [b"{broken", b"[1, 2]", b'"text"', b"7", b"\x00\xff\xfe", b"{}", b'{"loss": 1}', b'{"step": "one"}', b"",
             b'{"step": true}', b'{"step": 1e999}', b'{"step": 1' + b"0" * 400 + b"}", b'{"step": NaN}', b"[" * 100_000,
             b'{"step": null, "loss": 2}', b'{"step": [1]}']  # fmt: skip


def test_f2_damaged_lines_are_left_out_with_a_warning(tmp_path: Path) -> None:
    good = [{"step": i, "loss": 2.0 / i, "seconds": float(i)} for i in range(1, len(BAD_LINES) + 1)]
    lines = [part for bad, row in zip(BAD_LINES, good, strict=True) for part in (bad, json.dumps(row).encode())]
    heard, log = Heard(), tmp_path / "metrics.jsonl"
    log.write_bytes(b"\n".join([*lines, b'{"step": 99, "lo']))
    assert read_metrics(log, heard) == good
    assert heard.warnings == [f"{len(BAD_LINES)} damaged lines of metrics.jsonl are left out, the first is line 1"]


def damage_lines(log: Path) -> None:
    log.write_bytes(b"\n".join(BAD_LINES) + b"\n" + log.read_bytes())


def binary(log: Path) -> None:
    log.write_bytes(os.urandom(5000))


def folder(log: Path) -> None:
    log.unlink()
    log.mkdir()


def pipe(log: Path) -> None:
    log.unlink()
    os.mkfifo(log)


def gone(log: Path) -> None:
    log.unlink()


def device(log: Path) -> None:
    log.unlink()
    log.symlink_to("/dev/full")


@pytest.mark.parametrize("damage", [damage_lines, binary, folder, pipe, gone, device])
def test_f2_a_damaged_log_does_not_stop_a_resume(tiny: Tiny, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path, heard = tmp_path / "run", Heard()
    tiny.run(path, steps=3)
    damage(path / "metrics.jsonl")
    assert tiny.run(path, steps=5, resume=True, report=heard).step == 5
    assert heard.steps == [4, 5]
    assert any("metrics.jsonl" in warning for warning in heard.warnings) == (damage is not gone)


@pytest.mark.parametrize("content", [b"[]", b"null", b"7", b"{}", b'{"self": 1}', b"\xff\xfe", b"", b"[" * 100_000])
def test_a_damaged_run_json_is_said_and_nothing_is_trained(tiny: Tiny, tmp_path: Path, content: bytes) -> None:
    tiny.run(tmp_path / "run", steps=2)
    (tmp_path / "run" / "run.json").write_bytes(content)
    with pytest.raises(GroundupError) as caught:
        tiny.run(tmp_path / "run", steps=4, resume=True)
    assert (caught.value.code, caught.value.status) == ("RUN_JSON", 3)
    assert status(tmp_path / "run")["state"] == "done"


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_something_else_in_place_of_run_json_is_said(tiny: Tiny, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    tiny.run(path, steps=2)
    (path / "run.json").unlink()
    (path / "run.json").mkdir() if kind == "folder" else os.mkfifo(path / "run.json")
    with pytest.raises(GroundupError) as caught:
        tiny.run(path, steps=4, resume=True)
    assert (caught.value.code, caught.value.status) == ("RUN_JSON", 3)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_something_else_in_place_of_the_lock_is_said(tiny: Tiny, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "run"
    path.mkdir()
    (path / "lock").mkdir() if kind == "folder" else os.mkfifo(path / "lock")
    with pytest.raises(StorageError) as caught:
        tiny.run(path, steps=2)
    assert (caught.value.code, caught.value.status) == ("PATH_KIND", 2)
    assert "lock" in caught.value.where


def test_a_file_system_without_locks_is_said(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("groundup.files.lock_file", no_locks)
    with pytest.raises(StorageError, match="cannot lock") as caught:
        tiny.run(tmp_path / "run", steps=2)
    assert (caught.value.code, caught.value.status) == ("NO_LOCK", 3)
