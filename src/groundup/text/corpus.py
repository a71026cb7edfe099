"""Texts to learn from: your own files, and three that come with the package.

Any plain text will do, as long as it is UTF-8. Files come from outside, so this is the place where they are checked: a
missing, empty or binary file is one clear sentence here, not a puzzle three steps later.

The packaged texts are in the public domain, and each is cut once and for all into a part to train on and a held-out
part to be measured on: Shakespeare's plays, a short story, and Chinese prose.

Read next: `sources.py`, which reads corpora of any size and form.
"""

from __future__ import annotations

import json
import lzma
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from ..errors import DataError, quoted
from .patterns import DATA


@dataclass(frozen=True)
class Corpus:
    """A text in two parts that never mix."""

    train: str
    val: str


# How many characters are for training; the rest is held out. For the two English texts it is int(0.9 * len(text)).
# The Chinese text ends with two whole chapters of 三国演义 (60 and 120), held out because a model must not have read
# the chapter that it is measured on.
N_TRAIN = {"shakespeare": 1_003_854, "the-verdict": 18_431, "chinese": 675_832}


def packaged(name: str) -> Corpus:
    """A text that comes with the package: "shakespeare", "the-verdict" or "chinese". Raises DataError for another."""
    if name not in N_TRAIN:
        raise DataError(
            f"no packaged text is named {quoted(repr(name))}",
            fix=f"use one of: {', '.join(N_TRAIN)}; or give the path of a text file",
            code="PATH",
            status=2,
        )
    text = lzma.decompress((DATA / f"{name}.txt.xz").read_bytes()).decode("utf-8")
    return Corpus(text[: N_TRAIN[name]], text[N_TRAIN[name] :])


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file, every character of it; a byte-order mark at its start is dropped.

    Raises DataError: PATH, PATH_KIND, DATA_READ, DATA_EMPTY, or DATA_UTF8 with the offset of the first bad byte.
    """
    path = Path(path)
    data = read_bytes(path)
    check_binary(data, path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(error.object)  # the decoder does not count a byte-order mark
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding or a binary file"
        raise not_utf8(path, f"the byte at offset {offset:,} is 0x{data[offset]:02x}", kind) from error
    if not text:
        raise empty(path)
    return text


def check_binary(data: bytes, path: Path) -> None:
    """Raise DataError DATA_UTF8 for a beginning that is no text: text has no zero bytes, or very few."""
    n_zeros = data.count(0, 0, 4096)
    if n_zeros > min(len(data), 4096) // 8:
        evidence = f"the byte at offset {data.index(0):,} is zero, and {n_zeros:,} of the first 4,096 are"
        raise not_utf8(path, evidence, "UTF-16 or a binary file")


def document_of(line: str, path: Path, number: int, field: str = "text") -> str:
    """The text in one line of JSON Lines, which stands in `field`."""
    try:
        record = cast("object", json.loads(line))
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at column {error.colno}"
    except (RecursionError, ValueError):
        problem = "it is nested too deeply, or has a number that is too long"
    else:
        text = cast("dict[str, object]", record).get(field) if isinstance(record, dict) else None
        if isinstance(text, str):
            if text.isascii() or text.encode("utf-8", "ignore").decode("utf-8") == text:
                return text
            problem = f'its "{field}" has half a surrogate pair, which is no character'
        else:
            problem = f'an object with a string "{quoted(field)}" is needed'
    raise DataError(
        f"line {number:,} is not a document: {problem}",
        where=quoted(str(path)),
        fix=f'write one object such as {{"{quoted(field)}": "…"}} on each line',
        code="DATA_JSON",
    )


def read_bytes(path: Path) -> bytes:
    """The bytes of a plain file."""
    regular_size(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if not data:
        raise empty(path)
    return data


def regular_size(path: Path) -> int:
    """The size of a plain file. Looks before anybody opens: a FIFO would wait for a writer for ever."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("no such file", where=quoted(str(path)), fix="check the path", code="PATH", status=2) from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a device, pipe or socket"
        raise DataError(
            f"a text file is needed, and this is {kind}",
            where=quoted(str(path)),
            fix="give the path of a text file",
            code="PATH_KIND",
            status=2,
        )
    return found.st_size


def empty(path: Path) -> DataError:
    """The error for a file without text."""
    return DataError(
        "the file is empty", where=quoted(str(path)), fix="give a file with some text in it", code="DATA_EMPTY"
    )


def unreadable(path: Path, error: OSError | ValueError) -> DataError:
    """The error for a file that is there and cannot be read."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return DataError(
        f"the file cannot be read: {reason}",
        where=quoted(str(path)),
        fix="check its permissions and the disk",
        code="DATA_READ",
    )


def not_utf8(path: Path, evidence: str, kind: str) -> DataError:
    """The error for a file in another encoding."""
    return DataError(
        f"the file is not UTF-8: {evidence}",
        where=quoted(str(path)),
        fix=f"it looks like {kind}; for a text, convert it first: iconv -f ENCODING -t UTF-8 FILE",
        code="DATA_UTF8",
    )
