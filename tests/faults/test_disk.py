"""F1, F3, F4, P7: a disk that is full, read-only or failing costs a save, and never what was saved before."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import TINY, Run
from faults.harness import (
    ForkServer,
    Heard,
    Tiny,
    checkpoint,
    copy_run,
    job,
    leftovers,
    saved_steps,
    seeded,
    state_id,
    status,
    words,
)
from limits import largest_file

from groundup import files
from groundup.errors import StorageError
from groundup.report import SILENT
from groundup.text import packaged
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint
from groundup.weights.manifest import HASHED, MANIFEST


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps, all of them kept."""
    run = tmp_path_factory.mktemp("trained") / "run"
    tiny.run(run, "checkpoint.keep=10", steps=6)
    return run


def boundaries(folder: Path) -> set[int]:
    """The lengths at which a disk may fill: around the beginnings and ends of everything that is written."""
    found: set[int] = set()
    for name in [*HASHED, MANIFEST]:
        n_bytes = (folder / name).stat().st_size
        edges = {0, n_bytes}
        if name.endswith("safetensors"):
            data = (folder / name).read_bytes()
            header = 8 + int.from_bytes(data[:8], "little")
            edges |= {8, header, *range(header, n_bytes, 256)}
        found |= {edge + by for edge in edges for by in (-1, 0, 1)}
    return found


