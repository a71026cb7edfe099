"""Values travel whole, and a frame that breaks a rule is none."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.path.case import Call, Seed, Stub
from groundup.path.wire import LENGTH, MOST_BYTES, Opaque, WireError, pack, read_frame, unpack

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=12
)


def there_and_back(value: object) -> object:
    frame = read_frame(io.BytesIO(pack("nonce", 7, value)))
    assert frame is not None
    nonce, number, got = unpack(frame)
    assert (nonce, number) == ("nonce", 7)
    return got


@given(VALUES)
def test_plain_values_come_back(value: object) -> None:
    assert there_and_back(value) == value


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int64", "int32", "uint8", "bool"])
def test_tensors_come_back_bit_by_bit(dtype: str) -> None:
    for shape in ((), (3,), (2, 0, 4), (2, 3, 4)):
        tensor = (torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3).to(getattr(torch, dtype))
        back = there_and_back(tensor)
        assert isinstance(back, torch.Tensor)
        assert back.dtype == tensor.dtype
        assert torch.equal(back, tensor)
    view = torch.arange(12).view(3, 4).T[1:]
    assert torch.equal(there_and_back(view), view)


def test_arrays_nan_tuples_sets_and_the_makings_of_arguments_come_back() -> None:
    value = (np.arange(6.0).reshape(2, 3), {3, 4}, Seed(5), Stub("f", (1, 2.5)), Call((1,), {"dim": 0}, True))
    array, *rest = there_and_back(value)
    assert np.array_equal(array, value[0])
    assert rest == list(value[1:])
    assert math.isnan(there_and_back(math.nan))
    assert there_and_back(-math.inf) == -math.inf
    assert there_and_back({(1, 2): 3}) == {(1, 2): 3}
    assert there_and_back({"dtype": torch.bfloat16}) == {"dtype": torch.bfloat16}


def test_numbers_of_numpy_come_back_as_numbers_also_as_keys() -> None:
    counts = {(np.int64(1), np.int32(2)): np.int64(3), np.float32(0.5): np.bool(True)}
    assert there_and_back(counts) == {(1, 2): 3, 0.5: True}
    assert there_and_back([np.float64(math.inf), np.uint8(7)]) == [math.inf, 7]
    assert isinstance(there_and_back(np.complex64(1)), Opaque)
    assert isinstance(there_and_back(np.longdouble(1)), Opaque)


def test_what_cannot_travel_is_named() -> None:
    got = there_and_back(object())
    assert isinstance(got, Opaque)
    assert got == "object"
    assert isinstance(there_and_back(Opaque("object")), Opaque)
    assert isinstance(there_and_back(torch.zeros(2, dtype=torch.complex64)), Opaque)


@given(st.data())
def test_a_damaged_frame_is_no_frame_or_another_value_but_never_a_crash(data: st.DataObject) -> None:
    frame = bytearray(pack("nonce", 1, [torch.arange(4.0), {"a": (1, None)}])[LENGTH.size :])
    for _ in range(data.draw(st.integers(1, 3))):
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(frame)))
    for damaged in (bytes(frame), bytes(frame[:cut])):
        try:
            unpack(damaged)
        except WireError:
            continue


@pytest.mark.parametrize(
    "header",
    [
        '{"nonce": "n", "id": 1, "value": ["tensor", "float32", [1000000, 1000000]]}',
        '{"nonce": "n", "id": 1, "value": ["tensor", "float32", [-1]]}',
        '{"nonce": "n", "id": 1, "value": ["tensor", "object", [1]]}',
        '{"nonce": "n", "id": 1, "value": ["float", "0x1"]}',
        '{"nonce": "n", "id": 1, "value": ["what", 1]}',
        '{"nonce": "n", "id": 1, "value": ' + "[" * 1000 + "]" * 1000 + "}",
        '{"nonce": "n", "id": 1, "value": ["list", [' + '["list", [' * 40 + "]]" * 40 + "]]}",
        '{"nonce": 1, "id": 1, "value": null}',
        '{"id": 1, "value": null}',
        "[]",
        "",
    ],
)
def test_a_header_that_lies_is_refused(header: str) -> None:
    body = header.encode()
    with pytest.raises(WireError):
        unpack(LENGTH.pack(len(body)) + body)


def test_bytes_after_the_last_array_are_refused() -> None:
    with pytest.raises(WireError):
        unpack(pack("n", 1, None)[LENGTH.size :] + b"x")


def test_a_length_that_is_too_large_is_refused_before_anything_is_read() -> None:
    for data in (LENGTH.pack(MOST_BYTES + 100), LENGTH.pack(2), LENGTH.pack(10) + b"x", b"\x01"):
        with pytest.raises(WireError):
            read_frame(io.BytesIO(data))
    assert read_frame(io.BytesIO(b"")) is None


def test_a_value_that_is_too_large_or_too_deep_is_refused() -> None:
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    with pytest.raises(WireError):
        pack("n", 1, deep)
    with pytest.raises(WireError):
        pack("n", 1, torch.zeros(MOST_BYTES // 4))
