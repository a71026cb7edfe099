"""Shards are the same bytes however they were made: with any number of workers, in one go or in many."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from groundup.canonical_json import canonical_json, sealed
from groundup.errors import BusyError, ConfigError, DataError, GroundupError, StorageError
from groundup.report import Report
from groundup.text import Tokenizer, packaged, pieces
from groundup.text import prepare as module
from groundup.text.prepare import PrepareOptions, locked, prepare
from groundup.text.shards import open_shards

LONG = packaged("shakespeare").val
TEXTS = [*packaged("the-verdict").train.split("\n\n"), LONG, *packaged("chinese").val[:20_000].split("\n")]
TOKENIZER = Tokenizer.train([LONG, packaged("chinese").val], 600)
OPTIONS = PrepareOptions(workers=0, shard_tokens=3000, val_fraction=0.2)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small text is many pieces."""
    monkeypatch.setattr(pieces, "PIECE", 5000)
    monkeypatch.setattr(module, "CHUNK", 7000)


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    return [write(tmp_path / "texts.jsonl", TEXTS), str(plain(tmp_path / "long.txt"))]


def write(path: Path, texts: list[str]) -> str:
    path.write_bytes(b"".join(canonical_json({"text": text}) for text in texts))
    return str(path)


def plain(path: Path) -> Path:
    path.write_text(LONG * 2)
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def options(**settings: object) -> PrepareOptions:
    return PrepareOptions(**{"workers": 0, "shard_tokens": 3000, "val_fraction": 0.2} | settings)


class Killed(Exception):
    """Stands for a kill at that moment."""


class KillAfter(Report):
    """Ends the work after so many chunks."""

    def __init__(self, n_chunks: int) -> None:
        self.n_left = n_chunks

    def prepared(self, counts: Mapping[str, float]) -> None:
        self.n_left -= 1
        if self.n_left < 0:
            raise Killed


def test_ids_are_those_of_each_text_encoded_as_a_whole(names: list[str], tmp_path: Path) -> None:
    prepare(names, TOKENIZER, tmp_path / "out", options(val_fraction=0))
    wanted = [i for text in [*filter(None, TEXTS), LONG * 2] for i in [*TOKENIZER.encode(text), TOKENIZER.end_of_text]]
    ids = open_shards(tmp_path / "out").ids("train")
    assert ids.read(0, len(ids)).tolist() == wanted


@pytest.mark.slow
def test_any_number_of_workers_writes_the_same_bytes(names: list[str], tmp_path: Path) -> None:
    found = []
    for n_workers in (0, 1, 2, 4):
        prepare(names, TOKENIZER, tmp_path / str(n_workers), options(workers=n_workers))
        found.append(content(tmp_path / str(n_workers)))
    assert found[0] == found[1] == found[2] == found[3]
    assert not [name for name in found[0] if name.startswith((".tmp", "job", "lock"))]


@pytest.mark.slow
def test_a_document_falls_to_its_split_whatever_stands_around_it(tmp_path: Path) -> None:
    orders = [TEXTS, TEXTS[::-1], TEXTS[::2]]
    held_out = []
    for i, texts in enumerate(orders):
        prepare([write(tmp_path / f"{i}.jsonl", texts)], TOKENIZER, tmp_path / str(i), options())
        held_out.append({text for text in texts if text in documents(tmp_path / str(i), "val")})
    assert held_out[0] == held_out[1] and held_out[0]
    assert held_out[2] == held_out[0] & set(orders[2])


def documents(folder: Path, split: str) -> set[str]:
    found = open_shards(folder)
    ids = found.ids(split)
    ends = [0, *found.document_ends(split).tolist()]
    return {TOKENIZER.decode(ids.read(a, b - 1).tolist()) for a, b in pairwise(ends)}


@pytest.mark.slow
def test_a_job_that_was_stopped_anywhere_goes_on_to_the_same_bytes(names: list[str], tmp_path: Path) -> None:
    prepare(names, TOKENIZER, tmp_path / "whole", options())
    whole = content(tmp_path / "whole")
    for n_chunks in range(1, 40, 5):
        out = tmp_path / str(n_chunks)
        try:
            prepare(names, TOKENIZER, out, options(), report=KillAfter(n_chunks))
        except Killed:
            done = {path.name: path.stat().st_ino for path in out.glob("train*.bin")}
            prepare(names, TOKENIZER, out, options())
            assert {name: (out / name).stat().st_ino for name in done} == done  # what was finished is not made again
        assert content(out) == whole
    assert not (tmp_path / "36" / "job.json").exists()


