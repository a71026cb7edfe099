"""From texts to token shards: any amount of text, on several cores, in little memory, stopped and gone on with at will.

    sources ──> pieces ──> chunks ──> encoders (one process each) ──> a writer for each split ──> shards, index.json

The chunks come back from the encoders in the order in which they went, so that the bytes are the same with any number
of workers. A document goes to the held-out split when the hash of its beginning is small enough: that depends on
nothing but its text, neither on its place nor on its neighbours.

Each shard that is finished is on the disk for good, and a small file, `job.json`, says from which chunk, and how far
into it, its split goes on. A job that was killed reads the texts again from their beginning, which is fast, but encodes
only from there on; a hash over all that was read tells whether it is still the same text. At the end comes the index,
and the job file goes.

Read next: `order.py`, `batches.py`: how a run draws from the shards.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from .. import files
from ..canonical_json import Json, canonical_json, sealed
from ..errors import BusyError, ConfigError, DataError, GroundupError, quoted
from ..report import SILENT, Report
from .encoders import dtype_of, encoders
from .pieces import Piece
from .shard_writer import Job, Place, ShardWriter
from .shards import FORMAT, INDEX, JOB, SPLITS, VERSION, Split
from .sources import Kind, Reading, Source, find_sources, pieces_of
from .tokenizer import Tokenizer

CHUNK = 1 << 18  # characters that go to an encoder at once
HEAD = 1 << 16  # characters of a document that decide on which side it falls
SHARD_TOKENS = 1 << 26
LEFTOVER = re.compile(r"\.tmp-(train|val)-[0-9]{6,}\.(bin|documents)")  # a shard that was not finished
UNPACKED = {"": 1, ".gz": 3, ".zst": 3}  # how many bytes of text a stored byte is, about


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """How texts become shards. All but the number of workers decide the bytes."""

    val_fraction: float = 0.01  # of the documents are held out
    shard_tokens: int = SHARD_TOKENS
    kind: Kind | None = None  # what the files hold; None: as their names say
    field: str = "text"  # of JSON Lines and Parquet
    replace_bad_bytes: bool = False
    workers: int = 1

    def __post_init__(self) -> None:
        for name, value, allowed, what in (
            ("--val-fraction", self.val_fraction, 0 <= self.val_fraction < 1, "a number from 0 up to, but not, 1"),
            ("--shard-tokens", self.shard_tokens, 1 <= self.shard_tokens <= 1 << 31, "1 to 2,147,483,648"),
            ("--workers", self.workers, 0 <= self.workers <= 256, "0 to 256"),
        ):
            if not allowed:
                raise ConfigError(f"{name} is {value}", fix=f"use {what}", code="CFG_VALUE")


@dataclass(frozen=True)
class Chunk:
    """Some pieces that are encoded together."""

    number: int
    sha256: str  # of all that was read, up to this chunk and with it
    pieces: list[tuple[Piece, Split]]

    def texts(self) -> list[str]:
        """What is to be encoded."""
        return [piece.text for piece, _ in self.pieces]


def prepare(
    names: Sequence[str],
    tokenizer: Tokenizer,
    out: Path,
    options: PrepareOptions | None = None,
    *,
    report: Report = SILENT,
) -> Json:
    """Make the shards of some texts in the folder `out`, or go on with them; returns the index.

    names: as `find_sources` takes them. Raises DataError, for other files in `out` ConfigError OUT_EXISTS, and
    StorageError. Whatever ends it early, the same call goes on, and the bytes are those of a call that was not stopped.
    """
    options = options or PrepareOptions()
    sources = find_sources(names, options.kind)
    if sum(source.n_bytes for source in sources) == 0 and all(source.name != "-" for source in sources):
        raise no_text(sources)
    with locked(out):
        job = begin(out, identity_of(sources, tokenizer, options))
        n_done = sum(int(entry["bytes"]) for entries in job.entries.values() for entry in entries)
        files.require_space(out, expected_bytes(sources, tokenizer) - n_done)
        writers: dict[Split, ShardWriter] = {
            split: ShardWriter(out, split, job, tokenizer, options.shard_tokens) for split in SPLITS
        }
        reading = Reading(options.field, options.replace_bad_bytes)
        try:
            write_all(sources, tokenizer, options, job, writers, Progress(sources, reading, report))
        finally:
            for writer in writers.values():
                writer.drop()
        if not job.entries["train"]:
            raise no_text(sources) if not job.entries["val"] else all_held_out(sources)
        if reading.n_replaced:
            report.warn(f"{reading.n_replaced:,} bytes or groups of bytes were no UTF-8 and became U+FFFD")
        if reading.n_empty:
            report.note(f"{reading.n_empty:,} documents without text were left out")
        return finish(out, job, tokenizer)


def write_all(
    sources: Sequence[Source],
    tokenizer: Tokenizer,
    options: PrepareOptions,
    job: Job,
    writers: dict[Split, ShardWriter],
    progress: Progress,
) -> None:
    """Everything from the sources to the last shard."""
    places = dict(job.places)  # from where this call goes on; those in the job move
    pieces = assigned(sources, options, progress.reading)
    with encoders(tokenizer, options.workers) as encode:
        for chunk, ids in encode(unfinished(chunks(pieces), places), Chunk.texts):
            for split, writer in writers.items():
                place = places[split]
                writer.begin_chunk(chunk.number, chunk.sha256, place.n_tokens if chunk.number == place.chunk else 0)
            for (piece, split), array in zip(chunk.pieces, ids, strict=True):
                writers[split].add(array, piece.ends)
            progress.tell(chunk, sum(map(len, ids)))
    for writer in writers.values():
        writer.close_shard()
    progress.finish()


# --- pieces and chunks ------------------------------------------------------------------------------------------------


def assigned(sources: Sequence[Source], options: PrepareOptions, reading: Reading) -> Iterator[tuple[Piece, Split]]:
    """All pieces of all sources, each with the split that its document belongs to."""
    for source in sources:
        starts = True
        split: Split = "train"
        for piece in pieces_of(source, reading):
            if starts:
                split = split_of(piece.text, options.val_fraction)
            starts = piece.ends
            yield piece, split


def split_of(text: str, val_fraction: float) -> Split:
    """Where a document belongs, from the sha256 of its first 65,536 characters."""
    digest = hashlib.sha256(text[:HEAD].encode()).digest()
    return "val" if int.from_bytes(digest[:8], "big") < val_fraction * 2**64 else "train"


def chunks(pieces: Iterable[tuple[Piece, Split]]) -> Iterator[Chunk]:
    """The pieces in chunks: which ones go together follows from the texts alone."""
    digest, number, size, waiting = hashlib.sha256(), 0, 0, list[tuple[Piece, Split]]()
    for piece, split in pieces:
        waiting.append((piece, split))
        digest.update(f"{len(piece.text)} {piece.ends} {split} ".encode() + piece.text.encode())
        size += len(piece.text) + 100  # a thousand empty pieces are some work too
        if size >= CHUNK:
            yield Chunk(number, digest.hexdigest(), waiting)
            number, size, waiting = number + 1, 0, []
    if waiting:
        yield Chunk(number, digest.hexdigest(), waiting)
    # An empty one stands for the end: who stopped there knows whether the text has grown since.
    yield Chunk(number + bool(waiting), digest.hexdigest(), [])


def unfinished(chunks: Iterable[Chunk], places: dict[Split, Place]) -> Iterator[Chunk]:
    """The chunks with what is not in finished shards yet. Raises DataError DATA_CHANGED where the text is another."""
    number = -1
    for chunk in chunks:
        number = chunk.number
        if any(place.chunk == number and place.sha256 not in ("", chunk.sha256) for place in places.values()):
            raise changed_text()
        wanted = [(piece, split) for piece, split in chunk.pieces if number >= places[split].chunk]
        if wanted or not chunk.pieces:
            yield replace(chunk, pieces=wanted)
    if any(place.chunk > number for place in places.values()):
        raise changed_text()


def changed_text() -> DataError:
    """The error for going on with a text that is another one now."""
    return DataError(
        "the texts are not those with which this folder was begun",
        fix="bring them back, or name another folder with --out",
        code="DATA_CHANGED",
        status=2,
    )


# --- the job ----------------------------------------------------------------------------------------------------------


def identity_of(sources: Sequence[Source], tokenizer: Tokenizer, options: PrepareOptions) -> Json:
    """What decides the shards besides the texts themselves."""
    names = hashlib.sha256(canonical_json([[source.name, source.kind] for source in sources])).hexdigest()
    return {
        "format": FORMAT,
        "version": VERSION,
        "sources_sha256": names,
        "tokenizer_sha256": tokenizer.sha256,
        **{key: value for key, value in asdict(options).items() if key not in ("workers", "kind")},
    }


def begin(out: Path, identity: Json) -> Job:
    """The job in a folder: a new one, or the one that was stopped. Raises ConfigError OUT_EXISTS for anything else.

    Of a folder that is refused nothing is touched, and of any other only what a stopped job has left.
    """
    there = sorted(path.name for path in out.iterdir() if path.name != "lock" and not path.name.startswith("."))
    job = Job.load(out) if JOB in there else None
    if (job is None or job.identity != identity) and there and not (there == [JOB] and (out / JOB).is_file()):
        what = "finished shards are" if INDEX in there else "files of another job, or none of ours, are"
        raise ConfigError(
            f"{what} already here: {quoted(', '.join(there[:4]), 100)}",
            where=quoted(str(out)),
            fix="name another folder with --out, or remove this one",
            code="OUT_EXISTS",
        )
    files.discard_temporary(out)
    for path in out.iterdir():
        if LEFTOVER.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)
    if job is None or job.identity != identity:
        job = Job(identity)
        job.save(out)
    return job


def finish(out: Path, job: Job, tokenizer: Tokenizer) -> Json:
    """Write the tokenizer, and then the index: shards are finished when it is there."""
    tokenizer.save(out / "tokenizer")
    index = sealed(
        {
            "format": FORMAT,
            "version": VERSION,
            "dtype": dtype_of(tokenizer.vocab_size),
            "vocab_size": tokenizer.vocab_size,
            "end_of_text": tokenizer.end_of_text,
            "tokenizer_sha256": tokenizer.sha256,
            "val_fraction": job.identity["val_fraction"],
            "splits": job.entries,
        }
    )
    files.write_text(out / INDEX, canonical_json(index).decode())
    (out / JOB).unlink(missing_ok=True)
    return index


@contextlib.contextmanager
def locked(out: Path) -> Generator[None]:
    """The folder, made if need be, for this process alone. The lock goes at the end, and of a refused folder too."""
    files.make_folder(out)
    made = not (out / "lock").exists()
    with files.storage_errors(out):
        descriptor = files.open_to_lock(out / "lock")
    try:
        files.lock_file(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        raise BusyError(
            "another process writes shards into this folder",
            where=quoted(str(out)),
            fix="wait for it, or name another folder with --out",
            code="OUT_LOCKED",
        ) from None
    to_remove = True
    try:
        yield
    except BaseException as error:
        to_remove = made and isinstance(error, GroundupError) and error.code == "OUT_EXISTS"
        raise
    finally:
        if to_remove:
            (out / "lock").unlink(missing_ok=True)
        os.close(descriptor)


def expected_bytes(sources: Sequence[Source], tokenizer: Tokenizer) -> int:
    """About how large the shards will be; where the sources do not say, a little."""
    itemsize = np.dtype(dtype_of(tokenizer.vocab_size)).itemsize
    n_text_bytes = sum(
        source.n_bytes * (3 if source.kind == "parquet" else UNPACKED[source.packing]) for source in sources
    )
    return n_text_bytes * itemsize // 4 + (16 << 20)


def no_text(sources: Sequence[Source]) -> DataError:
    """The error for sources that hold no text at all."""
    return DataError(
        "there is no text in the files",
        where=quoted(", ".join(source.name for source in sources[:3])),
        fix="give files with some text in them",
        code="DATA_EMPTY",
    )


def all_held_out(sources: Sequence[Source]) -> DataError:
    """The error for documents that all fall to the held-out side."""
    return DataError(
        "every document falls to the held-out side, and none is left to learn from",
        where=quoted(", ".join(source.name for source in sources[:3])),
        fix="use --val-fraction 0: a run then holds out the last tenth; and another folder for --out",
        code="DATA_SHORT",
    )


# --- what is told -----------------------------------------------------------------------------------------------------


class Progress:
    """Counts what is done, and tells a report."""

    def __init__(self, sources: Sequence[Source], reading: Reading, report: Report) -> None:
        self.reading, self.report = reading, report
        self.total = sum(source.n_bytes for source in sources)
        self.began = time.monotonic()
        self.counts: dict[str, float] = {"documents": 0, "text_bytes": 0, "tokens": 0}

    def tell(self, chunk: Chunk, n_tokens: int) -> None:
        """One more chunk is written."""
        counts = self.counts
        counts["documents"] += sum(piece.ends for piece, _ in chunk.pieces)
        counts["text_bytes"] += sum(len(piece.text.encode()) for piece, _ in chunk.pieces)
        counts["tokens"] += n_tokens
        # Never all of it before the end: what was read last is still with the encoders.
        self._tell(max(0, min(self.reading.n_bytes, self.total - 1)))

    def finish(self) -> None:
        """All is written."""
        self._tell(self.total)

    def _tell(self, n_bytes: int) -> None:
        seconds = time.monotonic() - self.began
        self.counts["replaced"] = self.reading.n_replaced
        self.report.prepared({**self.counts, "bytes": n_bytes, "total_bytes": self.total, "seconds": seconds})
