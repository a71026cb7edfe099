"""Texts to learn from: your own files, and three that come with the package.

Any plain text will do, as long as it is UTF-8. A JSON Lines file holds many documents, one JSON object with a "text"
on each line. Files come from outside, so this is the place where they are checked: a missing, empty or binary file is
one clear sentence here, not a puzzle three steps later.

The packaged texts are in the public domain, and each is cut once and for all into a part to train on and a held-out
part to be measured on: Shakespeare's plays, a short story, and Chinese prose.

Read next: `batches.py`, which cuts the ids of a text into windows.
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
    n_zeros = data.count(0, 0, 4096)
    if n_zeros > min(len(data), 4096) // 8:  # text has no zero bytes, or very few
        evidence = f"the byte at offset {data.index(0):,} is zero, and {n_zeros:,} of the first 4,096 are"
        raise not_utf8(path, evidence, "UTF-16 or a binary file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        offset = error.start + len(data) - len(error.object)  # the decoder does not count a byte-order mark
        kind = "UTF-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "another encoding or a binary file"
        raise not_utf8(path, f"the byte at offset {offset:,} is 0x{data[offset]:02x}", kind) from error
    if not text:
        raise empty(path)
    return text


def read_documents(path: str | Path) -> list[str]:
    """The documents of a file: a .jsonl file holds one in the "text" of each line, any other file is one document.

    Raises DataError as `read_text` does, and DATA_JSON, which names the line.
    """
    path = Path(path)
    text = read_text(path)
    if path.suffix != ".jsonl":
        return [text]
    # Only "\n" ends a line of JSON Lines; splitlines would also cut inside a text at U+2028.
    lines = enumerate(text.split("\n"), start=1)
    documents = [document_of(line, path, number) for number, line in lines if line.strip()]
    if not any(documents):
        raise empty(path)
    return documents


def document_of(line: str, path: Path, number: int) -> str:
    """The text in one line of JSON Lines."""
    try:
        record = cast("object", json.loads(line))
    except json.JSONDecodeError as error:
        problem = f"{error.msg} at column {error.colno}"
    except (RecursionError, ValueError):
        problem = "it is nested too deeply, or has a number that is too long"
    else:
        match record:
            case {"text": str(text)} if text.isascii() or text.encode("utf-8", "ignore").decode("utf-8") == text:
                return text
            case {"text": str(_)}:
                problem = 'its "text" has half a surrogate pair, which is no character'
            case _:
                problem = 'an object with a string "text" is needed'
    raise DataError(
        f"line {number:,} is not a document: {problem}",
        where=quoted(str(path)),
        fix='write one object such as {"text": "…"} on each line',
        code="DATA_JSON",
    )


def read_bytes(path: Path) -> bytes:
    """The bytes of a plain file. Looks before it opens: a FIFO would wait for a writer for ever."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError("no such file", where=quoted(str(path)), fix="check the path", code="PATH", status=2) from error
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
        raise DataError(
            f"a text file is needed, and this is {kind}",
            where=quoted(str(path)),
            fix="give the path of a text file",
            code="PATH_KIND",
            status=2,
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    if not data:
        raise empty(path)
    return data


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
