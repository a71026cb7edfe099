"""The file that weights are kept in: a table of contents in JSON, then the numbers, and nothing that could run.

    8 bytes     the length N of the header, least byte first
    N bytes     {"wte": {"dtype": "F32", "shape": [512, 128], "data_offsets": [0, 262144]}, ...}, padded with spaces
    the rest    the tensors' bytes, one after the other

The format is simple enough to check completely before a single tensor is made, and this reader does: every length is
compared with the bytes that are there, and the tensors must fill the file without a gap or an overlap. It reads from
bytes in memory, never from a mapped file: whoever hashed these bytes knows that they are what is parsed here, and a
file that shrinks meanwhile cannot kill the process.

Read next: `manifest.py`.
Source: the safetensors format, https://github.com/huggingface/safetensors (section "Format").
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor

from .. import files
from ..errors import StorageError, WeightsError, quoted
from ..strict_json import parse_json

MAX_HEADER_BYTES = 16 << 20
MAX_AXES = 8
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Entry:
    """One tensor of a header: what it is, and where its bytes lie after the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def describe(self) -> dict[str, object]:
        """What a manifest says about the tensor."""
        return {"dtype": self.dtype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Layout:
    """A checked header: the tensors by name, and where their bytes begin."""

    entries: dict[str, Entry]
    start: int

    @property
    def n_bytes(self) -> int:
        """The length of the whole file."""
        return self.start + max((entry.end for entry in self.entries.values()), default=0)


def scan_header(head: bytes | bytearray, n_bytes: int, where: str) -> Layout:
    """Check a header completely. head: at least the header's bytes; n_bytes: the length of the whole file.

    Raises WeightsError (ST_HEADER) that names the field.
    """
    n_header = header_bytes(head, n_bytes, where)
    try:
        header = parse_json(bytes(head[8 : 8 + n_header]))
    except ValueError as error:
        _refuse(f"the header is not valid JSON: {error}", where)
    if not isinstance(header, dict):
        _refuse("the header is not a JSON object", where)
    table = cast(dict[str, Any], header)
    metadata = table.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in cast(dict[str, Any], metadata).values()):
        _refuse("__metadata__ is not a table of texts", where)
    entries = {name: _entry(name, value, where) for name, value in table.items()}
    _check_order(entries, n_bytes - 8 - n_header, where)
    return Layout(entries, 8 + n_header)


def header_bytes(head: bytes | bytearray, n_bytes: int, where: str) -> int:
    """The length of the header, from the file's first 8 bytes, compared with what there is."""
    if n_bytes < 8 or len(head) < 8:
        _refuse(f"the file has {n_bytes} bytes, and the header's length alone takes 8", where)
    n_header = int.from_bytes(head[:8], "little")
    if n_header > MAX_HEADER_BYTES:
        _refuse(f"the header's length is {n_header:,} bytes; at most {MAX_HEADER_BYTES:,} are read", where)
    if n_header > n_bytes - 8:
        _refuse(f"the header's length is {n_header:,} bytes, but only {n_bytes - 8:,} follow", where)
    return n_header


def _entry(name: str, value: object, where: str) -> Entry:
    """One entry of the header, every field checked."""
    shown = quoted(name, 80)
    fields = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    if set(fields) != {"dtype", "shape", "data_offsets"}:
        _refuse(f"{shown} does not have exactly the fields dtype, shape and data_offsets", where)
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(f"{shown}: dtype is {quoted(str(dtype), 20)}; supported are {', '.join(DTYPES)}", where)
    if not _is_counts(shape) or len(shape) > MAX_AXES:
        _refuse(f"{shown}: shape is not a list of at most {MAX_AXES} whole numbers", where)
    if not _is_counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _refuse(f"{shown}: data_offsets are not two whole numbers in order", where)
    needed = math.prod(shape) * DTYPES[dtype].itemsize
    if offsets[1] - offsets[0] != needed:
        _refuse(f"{shown}: data_offsets give {offsets[1] - offsets[0]:,} bytes, its shape needs {needed:,}", where)
    return Entry(dtype, tuple(shape), offsets[0], offsets[1])


def _is_counts(value: object) -> bool:
    """Whether this is a list of numbers that could be sizes or places: whole, not negative, below 2^63."""
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in cast(list[Any], value))


