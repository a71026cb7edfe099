"""Values as bytes: how cases go to the process that runs a learner's code, and how results come back.

A frame is its length, a JSON header, and the raw bytes of the arrays. There is no pickle, since reading a pickle runs
whatever it says, and the other side runs code that nobody has read. What comes back is taken for what it is, a claim: a
frame that breaks the rules below by one byte is no answer at all.

    4 bytes   length of the frame
    4 bytes   length of the header
    header    {"nonce": …, "id": …, "value": tree}; an array stands there as [kind, dtype, shape]
    bytes     of all arrays, in the order in which the header names them

Read next: `stubs.py`.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Mapping
from typing import Any, BinaryIO

from ..errors import GroundupError
from .case import Call, Kept, Seed, Stub
from .deferred import torch_if_there

MOST_BYTES = 64 << 20  # of a frame
MOST_DEPTH = 32
LENGTH = struct.Struct("<I")

DTYPES = {  # bytes for each number
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1,
}  # fmt: skip


class WireError(GroundupError):
    """A frame that is none."""

    code = "JUDGE_WIRE"


class Opaque(str):
    """The name of a type whose values cannot travel: equal to nothing that anybody expects."""


def pack(nonce: str, number: int, value: Any) -> bytes:
    """A frame. Raises WireError for what is too large or nests too deeply."""
    blobs: list[bytes] = []
    header = json.dumps({"nonce": nonce, "id": number, "value": _tree(value, blobs, 0)}).encode()
    body = b"".join(blobs)
    if len(header) + len(body) > MOST_BYTES:
        raise WireError(f"a value of {len(header) + len(body):,} bytes is too large to be looked at")
    return LENGTH.pack(LENGTH.size + len(header) + len(body)) + LENGTH.pack(len(header)) + header + body


def unpack(frame: bytes) -> tuple[str, int, Any]:
    """(nonce, id, value) of a frame without its first length. Raises WireError for anything but a whole frame."""
    try:
        (length,) = LENGTH.unpack_from(frame)
        header = json.loads(frame[LENGTH.size : LENGTH.size + length])
        nonce, number = header["nonce"], header["id"]
        if not (set(header) == {"nonce", "id", "value"} and isinstance(nonce, str) and isinstance(number, int)):
            raise ValueError("the header")
        reader = _Reader(memoryview(frame)[LENGTH.size + length :])
        value = reader.value(header["value"], 0)
        if reader.rest:
            raise ValueError("bytes after the last array")
    except (ValueError, KeyError, TypeError, IndexError, struct.error, RecursionError, OverflowError) as error:
        raise WireError(f"a frame that is none: {error}") from error
    return nonce, number, value


def read_frame(pipe: BinaryIO) -> bytes | None:
    """The next frame without its first length; None where the pipe ends. Raises WireError when it ends too early."""
    head = pipe.read(LENGTH.size)
    if not head:
        return None
    if len(head) < LENGTH.size:
        raise WireError("half a frame")
    (length,) = LENGTH.unpack(head)
    if not LENGTH.size <= length <= MOST_BYTES + LENGTH.size:
        raise WireError(f"a frame of {length:,} bytes")
    frame = pipe.read(length)
    if len(frame) < length:
        raise WireError("half a frame")
    return frame


# --- values to JSON ---------------------------------------------------------------------------------------------------


def _tree(value: Any, blobs: list[bytes], depth: int) -> Any:
    """The header's form of a value: JSON's own where there is one, otherwise [kind, …]. Arrays leave their bytes."""
    if depth > MOST_DEPTH:
        raise WireError("a value nests too deeply to be looked at")
    match value:
        case None | bool() | str() if type(value) in (type(None), bool, str):
            return value
        case int() if type(value) is int:
            return value if abs(value) < 1 << 53 else ["int", hex(value)]
        case float() if type(value) is float:
            return value if math.isfinite(value) else ["float", repr(value)]
        case bytes() if type(value) is bytes:
            return ["bytes", value.hex()]
        case Seed(number):
            return ["seed", number]
        case Stub(name, values):
            return ["stub", name, _tree(values, blobs, depth + 1)]
        case Kept(name, first):
            return ["kept", name, _tree(first, blobs, depth + 1)]
        case Call(arguments, keywords, gradients, trained):
            trees = [_tree(one, blobs, depth + 1) for one in (arguments, keywords, trained)]
            return ["call", *trees, gradients]
        case Opaque():
            return ["opaque", str(value)]
        case list() | tuple():
            kind = "list" if isinstance(value, list) else "tuple"
            return [kind, [_tree(item, blobs, depth + 1) for item in value]]
        case set() | frozenset():
            return ["set", [_tree(item, blobs, depth + 1) for item in value]]
        case Mapping():
            pairs = [[_tree(k, blobs, depth + 1), _tree(v, blobs, depth + 1)] for k, v in value.items()]
            return ["dict", pairs]
        case _:
            return _array_tree(value, blobs)


def _array_tree(value: Any, blobs: list[bytes]) -> Any:
    """A tensor or a NumPy array as [kind, dtype, shape], a dtype by its name; of anything else the name of its type.

    A single number of NumPy's is a number, which may also be a key. Whether it is a tensor or an array is asked without
    importing either: who has one has imported it.
    """
    torch, numpy = torch_if_there(), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype in DTYPES and value.layout is torch.strided and value.device.type == "cpu":
            flat = value.detach().resolve_conj().resolve_neg().contiguous().reshape(-1)
            blobs.append(flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
            return ["tensor", dtype, list(value.shape)]
        return ["opaque", f"Tensor ({dtype}, {str(value.layout).removeprefix('torch.')}, {value.device.type})"[:100]]
    if numpy is not None and isinstance(value, numpy.generic) and type(number := value.item()) in (bool, int, float):
        return _tree(number, blobs, 0)
    if numpy is not None and isinstance(value, numpy.ndarray):
        array = numpy.ascontiguousarray(value)
        if str(array.dtype) in DTYPES:
            blobs.append(array.tobytes())
            return ["array", str(array.dtype), list(numpy.shape(value))]
    if torch is not None and isinstance(value, torch.dtype) and str(value).removeprefix("torch.") in DTYPES:
        return ["dtype", str(value).removeprefix("torch.")]
    return ["opaque", type(value).__name__[:100]]


class _Reader:
    """Turns a header's tree back into values, taking the bytes of its arrays one after the other."""

    def __init__(self, rest: memoryview) -> None:
        self.rest = rest

    def value(self, tree: Any, depth: int) -> Any:
        """Raises ValueError or TypeError for a tree that `_tree` never makes."""
        if depth > MOST_DEPTH:
            raise ValueError("it nests too deeply")
        if tree is None or isinstance(tree, bool | int | float | str):
            return tree
        kind, *rest = tree
        match kind, rest:
            case "int", [str(text)]:
                return int(text, 16)
            case "float", ["nan" | "inf" | "-inf" as text]:
                return float(text)
            case "bytes", [str(text)]:
                return bytes.fromhex(text)
            case "list", [list(items)]:
                return [self.value(item, depth + 1) for item in items]
            case "tuple", [list(items)]:
                return tuple(self.value(item, depth + 1) for item in items)
            case "set", [list(items)]:
                return {self.value(item, depth + 1) for item in items}
            case "dict", [list(pairs)]:
                return {self.value(k, depth + 1): self.value(v, depth + 1) for k, v in pairs}
            case "seed", [int(number)]:
                return Seed(number)
            case "stub", [str(name), values]:
                return Stub(name, self.value(values, depth + 1))
            case "kept", [str(name), first]:
                return Kept(name, self.value(first, depth + 1))
            case "call", [arguments, keywords, trained, bool(gradients)]:
                values = [self.value(one, depth + 1) for one in (arguments, keywords, trained)]
                return Call(values[0], values[1], gradients, values[2])
            case "tensor" | "array", [str(dtype), list(shape)]:
                return self._array(kind, dtype, shape)
            case "dtype", [str(name)] if name in DTYPES:
                import torch

                return getattr(torch, name)
            case "opaque", [str(name)]:
                return Opaque(name)
            case _:
                raise ValueError(f"a value of kind {str(kind)[:20]!r}")

    def _array(self, kind: str, dtype: str, shape: list[int]) -> Any:
        if dtype not in DTYPES or not all(type(size) is int and 0 <= size <= MOST_BYTES for size in shape):
            raise ValueError(f"an array of {dtype[:20]} and shape {str(shape)[:50]}")
        n_bytes = math.prod(shape) * DTYPES[dtype]
        if n_bytes > len(self.rest):
            raise ValueError("an array without all of its bytes")
        data, self.rest = bytearray(self.rest[:n_bytes]), self.rest[n_bytes:]
        if kind == "tensor":
            import torch

            flat = torch.frombuffer(data, dtype=torch.uint8) if data else torch.empty(0, dtype=torch.uint8)
            return flat.view(getattr(torch, dtype)).reshape(shape)
        import numpy

        return numpy.frombuffer(data, dtype=dtype).reshape(shape)