def test_a_job_that_is_stopped_again_and_again_comes_to_its_end(names: list[str], tmp_path: Path) -> None:
    prepare(names, TOKENIZER, tmp_path / "whole", options())
    for attempt in range(100):
        try:
            prepare(names, TOKENIZER, tmp_path / "out", options(), report=KillAfter(3 + attempt % 5))
            break
        except Killed:
            continue
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert attempt > 3


def test_going_on_with_another_text_is_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(Killed):
        prepare(names, TOKENIZER, tmp_path / "out", options(), report=KillAfter(20))
    before = content(tmp_path / "out")
    write(tmp_path / "texts.jsonl", [TEXTS[0] + "!", *TEXTS[1:]])
    with pytest.raises(DataError) as caught:
        prepare(names, TOKENIZER, tmp_path / "out", options())
    assert (caught.value.code, caught.value.status) == ("DATA_CHANGED", 2)
    write(tmp_path / "texts.jsonl", TEXTS[:3])
    (tmp_path / "long.txt").write_text("short")
    with pytest.raises(DataError) as caught:
        prepare(names, TOKENIZER, tmp_path / "out", options())
    assert caught.value.code == "DATA_CHANGED"
    kept = {name: data for name, data in before.items() if not name.startswith(".tmp-")}
    assert {name: content(tmp_path / "out")[name] for name in kept} == kept


def test_teeth_without_the_hash_another_text_would_be_mixed_in(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Killed):
        prepare(names, TOKENIZER, tmp_path / "out", options(), report=KillAfter(20))
    write(tmp_path / "texts.jsonl", [TEXTS[0] + "!", *TEXTS[1:]])
    monkeypatch.setattr(module, "unfinished", lambda chunks, places: (
        chunk for chunk in chunks if chunk.number >= min(place.chunk for place in places.values())
    ))  # fmt: skip
    prepare(names, TOKENIZER, tmp_path / "out", options())  # nobody noticed


@pytest.mark.parametrize("change", ["tokenizer", "options", "names", "finished", "foreign"])
def test_leftovers_of_another_job_are_refused(names: list[str], tmp_path: Path, change: str) -> None:
    out, tokenizer, chosen = tmp_path / "out", TOKENIZER, options()
    if change == "foreign":
        out.mkdir()
        (out / "thesis.tex").write_text("x")
    else:
        report = Report() if change == "finished" else KillAfter(20)
        try:
            prepare(names, TOKENIZER, out, chosen, report=report)
        except Killed:
            tokenizer = Tokenizer.train(LONG, 400) if change == "tokenizer" else tokenizer
            chosen = options(shard_tokens=2000) if change == "options" else chosen
            names = names[:1] if change == "names" else names
    before = {name for name in content(out) if not name.startswith((".tmp-", "lock"))}
    with pytest.raises(ConfigError) as caught:
        prepare(names, tokenizer, out, chosen)
    assert (caught.value.code, caught.value.status) == ("OUT_EXISTS", 2)
    assert before <= set(content(out))


