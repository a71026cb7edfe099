"""Where texts come from, however large: files, folders, patterns, standard input and addresses, read piece by piece.

A corpus may be larger than the memory, so nothing here holds more of it than some megabytes, or one line of JSON Lines.

    corpus/*.jsonl.gz   english.parquet   book.txt.zst   folder/   -   s3://bucket/part-*.jsonl

Read next: `prepare.py`, which turns pieces into token shards.
"""

from __future__ import annotations

import codecs
import contextlib
import glob
import gzip
import importlib
import os
import sys
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from ..errors import ConfigError, DataError, GroundupError, quoted
from .corpus import check_binary, document_of, empty, not_utf8, regular_size, unreadable
from .pieces import Piece, cut

Kind = Literal["text", "jsonl", "parquet"]
KINDS: dict[str, Kind] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}  # every other name is a text
COMPRESSED = (".gz", ".zst")
TEXT_ENDINGS = (".txt", ".text", ".md", *KINDS)  # what is read of a folder

BLOCK = 1 << 20  # bytes or characters that are read at once
PACKED_BLOCK = 1 << 10  # bytes of a .zst: four of them may unpack to 131,072, so that these are 32 MiB at most
LONGEST_LINE = 1 << 25  # bytes of one line of JSON Lines


@dataclass(frozen=True)
class Source:
    """One file, or standard input."""

    name: str
    kind: Kind
    n_bytes: int  # as it is stored; 0 where that is not known

    @property
    def packing(self) -> str:
        """How it is compressed: ".gz", ".zst" or not at all."""
        return Path(self.name).suffix if self.name.endswith(COMPRESSED) else ""


@dataclass
class Reading:
    """How to read, and what came up meanwhile."""

    field: str = "text"  # of JSON Lines and Parquet
    replace_bad_bytes: bool = False  # bytes that are no UTF-8 become U+FFFD
    n_replaced: int = 0
    n_empty: int = 0  # documents without text, which are left out
    n_bytes: int = 0  # of the sources, as they are stored


def find_sources(names: Sequence[str], kind: Kind | None = None) -> list[Source]:
    """The files that names stand for, in the order of the names; a pattern's and a folder's in alphabetical order.

    kind: what all of them hold; None: as their names say. Raises DataError PATH for what is not there.
    """
    sources = [Source(name, kind or kind_of(name), n_bytes) for given in names for name, n_bytes in expanded(given)]
    for source in sources:
        if source.kind == "parquet" and (source.packing or source.name == "-"):
            raise DataError(
                "a Parquet file is read from its end, so it cannot be compressed as a whole or come from stdin",
                where=quoted(source.name),
                fix="give the .parquet file itself; it is compressed inside",
                code="PATH_KIND",
                status=2,
            )
    return sources


def pieces_of(source: Source, reading: Reading) -> Iterator[Piece]:
    """The documents of a source, each in one piece or several; those without text are left out.

    Raises DataError: DATA_UTF8, DATA_JSON, DATA_READ, DATA_WORD.
    """
    readers: dict[Kind, Callable[[Source, Reading], Iterator[Iterable[str]]]] = {
        "text": text_documents,
        "jsonl": json_documents,
        "parquet": parquet_documents,
    }
    for document in readers[source.kind](source, reading):
        n_pieces = 0
        for piece in cut(document, source.name):
            n_pieces += 1
            yield piece
        reading.n_empty += n_pieces == 0


def read_documents(path: str | Path) -> list[str]:
    """The documents of a file as whole texts, for corpora that fit into memory; see `pieces_of`.

    Raises DataError DATA_EMPTY where there is none.
    """
    regular_size(Path(path))
    reading, documents, parts = Reading(), list[str](), list[str]()
    for source in find_sources([str(path)]):
        for piece in pieces_of(source, reading):
            parts.append(piece.text)
            if piece.ends:
                documents.append("".join(parts))
                parts = []
    if not documents:
        raise empty(Path(path))
    return documents


# --- finding ----------------------------------------------------------------------------------------------------------


def kind_of(name: str) -> Kind:
    """What a file holds, by its name."""
    return KINDS.get(Path(unpacked_name(name)).suffix, "text")


def unpacked_name(name: str) -> str:
    """The name without the ending of its compression."""
    return name.removesuffix(".gz").removesuffix(".zst")


