"""Writing shards, one after the other, so that what is finished stays finished.

A shard is written under a temporary name and gets its own when it is on the disk. Then `job.json` is replaced, which
says what is finished and from where each split goes on: whoever is stopped at any moment finds there how to go on.

Read next: `prepare.py`, which says what is written.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from .. import files
from ..canonical_json import Json, canonical_json, parse_sealed, sealed
from .encoders import Ids, dtype_of
from .shards import JOB, MAX_INDEX_BYTES, SPLITS, Split, token_lengths
from .tokenizer import Tokenizer


@dataclass(frozen=True)
class Place:
    """From where a split goes on: so many of its tokens of one chunk are in finished shards already."""

    chunk: int = 0
    n_tokens: int = 0
    sha256: str = ""  # of all that was read, up to that chunk and with it


@dataclass
class Job:
    """What is being made, and how far it is."""

    identity: Json
    entries: dict[Split, list[Json]] = field(default_factory=lambda: {"train": [], "val": []})
    places: dict[Split, Place] = field(default_factory=lambda: {"train": Place(), "val": Place()})

    def save(self, out: Path) -> None:
        """Write job.json: what is finished stays finished, whatever comes."""
        places = {split: asdict(place) for split, place in self.places.items()}
        table = sealed({"identity": self.identity, "entries": self.entries, "places": places})
        files.write_text(out / JOB, canonical_json(table).decode())

    @classmethod
    def load(cls, out: Path) -> Job | None:
        """The job that was begun in a folder; None where the file is damaged, or something else stands there."""
        try:
            with files.open_regular(out / JOB) as file:
                table = parse_sealed(
                    bytes(files.read_whole(file, min(os.fstat(file.fileno()).st_size, MAX_INDEX_BYTES)))
                )
            if table is None:
                return None
            job = cls(table["identity"])
            for split in SPLITS:
                job.entries[split], job.places[split] = list(table["entries"][split]), Place(**table["places"][split])
        except (OSError, KeyError, TypeError):
            return None
        return job


class ShardWriter:
    """Writes the shards of one split, one after the other."""

    def __init__(self, out: Path, split: Split, job: Job, tokenizer: Tokenizer, shard_tokens: int) -> None:
        self.out, self.job, self.shard_tokens = out, job, shard_tokens
        self.split: Split = split
        self.dtype = np.dtype(dtype_of(tokenizer.vocab_size)).newbyteorder("<")
        end = tokenizer.end_of_text
        self._end = None if end is None else np.array([end], dtype=self.dtype)
        self._lengths = token_lengths(tokenizer)
        self._place = job.places[split]  # where the next token stands
        self._to_skip = 0
        self._file: files.HashedFile | None = None
        self._n_tokens, self._n_text_bytes, self._ends = 0, 0, list[int]()

    def begin_chunk(self, number: int, sha256: str, n_done: int) -> None:
        """The pieces to come are of this chunk, of which n_done tokens are in finished shards already."""
        self._place = Place(number, 0, sha256)
        self._to_skip = n_done

    def add(self, ids: Ids, ends: bool) -> None:
        """The ids of one piece; at the end of a document, its end-of-text token."""
        if ends and self._end is not None:
            ids = np.concatenate([ids, self._end])
        n_skipped = min(self._to_skip, len(ids))
        self._to_skip -= n_skipped
        self._place = replace(self._place, n_tokens=self._place.n_tokens + n_skipped)
        if n_skipped and n_skipped == len(ids):
            return  # all of it is there, and its end with it
        ids = ids[n_skipped:]
        while len(ids):
            n_taken = min(len(ids), self.shard_tokens - self._n_tokens)
            self._write(ids[:n_taken])
            ids = ids[n_taken:]
            if ends and not len(ids):
                self._ends.append(self._n_tokens)
            if self._n_tokens == self.shard_tokens:
                self.close_shard()

    def _write(self, ids: Ids) -> None:
        with files.storage_errors(self.out):
            self._file = self._file or files.HashedFile(self.out / f".tmp-{self._name}.bin")
            self._file.write(ids.astype(self.dtype, copy=False).tobytes())
        self._n_tokens += len(ids)
        self._n_text_bytes += int(self._lengths[ids].sum())
        self._place = replace(self._place, n_tokens=self._place.n_tokens + len(ids))

    @property
    def _name(self) -> str:
        return f"{self.split}-{len(self.job.entries[self.split]):06d}"

    def close_shard(self) -> None:
        """Put the shard that is being written on the disk for good, if there is one, and its place in the job."""
        if self._file is None:
            return
        name, file = self._name, self._file
        with files.storage_errors(self.out):
            file.sync()
            self.drop()
            files.rename(file.path, self.out / f"{name}.bin")
            ends = np.array(self._ends, dtype="<u8").tobytes()
            with files.create(temporary := self.out / f".tmp-{name}.documents") as documents:
                documents.write(ends)
            files.rename(temporary, self.out / f"{name}.documents")
        entry: Json = {
            "name": f"{name}.bin",
            "bytes": file.n_bytes,
            "sha256": file.sha256,
            "n_tokens": self._n_tokens,
            "n_text_bytes": self._n_text_bytes,
            "documents": {
                "name": f"{name}.documents",
                "bytes": len(ends),
                "sha256": hashlib.sha256(ends).hexdigest(),
                "count": len(self._ends),
            },
        }
        self.job.entries[self.split].append(entry)
        self.job.places[self.split] = self._place
        self.job.save(self.out)
        self._n_tokens, self._n_text_bytes, self._ends = 0, 0, []

    def drop(self) -> None:
        """Close the file; what is not a finished shard stays under its temporary name and goes at the next start."""
        if self._file is not None:
            self._file.close()
            self._file = None
