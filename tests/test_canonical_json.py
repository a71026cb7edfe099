"""Sealed JSON: what was written, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.canonical_json import canonical_json, parse_sealed, sealed

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
tables = st.dictionaries(st.text().filter(lambda key: key != "self"), values, max_size=5)


@given(tables)
def test_a_sealed_table_comes_back(table: dict[str, object]) -> None:
    assert parse_sealed(canonical_json(sealed(table))) == sealed(table)


def test_every_flipped_bit_and_every_cut_is_noticed() -> None:
    data = canonical_json(sealed({"name": "é", "n": 3, "of": [1.5, None, {"deep": True}]}))
    for place in range(len(data)):
        assert parse_sealed(data[:place]) is None
        for bit in range(8):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            assert parse_sealed(bytes(damaged)) is None


@pytest.mark.parametrize("data", [b"", b"[]\n", b"{}\n", b"[" * 100_000, b'{"self":1}\n', b"\xff"])
def test_what_is_no_sealed_table_is_none(data: bytes) -> None:
    assert parse_sealed(data) is None


def test_there_is_no_way_to_write_what_json_does_not_have() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))