def expanded(given: str) -> list[tuple[str, int]]:
    """The files that a name stands for, with their sizes."""
    if given == "-":
        return [("-", 0)]
    if "://" in given:
        return expanded_address(given)
    if os.path.isdir(given):
        inside = sorted(str(path) for path in Path(given).rglob("*") if path.is_file())
        names = [name for name in inside if unpacked_name(name).endswith(TEXT_ENDINGS)]
    elif not os.path.lexists(given) and glob.has_magic(given):
        names = sorted(name for name in glob.glob(given, recursive=True) if not os.path.isdir(name))
    else:
        return [(given, regular_size(Path(given)))]
    if not names:
        raise no_files(given)
    return [(name, regular_size(Path(name))) for name in names]


def expanded_address(address: str) -> list[tuple[str, int]]:
    """The same for an address that `fsspec` understands, such as s3://bucket/*.jsonl."""
    fsspec = optional("fsspec")
    with readable(address):
        system, path = fsspec.core.url_to_fs(address)
        paths = sorted(system.glob(path)) if glob.has_magic(path) else [path]
        found = [(str(system.unstrip_protocol(path)), int(system.size(path) or 0)) for path in paths]
    if not found:
        raise no_files(address)
    return found


def no_files(given: str) -> DataError:
    """The error for a pattern or a folder without a file."""
    return DataError(
        "no file is there",
        where=quoted(given),
        fix=f"check the name; of a folder these are read: {', '.join(TEXT_ENDINGS)}, also with .gz or .zst",
        code="PATH",
        status=2,
    )


def optional(package: str) -> Any:
    """A package that only some files need. Raises ConfigError PACKAGE with the way to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"this needs the package {package.partition('.')[0]}, which is not installed",
            fix="pip install 'groundup[data]'",
            code="PACKAGE",
            status=3,
        ) from error


# --- bytes ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def opened(source: Source) -> Generator[BinaryIO]:
    """The stored bytes of a source."""
    with readable(source.name), contextlib.ExitStack() as stack:
        if source.name == "-":
            yield sys.stdin.buffer
        elif "://" in source.name:
            yield stack.enter_context(optional("fsspec").open(source.name, "rb"))
        else:
            yield stack.enter_context(open(source.name, "rb"))


@contextlib.contextmanager
def readable(name: str) -> Generator[None]:
    """Turn what goes wrong in reading into a DataError."""
    try:
        yield
    except GroundupError:  # some of them are a ValueError too
        raise
    except ImportError as error:  # fsspec says which package an address takes: s3fs, gcsfs, …
        raise ConfigError(
            quoted(str(error)), where=quoted(name), fix="install that package with pip", code="PACKAGE", status=3
        ) from error
    except FileNotFoundError as error:
        raise DataError("no such file", where=quoted(name), fix="check the path", code="PATH", status=2) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(name, str(error)) from error
    except (OSError, ValueError) as error:
        raise unreadable(Path(name), error) from error


def damaged(name: str, problem: str) -> DataError:
    """The error for a compressed file that does not unpack."""
    return DataError(
        f"the file is damaged or cut: {problem}", where=quoted(name), fix="fetch or pack it again", code="DATA_READ"
    )


def blocks_of(source: Source, reading: Reading) -> Iterator[bytes]:
    """The unpacked bytes of a source, a megabyte or so at a time."""
    before = reading.n_bytes
    with opened(source) as stored:
        for block in unpacked(source, stored):
            if source.n_bytes:
                reading.n_bytes = before + stored.tell()
            yield block
    reading.n_bytes = before + source.n_bytes


def unpacked(source: Source, stored: BinaryIO) -> Iterator[bytes]:
    """The bytes of an open file without their compression."""
    if source.packing == ".zst":
        yield from unpacked_zst(source, stored)
        return
    stream = cast(BinaryIO, gzip.GzipFile(fileobj=stored)) if source.packing == ".gz" else stored
    while block := stream.read(BLOCK):
        yield block


def unpacked_zst(source: Source, stored: BinaryIO) -> Iterator[bytes]:
    """The bytes of a .zst file, which may hold several frames. A cut one is noticed: its last frame has no end."""
    zstandard = optional("zstandard")
    frame: Any = None
    try:
        while packed := stored.read(PACKED_BLOCK):
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                if block := frame.decompress(packed):
                    yield block
                packed, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except zstandard.ZstdError as error:
        raise damaged(source.name, str(error)) from error
    if frame is not None:
        raise damaged(source.name, "its end is missing")


# --- documents --------------------------------------------------------------------------------------------------------


def text_documents(source: Source, reading: Reading) -> Iterator[Iterable[str]]:
    """A plain text is one document."""
    yield decoded(blocks_of(source, reading), source, reading)


def json_documents(source: Source, reading: Reading) -> Iterator[Iterable[str]]:
    """One document in each line that is not blank."""
    path = Path(source.name)
    for number, (offset, line) in enumerate(lines_of(blocks_of(source, reading), path), start=1):
        text = "".join(decoded([line], source, reading, offset))
        if text.strip():
            yield blocks_of_text(document_of(text, path, number, reading.field))


def parquet_documents(source: Source, reading: Reading) -> Iterator[Iterable[str]]:
    """One document in each row of the column of texts."""
    parquet, arrow = optional("pyarrow.parquet"), optional("pyarrow")
    before = reading.n_bytes
    with opened(source) as stored:
        try:
            table = parquet.ParquetFile(stored)
            require_column(table.schema_arrow, arrow, source, reading.field)
            n_read = 0
            for batch in table.iter_batches(batch_size=256, columns=[reading.field]):
                n_read += len(batch)
                reading.n_bytes = before + source.n_bytes * n_read // table.metadata.num_rows
                yield from (blocks_of_text(cast("str | None", row.as_py()) or "") for row in batch.column(0))
        except arrow.ArrowInvalid as error:
            raise damaged(source.name, str(error)) from error
    reading.n_bytes = before + source.n_bytes


def require_column(schema: Any, arrow: Any, source: Source, field: str) -> None:
    """Raise DataError where a Parquet file has no such column of texts."""
    texts = [
        column.name
        for column in schema
        if arrow.types.is_string(column.type) or arrow.types.is_large_string(column.type)
    ]
    if field not in texts:
        raise DataError(
            f"there is no column {quoted(repr(field))} of texts",
            where=quoted(source.name),
            fix=f"name one of them with --field: {', '.join(texts) or 'it has none'}",
            code="DATA_FIELD",
            status=2,
        )


def lines_of(blocks: Iterator[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of each line. Only a line feed ends one: a text may hold other line ends."""
    offset, rest = 0, bytearray()
    for block in blocks:
        first, *others = block.split(b"\n")
        rest += first
        for other in others:
            yield offset, bytes(rest)
            offset += len(rest) + 1
            rest = bytearray(other)
        if len(rest) > LONGEST_LINE:
            raise DataError(
                f"a line is longer than {LONGEST_LINE:,} bytes",
                where=quoted(str(path)),
                fix="write each document into a line of its own, or the text into a .txt file",
                code="DATA_JSON",
            )
    yield offset, bytes(rest)