def test_a_refused_folder_keeps_every_file_and_gets_none(names: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("thesis.tex", ".tmp-notes", ".tmp-train-000000.bin", ".tmp-job.json-0123abcd"):
        (out / name).write_text("x")
    before = content(out)
    with pytest.raises(ConfigError) as caught:
        prepare(names, TOKENIZER, out, options())
    assert caught.value.code == "OUT_EXISTS"
    assert content(out) == before


def test_of_a_folder_that_is_taken_only_what_a_stopped_job_left_goes(names: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in (".tmp-notes", ".tmp-train-000000.bin", ".tmp-val-000001.documents", ".tmp-job.json-0123abcd"):
        (out / name).write_text("x")
    (out / ".tmp-train-999999.bin").mkdir()
    prepare(names, TOKENIZER, out, options())
    assert sorted(path.name for path in out.glob(".tmp-*")) == [".tmp-notes", ".tmp-train-999999.bin"]


@pytest.mark.parametrize("kind", ["pipe", "folder", "another table"])
def test_a_job_file_that_is_none_is_refused_and_not_waited_for(names: list[str], tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if kind == "another table":  # alone it would be taken for a damaged one, and begun again
        (out / "train-000000.bin").write_bytes(b"")
    make = {"pipe": os.mkfifo, "folder": Path.mkdir, "another table": lambda path: path.write_bytes(
        canonical_json(sealed({"identity": {}, "entries": [], "places": None}))
    )}  # fmt: skip
    make[kind](out / "job.json")
    with pytest.raises(ConfigError) as caught:
        prepare(names, TOKENIZER, out, options())
    assert caught.value.code == "OUT_EXISTS"


def test_two_jobs_in_one_folder_are_one_too_many(names: list[str], tmp_path: Path) -> None:
    with locked(tmp_path / "out"), pytest.raises(BusyError) as caught:
        prepare(names, TOKENIZER, tmp_path / "out", options())
    assert caught.value.code == "OUT_LOCKED"


def test_d1_texts_without_a_character_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        prepare([str(tmp_path / "a.txt")], TOKENIZER, tmp_path / "out", options())
    assert (caught.value.code, caught.value.status) == ("DATA_EMPTY", 3)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError) as caught:
        prepare([write(tmp_path / "b.jsonl", ["", ""])], TOKENIZER, tmp_path / "out", options())
    assert caught.value.code == "DATA_EMPTY"


def test_a_disk_that_is_too_small_is_noticed_before_the_work(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("groundup.files.shutil.disk_usage", lambda path: usage)
    with pytest.raises(StorageError) as caught:
        prepare(names, TOKENIZER, tmp_path / "out", options())
    assert caught.value.code == "DISK_FULL"
    assert not list((tmp_path / "out").glob("*.bin"))


@pytest.mark.parametrize(
    "bad", [{"val_fraction": 1.0}, {"val_fraction": float("nan")}, {"shard_tokens": 0}, {"workers": -1}]
)
def test_options_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        options(**bad)


def test_one_document_that_falls_to_the_held_out_side_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        prepare([write(tmp_path / "a.jsonl", ["x"])], TOKENIZER, tmp_path / "out", options(val_fraction=0.999999))
    assert caught.value.code == "DATA_SHORT" and "--val-fraction 0" in caught.value.fix


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks into /proc")
def test_a_job_whose_helper_is_killed_says_so_and_goes_on_to_the_same_bytes(names: list[str], tmp_path: Path) -> None:
    class KillHelper(Report):
        def prepared(self, counts: Mapping[str, float]) -> None:
            for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
                os.kill(int(pid), signal.SIGKILL)

    prepare(names, TOKENIZER, tmp_path / "whole", options())
    with pytest.raises(GroundupError) as caught:
        prepare(names, TOKENIZER, tmp_path / "out", options(workers=2), report=KillHelper())
    assert (caught.value.code, caught.value.status) == ("WORKER_LOST", 3)
    assert "same command" in caught.value.fix
    prepare(names, TOKENIZER, tmp_path / "out", options(workers=2))
    assert content(tmp_path / "out") == content(tmp_path / "whole")


JOB = """
import sys
from pathlib import Path
from groundup.text import Tokenizer
from groundup.text.prepare import PrepareOptions, prepare
prepare(sys.argv[3:], Tokenizer.load(sys.argv[1]), Path(sys.argv[2]),
        PrepareOptions(workers=2, shard_tokens=20_000, val_fraction=0.2))
"""


@pytest.mark.slow
def test_a_job_that_is_killed_at_random_moments_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "tokenizer")
    name = write(tmp_path / "a.jsonl", TEXTS * 8)
    command = [sys.executable, "-c", JOB, str(tmp_path / "tokenizer")]
    start = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole"), name], check=True)
    seconds = time.monotonic() - start
    chosen, n_kills = random.Random(7), 0
    for _ in range(12):
        process = subprocess.Popen([*command, str(tmp_path / "out"), name], stderr=subprocess.DEVNULL)
        try:
            assert process.wait(chosen.uniform(0.3, 0.9) * seconds) == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            n_kills += 1
    else:
        subprocess.run([*command, str(tmp_path / "out"), name], check=True)
    assert n_kills > 0
    assert content(tmp_path / "out") == content(tmp_path / "whole")


MEASURED = """
import resource, sys
from pathlib import Path
from groundup.report import Report
from groundup.text import Tokenizer
from groundup.text.prepare import PrepareOptions, prepare

class Memory(Report):
    after = None
    def prepared(self, counts):
        if self.after is None and counts["text_bytes"] > 6e6:
            self.after = peak()

def peak():
    return sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024

memory = Memory()
prepare([sys.argv[2]], Tokenizer.load(sys.argv[1]), Path(sys.argv[3]), PrepareOptions(workers=0), report=memory)
print(peak() - memory.after)
"""


@pytest.mark.slow
def test_a_file_ten_times_the_memory_limit_is_prepared(tmp_path: Path) -> None:
    """60 MB of one text, of which the process may keep no more than 6 once it is warm."""
    TOKENIZER.save(tmp_path / "tokenizer")
    with open(tmp_path / "long.txt", "w", encoding="utf-8") as file:
        while file.tell() < 60_000_000:
            file.write(LONG)
    words = [
        sys.executable,
        "-c",
        MEASURED,
        *map(str, (tmp_path / "tokenizer", tmp_path / "long.txt", tmp_path / "out")),
    ]
    growth = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert growth <= 6
    entries = open_shards(tmp_path / "out").entries("train")
    assert sum(entry["n_text_bytes"] for entry in entries) == (tmp_path / "long.txt").stat().st_size
