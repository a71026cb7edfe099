"""The file of tensors: what is written is read, by others too, and every crooked header is refused by name (W4, W8)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup import files
from groundup.errors import StorageError, WeightsError
from groundup.strict_json import parse_json
from groundup.weights.safetensors_file import DTYPES, parse_tensors, read_layout, read_tensors, write_tensors


def some_tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(3, 2, generator=generator).mul(50).to(dtype) for name, dtype in DTYPES.items()}
    tensors |= {
        "scalar": torch.tensor(3.5),
        "empty": torch.empty(0, 4),
        "odd": torch.tensor([1, 2, 3], dtype=torch.uint8),
    }
    return tensors | {"turned": torch.randn(4, 3, generator=generator).T, "é / ü": torch.ones(1)}


def written(path: Path, tensors: dict[str, Tensor]) -> bytes:
    with files.create(path) as file:
        write_tensors(file, tensors)
    return path.read_bytes()


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name
        assert found[name].data_ptr() % tensor.element_size() == 0, name


def test_what_was_written_is_read(tmp_path: Path) -> None:
    tensors = some_tensors()
    content = written(tmp_path / "file", tensors)
    assert_equal(parse_tensors(bytearray(content), ""), tensors)
    assert_equal(read_tensors(tmp_path / "file", read_layout(tmp_path / "file")), tensors)


def test_the_safetensors_package_reads_our_file_and_we_its_file(tmp_path: Path) -> None:
    tensors = {name: tensor.contiguous() for name, tensor in some_tensors().items()}
    aligned = {name: tensor for name, tensor in tensors.items() if name not in ("odd", "U8", "BOOL")}
    written(tmp_path / "ours", aligned)
    assert_equal(safetensors.torch.load_file(tmp_path / "ours"), aligned)
    safetensors.torch.save_file(tensors, tmp_path / "theirs")
    assert_equal(parse_tensors(bytearray((tmp_path / "theirs").read_bytes()), ""), tensors)


def test_the_bytes_are_those_of_the_safetensors_package(tmp_path: Path) -> None:
    tensors = {name: torch.randn(2, 3) for name in ("b", "a.weight", "c.10", "c.9")}
    safetensors.torch.save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    assert written(tmp_path / "ours", tensors) == (tmp_path / "theirs").read_bytes()


def test_the_order_of_the_tensors_does_not_change_the_bytes(tmp_path: Path) -> None:
    tensors = some_tensors()
    assert written(tmp_path / "a", tensors) == written(tmp_path / "b", dict(reversed(tensors.items())))


# Crooked files


def file_of(header: object, payload: bytes = b"", n_header: int | None = None) -> bytearray:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return bytearray((len(text) if n_header is None else n_header).to_bytes(8, "little") + text + payload)


def entry(begin: int, end: int, shape: list[Any] | None = None, dtype: object = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


EIGHT = bytes(8)
CROOKED = {
    "no length": (bytearray(b"\0\0\0"), "length"),
    "empty": (bytearray(), "length"),
    "length past the end": (file_of({}, n_header=100), "header's length is 100 bytes, but only 2 follow"),
    "length 2^63": (file_of({}, n_header=1 << 63), "at most"),
    "length 16 MiB + 1": (file_of(b" " * 32, n_header=(16 << 20) + 1), "at most"),
    "not JSON": (file_of(b"{,}"), "JSON"),
    "not UTF-8": (file_of(b'{"\xff":1}'), "JSON"),
    "a list": (file_of([]), "object"),
    "deep": (file_of(b"[" * 100_000), "deep"),
    "a number of 5,000 digits": (file_of(b'{"a":' + b"1" * 5000 + b"}"), "JSON"),
    "NaN": (file_of(b'{"a":NaN}'), "NaN"),
    "duplicate key": (file_of(b'{"a":%s,"a":%s}' % ((json.dumps(entry(0, 8)).encode(),) * 2), EIGHT), "twice"),
    "duplicate field": (file_of(b'{"a":{"dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8]}}', EIGHT), "twice"),
    "gap": (file_of({"a": entry(0, 4), "b": entry(8, 12)}, bytes(12)), "gap"),
    "gap at the start": (file_of({"a": entry(4, 8)}, EIGHT), "gap"),
    "overlap": (file_of({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)), "overlaps"),
    "the same bytes twice": (file_of({"a": entry(0, 8), "b": entry(0, 8)}, EIGHT), "overlaps"),
    "trailing bytes": (file_of({"a": entry(0, 8)}, bytes(9)), "end at 8, but 9"),
    "data cut": (file_of({"a": entry(0, 8)}, bytes(7)), "end at 8, but 7"),
    "too few bytes for the shape": (file_of({"a": entry(0, 8, [3])}, EIGHT), "shape needs 12"),
    "too many bytes for the shape": (file_of({"a": entry(0, 8, [])}, EIGHT), "shape needs 4"),
    "a product past 2^64": (file_of({"a": entry(0, 8, [1 << 62, 1 << 62])}, EIGHT), "shape needs"),
    "nine axes": (file_of({"a": entry(0, 4, [1] * 9)}, bytes(4)), "shape"),
    "unknown dtype": (file_of({"a": entry(0, 8, dtype="F8_E4M3")}, EIGHT), "F8_E4M3"),
    "dtype of another type": (file_of({"a": entry(0, 8, dtype=["F32"])}, EIGHT), "dtype"),
    "negative size": (file_of({"a": entry(0, 8, [-2])}, EIGHT), "shape"),
    "fractional size": (file_of({"a": entry(0, 8, [2.0])}, EIGHT), "shape"),
    "true as a size": (file_of({"a": entry(0, 4, [True])}, bytes(4)), "shape"),
    "shape is a number": (file_of({"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}}, EIGHT), "shape"),
    "offsets turned round": (file_of({"a": entry(8, 0, [2])}, EIGHT), "data_offsets"),
    "three offsets": (file_of({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4, 8]}}, EIGHT), "data_offsets"),
    "a field missing": (file_of({"a": {"dtype": "F32", "shape": [2]}}, EIGHT), "fields"),
    "a field too many": (file_of({"a": {**entry(0, 8), "x": 1}}, EIGHT), "fields"),
    "an entry that is no table": (file_of({"a": 3}), "fields"),
    "metadata that is no table": (file_of({"__metadata__": 3}), "__metadata__"),
    "metadata that is no text": (file_of({"__metadata__": {"a": 3}}), "__metadata__"),
}


@pytest.mark.parametrize(("content", "named"), CROOKED.values(), ids=CROOKED.keys())
def test_a_crooked_file_is_refused_by_name(content: bytearray, named: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    for read in (lambda: parse_tensors(content, "here"), lambda: read_layout(tmp_path / "file")):
        with pytest.raises(WeightsError) as caught:
            read()
        assert (caught.value.code, caught.value.status) == ("ST_HEADER", 3)
        assert named in caught.value.what
        assert len(caught.value.what) < 400


def sound() -> bytes:
    header = json.dumps({"a": entry(0, 8), "b": entry(8, 12, [])}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(12)


def cut(data: bytes, n: int) -> bytes:
    return data[: n % len(data)]


def flip(data: bytes, n: int) -> bytes:
    changed = bytearray(data)
    changed[n // 8 % len(data)] ^= 1 << n % 8
    return bytes(changed)


@given(st.integers(0, 10_000), st.sampled_from([cut, flip]))
def test_a_changed_file_is_read_or_refused_and_nothing_else(n: int, change: Callable[[bytes, int], bytes]) -> None:
    try:
        tensors = parse_tensors(bytearray(change(sound(), n)), "here")
    except WeightsError as error:
        assert error.code == "ST_HEADER"
    else:
        assert sum(tensor.nbytes for tensor in tensors.values()) == 12


def test_a_file_that_changes_between_header_and_tensors_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(sound())
    layout = read_layout(path)
    renamed = sound().replace(b'"b"', b'"c"')
    for content in (sound()[:-1], sound() + b"\0", sound()[:50], renamed):
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            read_tensors(path, layout)
        assert caught.value.code in ("FILE_CHANGED", "ST_HEADER")
    path.write_bytes(sound())
    assert read_tensors(path, layout).keys() == {"a", "b"}


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    if kind == "folder":
        (tmp_path / "file").mkdir()
    with pytest.raises(StorageError) as caught:
        read_layout(tmp_path / "file")
    assert caught.value.code == "DISK_READ"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_plain_json_is_read_as_ever(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