def decoded(blocks: Iterable[bytes], source: Source, reading: Reading, offset: int = 0) -> Iterator[str]:
    """The text of UTF-8 bytes that begin at `offset` of a source; a byte-order mark at its start is dropped."""
    mode = "replace" if reading.replace_bad_bytes else "strict"
    rest = b""
    for block in with_end(blocks):
        data, is_last = rest + block, not block
        if offset == 0 and not reading.replace_bad_bytes:
            check_binary(data, Path(source.name))
        try:
            text, n_read = codecs.utf_8_decode(data, mode, is_last)
        except UnicodeDecodeError as error:
            raise bad_byte(source, data, error.start, offset) from error
        # A bad byte and a U+FFFD that stands in the file give the same character; the file's own are counted apart.
        reading.n_replaced += text.count("\ufffd") - data.count(b"\xef\xbf\xbd", 0, n_read)
        yield text.removeprefix("\ufeff") if offset == 0 else text
        offset, rest = offset + n_read, data[n_read:]


def with_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks, and an empty one that says that there are no more."""
    yield from blocks
    yield b""


def bad_byte(source: Source, data: bytes, start: int, offset: int) -> DataError:
    """The error for a byte that is not UTF-8."""
    kind = "UTF-16" if offset == 0 and data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding or a binary file"
    return not_utf8(Path(source.name), f"the byte at offset {offset + start:,} is 0x{data[start]:02x}", kind)


def blocks_of_text(text: str) -> Iterator[str]:
    """A text in blocks, as a file would give it."""
    return (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
