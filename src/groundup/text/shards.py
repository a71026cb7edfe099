"""Token shards: a corpus as ids on the disk, of any size, read where they lie.

    DIR/index.json                   what the others must be, byte for byte; written last
    DIR/train-000000.bin             ids, two bytes each (four for a vocabulary above 65,536), little-endian
    DIR/train-000000.documents       where each document ends: positions in the .bin, eight bytes each
    DIR/val-000000.bin …             the documents that are held out
    DIR/tokenizer/tokenizer.json     what the ids mean

All shards of a split but the last have the same number of tokens, so finding a position is a division. A run reads them
as it reads a tensor of ids: `len(ids)`, `ids[start:stop]`. Nothing but the ids that are asked for is in memory. There
is no memory map: a file that is cut while it is mapped ends the whole process (SIGBUS), and here it is an error.

A run reads every shard once when it begins, and compares its hash. What is written over a shard afterwards, byte for
byte as many, is not noticed: while a run is at work its shards are left alone.

Read next: `shard_writer.py` and `prepare.py`, which make them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

import numpy as np
from numpy.typing import NDArray

from .. import files
from ..canonical_json import Json, parse_sealed
from ..errors import DataError, quoted
from .encoders import dtype_of

if TYPE_CHECKING:
    from torch import Tensor

    from .tokenizer import Tokenizer

FORMAT, VERSION = "groundup-shards", 1
INDEX = "index.json"
JOB = "job.json"  # stands there while shards are being made
MAX_INDEX_BYTES = 64 << 20
BLOCK = 1 << 22  # bytes that are hashed at once
MAX_OPEN = 32  # files of one split that stay open: a process may have a thousand, and a corpus more shards

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")


class IdReader:
    """Ids that lie in several arrays or files, read as one long line."""

    def __init__(self, arrays: Sequence[NDArray[Any] | FileIds]) -> None:
        self.arrays = list(arrays)
        self.starts = [0, *accumulate(len(array) for array in arrays)]

    def __len__(self) -> int:
        return self.starts[-1]

    def read(self, start: int, stop: int) -> NDArray[np.int64]:
        """The ids from start up to, but not, stop; they may lie in several arrays."""
        parts: list[NDArray[Any]] = [np.empty(0, np.int64)]
        number = bisect_right(self.starts, start) - 1  # the array that holds the first of them
        while number < len(self.arrays) and self.starts[number] < stop:
            first = self.starts[number]
            parts.append(np.asarray(self.arrays[number][max(start - first, 0) : max(stop - first, 0)]))
            number += 1
        return np.concatenate(parts, dtype=np.int64)

    def __getitem__(self, places: slice) -> Tensor:
        """The ids of a slice as a tensor of int64."""
        import torch

        start, stop, _ = places.indices(len(self))
        return torch.from_numpy(self.read(start, stop))

    def part(self, start: int, stop: int) -> IdReader:
        """The ids between two places, without reading them."""
        ends = zip(self.starts, self.arrays, strict=False)
        return IdReader([array[max(start - first, 0) : max(stop - first, 0)] for first, array in ends])


class OpenFile:
    """A descriptor that is closed with its last user, who may be in the middle of reading when others forget it."""

    def __init__(self, path: Path) -> None:
        with files.open_regular(path) as file:
            self.number = os.dup(file.fileno())

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):  # it was never opened
            os.close(self.number)


@dataclass(frozen=True)
class FileIds:
    """Some of the ids in a file, read when NumPy asks for them (`np.asarray`); a slice reads nothing."""

    path: Path
    kind: np.dtype[Any]
    places: range  # which of them
    opened: Callable[[Path], OpenFile]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, places: slice) -> FileIds:
        return replace(self, places=self.places[places])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The ids themselves. Raises DataError: FILE_CHANGED where they are gone, DATA_READ where the disk fails."""
        del copy  # it is always one
        size = self.kind.itemsize
        try:
            data = read_at(self.opened(self.path).number, len(self) * size, self.places.start * size)
        except FileNotFoundError as error:
            raise changed(self.path, "it is gone") from error
        except OSError as error:
            raise DataError(
                f"the shard cannot be read: {error.strerror}",
                where=quoted(str(self.path)),
                fix="check the disk, and go on with --resume",
                code="DATA_READ",
            ) from error
        if len(data) < len(self) * size:
            raise changed(self.path, f"it ends before token {self.places.stop:,}")
        return np.frombuffer(data, self.kind).astype(dtype or self.kind, copy=False)


def read_at(descriptor: int, n_bytes: int, offset: int) -> bytes:
    """The bytes that stand there, or fewer where the file ends before."""
    blocks, n_read = list[bytes](), 0
    while n_read < n_bytes and (block := _pread(descriptor, n_bytes - n_read, offset + n_read)):
        blocks.append(block)
        n_read += len(block)
    return b"".join(blocks)