@pytest.mark.slow
def test_f1_a_disk_that_fills_at_any_of_200_lengths_costs_the_save_alone(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    source = load_checkpoint(checkpoint(trained, 6))
    run = copy_run(trained, tmp_path / "run", keep=[5])
    largest = max(file.stat().st_size for file in checkpoint(trained, 6).iterdir())
    with seeded("F1") as chance:
        limits = {limit for limit in boundaries(checkpoint(trained, 6)) if 0 <= limit < largest}
        limits |= set(chance.sample(range(largest), 120))
    assert len(limits) >= 200
    arguments: Any = (6, source.model, source.optimizer, source.state, source.manifest["run_id"], {})
    for limit in sorted(limits):
        with largest_file(limit), pytest.raises(StorageError) as caught:
            save_checkpoint(run / "checkpoints", *arguments)
        assert (caught.value.code, caught.value.status) == ("DISK_FULL", 3), limit
        assert "bytes are needed" in caught.value.what and "are free" in caught.value.what
        assert saved_steps(run) == [5] and leftovers(run) == [], limit
    assert newest_checkpoint(run / "checkpoints", SILENT).step == 5
    save_checkpoint(run / "checkpoints", *arguments)
    assert state_id(run, 6) == state_id(trained, 6)


def test_f1_teeth_a_writer_that_does_not_look_saves_half_a_file(trained: Path, tmp_path: Path) -> None:
    """os.write may take fewer bytes than given: whoever does not count has a cut file and no error."""
    source = load_checkpoint(checkpoint(trained, 6))

    def careless(self: files.HashedFile, data: bytes | memoryview) -> None:
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self.n_bytes += len(view)
        os.write(self._descriptor, view)

    with pytest.MonkeyPatch.context() as patch, largest_file(8000):
        patch.setattr(files.HashedFile, "write", careless)
        patch.setattr(files.HashedFile, "sync", lambda _: None)
        try:
            path = save_checkpoint(
                tmp_path / "checkpoints", 6, source.model, source.optimizer, source.state, "a" * 32, {}
            )
        except StorageError:  # another write hit the limit exactly
            return
    assert (path / "model.safetensors").stat().st_size == 8000


def test_f1_the_third_failed_save_in_a_row_stops_the_run_and_the_last_good_one_goes_on(
    tiny: Tiny, server: ForkServer, tmp_path: Path
) -> None:
    run, log, whole = tmp_path / "run", tmp_path / "log", tmp_path / "whole"
    tiny.run(whole, steps=12)
    assert server.run(job(tiny, run, log, steps=2)) == [0]
    assert server.run(job(tiny, run, log, limits={"RLIMIT_FSIZE": 6000})) == [3]
    assert words(log, "error")[0].startswith("DISK_FULL the disk is full")
    warnings = [text for text in words(log, "warning") if "was not saved" in text]
    assert len(warnings) == 2 and all("[DISK_FULL]" in text for text in warnings)
    assert [int(step) for step in words(log, "step")] == [1, 2, 3, 4, 5]
    assert (status(run)["state"], status(run)["exit_status"], status(run)["saved_step"]) == ("failed", 3, 2)
    assert saved_steps(run)[-1] == 2 and leftovers(run) == []
    assert server.run(job(tiny, run, log)) == [0]
    assert state_id(run, 12) == state_id(whole, 12)


@pytest.mark.parametrize("n_failures", [1, 2])
def test_f1_a_disk_that_has_room_again_is_used_again(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_failures: int
) -> None:
    heard, write = Heard(), files.HashedFile.write

    def full_for_a_while(self: files.HashedFile, data: bytes | memoryview) -> None:
        if self.path.name == "optimizer.safetensors" and any(
            f"-{step:012d}-" in str(self.path) for step in range(3, 3 + n_failures)
        ):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(files.HashedFile, "write", full_for_a_while)
    tiny.run(tmp_path / "run", steps=6, report=heard)
    assert heard.saves == [1, 2, *range(3 + n_failures, 7)]
    assert len(heard.warnings) == n_failures


def test_f1_the_last_state_of_a_run_may_not_be_lost_in_silence(tiny: Tiny, server: ForkServer, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "log"
    assert server.run(job(tiny, run, log, "checkpoint.every=100", limits={"RLIMIT_FSIZE": 6000})) == [3]
    assert words(log, "error")[0].startswith("DISK_FULL")
    assert (status(run)["state"], status(run)["saved_step"]) == ("failed", -1)


# --- a real small disk, where a user may have one of their own ----------------------------------------------------


@pytest.fixture(scope="module")
def own_disks() -> Iterator[ForkServer]:
    """A fork server that may mount: in a name space of its own."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("this system gives users no name space of their own")
    with ForkServer(("unshare", "-rm")) as server:
        yield server


def seen(server: ForkServer, path: Path) -> Path:
    """A path as the fork server's own name space has it."""
    return Path(f"/proc/{server.process.pid}/root{path}")


@pytest.mark.slow
def test_f1_a_small_disk_of_any_size_leaves_a_run_that_goes_on(
    tiny: Tiny, own_disks: ForkServer, tmp_path: Path
) -> None:
    tiny.run(tmp_path / "whole", steps=12)
    expected, ends = state_id(tmp_path / "whole", 12), []
    for n_blocks in [1, 2, 4, 6, 9, 12, 16, 20, 24, 28, 32, 40, 64, 1000]:
        disk, log = tmp_path / f"disk-{n_blocks}", tmp_path / f"log-{n_blocks}"
        disk.mkdir()
        run = disk / "run"
        small = job(tiny, run, log, hook="faults.hooks:mounted", disk=str(disk), size=4096 * n_blocks)
        (ended,) = own_disks.run(small)
        ends.append(ended)
        assert ended in (0, 3), log.read_text()
        assert ended == 0 or words(log, "error")[0].startswith("DISK_FULL"), log.read_text()
        reported = max((int(step) for step in words(log, "saved")), default=0)
        if reported:
            assert newest_checkpoint(seen(own_disks, run / "checkpoints"), SILENT).step >= reported
        assert own_disks.run({**small, "hook": "faults.hooks:grown"}) == [0], log.read_text()
        assert state_id(seen(own_disks, run), 12) == expected
    assert 0 in ends and 3 in ends


def test_f3_a_read_only_folder_is_said_before_the_data_are_read(
    tiny: Tiny, own_disks: ForkServer, tmp_path: Path
) -> None:
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.mkdir()
    for run in (disk, disk / "run", disk / "deep" / "run"):
        assert own_disks.run(job(tiny, run, log, hook="faults.hooks:read_only", disk=str(disk), size=1 << 20)) == [3]
        assert words(log, "error")[-1].startswith("READ_ONLY no permission to write here")
    assert words(log, "phase") == []
    assert list(seen(own_disks, disk).iterdir()) == []


def test_f3_a_folder_that_turns_read_only_is_like_a_full_one(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, heard, real = tmp_path / "run", Heard(), os.open
    tiny.run(run, steps=2)

    def read_only(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and len(heard.steps) >= 1 and str(path).startswith(str(run)):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(StorageError) as caught:
        tiny.run(run, steps=12, resume=True, report=heard)
    assert (caught.value.code, caught.value.status) == ("READ_ONLY", 3)
    assert heard.steps == [3, 4, 5]
    assert saved_steps(run)[-1] == 2 and leftovers(run) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/sys takes no folder from anybody, root included")
@pytest.mark.parametrize(
    "command",
    [
        "tokenizer train TEXT --vocab-size 300 --out OUT",
        "prepare TEXT --tokenizer gpt2 --out OUT",
        "train first-gpt --run-dir OUT",
        "export RUN --out OUT",
        "bench tokenizer --corpus TEXT --vocab-size 300 --out OUT.toml",
    ],
)
def test_f3_every_command_says_where_it_may_not_write(
    command: str, tmp_path: Path, trained: Path, groundup: Run
) -> None:
    (tmp_path / "text.txt").write_text(packaged("the-verdict").train[:1000])
    places = {"TEXT": str(tmp_path / "text.txt"), "RUN": str(trained), "OUT": "/sys/out", "OUT.toml": "/sys/out.toml"}
    words = [places.get(word, word) for word in command.split()]
    shown = groundup(*words, *(TINY if words[0] == "train" else []), "--json")
    error = shown.json["error"]
    assert (shown.status, error["code"]) == (3, "READ_ONLY")
    assert error["where"].startswith("/sys/out")


# --- a failing disk -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "mkdir", "close"])
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_f4_a_call_that_fails_at_any_place_of_a_save_fails_the_save_and_nothing_else(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    source, real, n_failed = load_checkpoint(checkpoint(trained, 6)), getattr(os, call), 0
    for failing in range(200):
        run = copy_run(trained, tmp_path / f"run-{failing}", keep=[5])
        calls: list[str] = []

        def fail(*arguments: Any, failing: int = failing, calls: list[str] = calls, **more: Any) -> Any:
            calls.append(name_of(arguments[0]))
            if len(calls) == failing + 1:
                if call == "close":
                    real(*arguments)
                raise OSError(number, os.strerror(number))
            return real(*arguments, **more)

        monkeypatch.setattr(os, call, fail)
        try:
            save_checkpoint(
                run / "checkpoints", 6, source.model, source.optimizer, source.state, source.manifest["run_id"], {}
            )
        except StorageError as error:
            monkeypatch.setattr(os, call, real)
            n_failed += 1
            assert error.code == ("DISK_FAILED" if number == errno.EIO else "DISK_FULL")
            assert leftovers(run) == []
            assert newest_checkpoint(run / "checkpoints", SILENT).step == 5
            if call == "fsync":
                assert calls[failing] not in calls[failing + 1 :], "an fsync that failed was repeated"
        else:
            monkeypatch.setattr(os, call, real)
            break
    assert n_failed >= {"open": 4, "write": 4, "fsync": 6, "replace": 1, "mkdir": 1, "close": 4}[call]


def name_of(argument: Any) -> str:
    """The path that a descriptor stands for, or the path itself."""
    return os.readlink(f"/proc/self/fd/{argument}") if isinstance(argument, int) else str(argument)


def test_f4_a_failing_disk_under_a_whole_run_stops_it_after_three_saves(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, heard, fsync = tmp_path / "run", Heard(), os.fsync
    tiny.run(run, steps=2)

    def failing(descriptor: int) -> None:
        if ".tmp-0" in name_of(descriptor):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError) as caught:
        tiny.run(run, steps=12, resume=True, report=heard)
    assert caught.value.code == "DISK_FAILED"
    assert heard.steps == [3, 4, 5] and len(heard.warnings) == 2
    assert newest_checkpoint(run / "checkpoints", SILENT).step == 2