def _check_order(entries: Mapping[str, Entry], n_payload: int, where: str) -> None:
    """The tensors must lie one after the other, from the first byte after the header to the last of the file."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            kind = "overlaps the tensor before it" if entry.begin < end else "leaves a gap before it"
            _refuse(f"{quoted(name, 80)}: data_offsets begin at {entry.begin:,}, which {kind} (at {end:,})", where)
        end = entry.end
    if end != n_payload:
        _refuse(f"data_offsets end at {end:,}, but {n_payload:,} bytes follow the header", where)


def _refuse(what: str, where: str) -> NoReturn:
    raise WeightsError(what, where=where, fix="get the file again: this one is damaged", code="ST_HEADER")


def parse_tensors(data: bytearray, where: str) -> dict[str, Tensor]:
    """The tensors in a whole file's bytes, by name; they share memory with `data`. Raises WeightsError (ST_HEADER)."""
    layout = scan_header(data, len(data), where)
    return {name: _tensor(data, layout.start, entry) for name, entry in layout.entries.items()}


def _tensor(data: bytearray, start: int, entry: Entry) -> Tensor:
    dtype, begin, end = DTYPES[entry.dtype], start + entry.begin, start + entry.end
    if begin == end:
        return torch.empty(entry.shape, dtype=dtype)
    if begin % dtype.itemsize:  # processors want a number to begin at a multiple of its size: copy it to such a place
        data, begin, end = data[begin:end], 0, end - begin
    count = (end - begin) // dtype.itemsize
    return torch.frombuffer(data, dtype=dtype, count=count, offset=begin).reshape(entry.shape)


def read_layout(path: Path) -> Layout:
    """The checked header of a file, without its tensors. Raises WeightsError (ST_HEADER), StorageError (DISK_READ)."""
    try:
        with files.open_regular(path) as file:
            n_bytes = file.seek(0, 2)
            file.seek(0)
            head = files.read_whole(file, min(8, n_bytes))
            head += files.read_whole(file, header_bytes(head, n_bytes, str(path)))
            return scan_header(head, n_bytes, str(path))
    except OSError as error:
        raise read_error(error, path) from error


def read_tensors(path: Path, layout: Layout) -> dict[str, Tensor]:
    """All tensors of a file whose header was read before. Raises WeightsError (FILE_CHANGED) if it is another now."""
    try:
        with files.open_regular(path) as file:
            data = files.read_whole(file, layout.n_bytes + 1)  # one more than expected, to see that it ends there
    except OSError as error:
        raise read_error(error, path) from error
    if len(data) != layout.n_bytes or scan_header(data, len(data), str(path)) != layout:
        raise WeightsError(
            f"the file changed while it was read: {layout.n_bytes:,} bytes were expected",
            where=str(path),
            fix="wait until nothing writes to it, and try again",
            code="FILE_CHANGED",
        )
    return parse_tensors(data, str(path))


def read_error(error: OSError, path: Path) -> StorageError:
    """The StorageError for a file that cannot be read, which is not the same as a damaged one."""
    return StorageError(
        f"cannot read the file: {error.strerror}", where=str(path), fix="check that you may read it", code="DISK_READ"
    )


def write_tensors(file: files.HashedFile, tensors: Mapping[str, Tensor]) -> None:
    """Write a whole file, the tensors one at a time and sorted by name, so that equal tensors give equal bytes."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}  # without it some readers refuse the file
    end = 0
    for name, tensor in sorted(tensors.items()):
        begin, end = end, end + tensor.nbytes
        header[name] = {**describe(tensor), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the numbers begin at a multiple of 8 bytes
    file.write(len(text).to_bytes(8, "little"))
    file.write(text)
    for _, tensor in sorted(tensors.items()):
        if tensor.numel():
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().data)


def describe(tensor: Tensor) -> dict[str, object]:
    """A tensor's dtype and shape as the header and a manifest name them."""
    return {"dtype": DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape)}


def is_pickle(head: bytes) -> bool:
    """Whether these first bytes are those of a pickle (`torch.save`, old or new), which a reader must not open."""
    return head.startswith((b"PK\x03\x04", b"\x80")) and head[8:9] != b"{"  # a safetensors header begins at byte 8