def _pread(descriptor: int, n_bytes: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, n_bytes, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)  # Windows has one place in a file for all who read it
    return os.read(descriptor, n_bytes)


def changed(path: Path, problem: str) -> DataError:
    """The error for a shard that is another file than the one that was checked."""
    return DataError(
        f"the shard was changed while it is read: {problem}",
        where=quoted(str(path)),
        fix="bring the file back from a copy, or prepare the texts again; then go on with --resume",
        code="FILE_CHANGED",
    )


@dataclass(frozen=True)
class ShardFolder:
    """The shards of one corpus. Made by `open_shards`, which has checked the index and the sizes of all files."""

    path: Path
    index: Json

    def entries(self, split: Split) -> list[Json]:
        """What the index says of each shard."""
        return self.index["splits"][split]

    def ids(self, split: Split) -> IdReader:
        """The ids of a split, which stay on the disk."""
        kind, opened = np.dtype(self.index["dtype"]).newbyteorder("<"), lru_cache(MAX_OPEN)(OpenFile)
        return IdReader(
            [
                FileIds(self.path / entry["name"], kind, range(entry["n_tokens"]), opened)
                for entry in self.entries(split)
            ]
        )

    def document_ends(self, split: Split) -> NDArray[np.uint64]:
        """Where each document of a split ends, counted through all its shards."""
        first, ends = 0, [np.empty(0, np.uint64)]
        for entry in self.entries(split):
            inside = np.fromfile(self.path / entry["documents"]["name"], np.dtype("<u8"))
            ends.append(inside + np.uint64(first))
            first += entry["n_tokens"]
        return np.concatenate(ends)

    def scan(self, split: Split, check: Callable[[], None] = lambda: None) -> Iterator[tuple[Json, str]]:
        """Read each shard once: (its entry, the sha256 that it has now).

        Raises DataError DATA_TOKEN for an id that the vocabulary does not have. check is called between, and may stop.
        """
        for entry in self.entries(split):
            digest, n_read = hashlib.sha256(), 0
            kind = np.dtype(self.index["dtype"]).newbyteorder("<")
            with open(self.path / entry["name"], "rb") as file:
                while block := file.read(BLOCK):
                    check()
                    if len(block) % kind.itemsize:
                        raise changed(self.path / entry["name"], "it ends in the middle of a token")
                    digest.update(block)
                    self._require_known(np.frombuffer(block, kind), n_read // kind.itemsize, entry["name"])
                    n_read += len(block)
            yield entry, digest.hexdigest()

    def _require_known(self, ids: NDArray[Any], first: int, name: str) -> None:
        n_ids = int(self.index["vocab_size"])
        if int(ids.max(initial=0)) < n_ids:
            return
        place = int(np.argmax(ids >= n_ids))
        raise DataError(
            f"token {first + place:,} is {int(ids[place])}, and ids go from 0 to {n_ids - 1}",
            where=quoted(str(self.path / name)),
            fix="prepare the texts again",
            code="DATA_TOKEN",
        )


def is_shard_folder(path: str | Path) -> bool:
    """Whether shards lie here, or lay here: a folder with one of their files."""
    folder = Path(path)
    return folder.is_dir() and any((folder / name).exists() for name in (INDEX, JOB, "train-000000.bin"))


def open_shards(path: str | Path) -> ShardFolder:
    """The shards in a folder, their index checked, and every file as long as it says.

    Raises DataError: DATA_INDEX for an index that is missing or not as it was written, DATA_VERSION for a newer one,
    DATA_SIZE for a file that is missing, cut or too long.
    """
    folder = Path(path)
    index = read_index(folder)
    for split in SPLITS:
        for entry in index["splits"][split]:
            for file in (entry, entry["documents"]):
                require_size(folder / file["name"], int(file["bytes"]))
    return ShardFolder(folder, index)


def read_index(folder: Path) -> Json:
    """The checked index of a folder of shards."""
    path = folder / INDEX
    try:
        with files.open_regular(path) as file:
            data = bytes(files.read_whole(file, min(path.stat().st_size, MAX_INDEX_BYTES)))
    except FileNotFoundError as error:
        raise bad_index(path, "it is missing: the shards were never finished") from error
    except OSError as error:
        raise bad_index(path, f"it cannot be read: {error.strerror}") from error
    index = parse_sealed(data)
    if index is None or index.get("format") != FORMAT:
        raise bad_index(path, "it is damaged: its own hash does not fit" if index is None else "it is of another kind")
    version = index.get("version")
    if is_count(version) and version > VERSION:
        raise DataError(
            f"these shards were written by a newer groundup: format {version}, this one reads {VERSION}",
            where=quoted(str(path)),
            fix="update groundup",
            code="DATA_VERSION",
        )
    for name, value, is_right, wanted in fields_of(index):
        if not is_right:
            raise bad_index(path, f"its {name} is {quoted(repr(value), 80)}, and should be {wanted}")
    return index


Field = tuple[str, object, bool, str]  # its name, what it is, whether that can be, and what it should be


def fields_of(index: Any) -> Iterator[Field]:
    """Every field of an index, checked one by one: each is only asked for when those before it are right."""
    of = index.get
    n_ids, kind, end, splits = of("vocab_size"), of("dtype"), of("end_of_text"), of("splits")
    yield "version", of("version"), of("version") == VERSION, str(VERSION)
    yield "vocab_size", n_ids, is_count(n_ids, 1) and n_ids <= 1 << 32, "a whole number from 1 up"
    wanted = dtype_of(n_ids)
    yield "dtype", kind, kind == wanted, f"{wanted} for {n_ids:,} ids"
    yield "end_of_text", end, end is None or (is_count(end) and end < n_ids), f"null, or from 0 to {n_ids - 1}"
    yield is_hash("tokenizer_sha256", index)
    yield "splits", splits, isinstance(splits, dict) and set(splits) == set(SPLITS), "a table of train and val"
    for split in SPLITS:
        entries = splits[split]
        yield f"splits.{split}", entries, isinstance(entries, list), "a list"
        for number, entry in enumerate(entries):
            where, stem = f"splits.{split}[{number}]", f"{split}-{number:06d}"
            yield where, entry, isinstance(entry, dict), "a table"
            yield f"{where}.documents", entry.get("documents"), isinstance(entry.get("documents"), dict), "a table"
            full = entries[0]["n_tokens"] if number else None
            yield from fields_of_entry(where, stem, entry, np.dtype(wanted).itemsize, full, number == len(entries) - 1)


def fields_of_entry(
    where: str, stem: str, entry: Any, itemsize: int, full: int | None, is_last: bool
) -> Iterator[Field]:
    """What an index says of one shard. full: the tokens of the first of its split, None for that one itself."""
    of = entry.get
    n_tokens, documents = of("n_tokens"), of("documents")
    yield f"{where}.name", of("name"), of("name") == f"{stem}.bin", f"{stem}.bin"
    yield f"{where}.n_tokens", n_tokens, is_count(n_tokens, 1), "a whole number above 0"
    fits = full is None or n_tokens == full or (is_last and n_tokens < full)
    yield f"{where}.n_tokens", n_tokens, fits, f"{full}, as in the shards before it"
    n_bytes = n_tokens * itemsize
    yield f"{where}.bytes", of("bytes"), of("bytes") == n_bytes, f"{n_bytes} for {n_tokens} tokens"
    yield f"{where}.n_text_bytes", of("n_text_bytes"), is_count(of("n_text_bytes")), "a whole number"
    yield is_hash(f"{where}.sha256", entry)
    name, count, size = (documents.get(key) for key in ("name", "count", "bytes"))
    yield f"{where}.documents.name", name, name == f"{stem}.documents", f"{stem}.documents"
    yield f"{where}.documents.count", count, is_count(count) and count <= n_tokens, f"from 0 to {n_tokens}"
    yield f"{where}.documents.bytes", size, size == 8 * count, f"{8 * count} for {count} documents"
    yield is_hash(f"{where}.documents.sha256", documents)


def is_count(value: object, least: int = 0) -> TypeGuard[int]:
    """Whether this is a whole number and not too small; true and false are none."""
    return type(value) is int and value >= least


def is_hash(name: str, table: Json) -> Field:
    """The field of a sha256, whose last word is its key."""
    value = table.get(name.rpartition(".")[2])
    return name, value, isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None, "64 hex digits"


def require_size(path: Path, n_bytes: int) -> None:
    """Raise DataError DATA_SIZE where a file is not as long as its index says."""
    found = path.stat().st_size if path.is_file() else None
    if found != n_bytes:
        raise DataError(
            f"the shard should have {n_bytes:,} bytes, and {'is missing' if found is None else f'has {found:,}'}",
            where=quoted(str(path)),
            fix="bring the file back from a copy, or prepare the texts again",
            code="DATA_SIZE",
        )


def bad_index(path: Path, problem: str) -> DataError:
    """The error for an index that cannot be believed."""
    return DataError(
        f"the index of these shards cannot be used: {problem}",
        where=quoted(str(path)),
        fix="run groundup prepare again; it goes on where it was stopped"
        if (path.parent / JOB).exists()
        else "bring the file back from a copy, or prepare the texts again into another folder",
        code="DATA_INDEX",
    )


def token_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """How many bytes of text each id stands for; the end of a text is none."""
    lengths = [len(tokenizer.token_bytes(i)) for i in range(tokenizer.vocab_size)]
    if tokenizer.end_of_text is not None:
        lengths[tokenizer.end_of_text] = 0
    return np.array(lengths, dtype=np.int64)
