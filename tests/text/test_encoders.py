"""Texts go round to helper processes, and their ids come back in order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import Tokenizer, packaged
from groundup.text.encoders import dtype_of, encoders, packed, unpacked
from groundup.text.workers import AHEAD

TEXT = packaged("the-verdict").train
TOKENIZER = Tokenizer.train(TEXT, 300)
WORKS = [[TEXT[start : start + 37 * (start % 7)], "é😀"] for start in range(0, 3000, 100)] + [[]]


@pytest.mark.parametrize("n_workers", [0, 1, 3])
def test_ids_come_in_the_order_of_the_works_and_few_are_taken_ahead(n_workers: int) -> None:
    taken, given_back = [0], 0

    def works() -> Iterator[list[str]]:
        for work in WORKS:
            taken[0] += 1
            yield work

    with encoders(TOKENIZER, n_workers) as encode:
        for work, ids in encode(works(), list):
            assert taken[0] - given_back <= max(1, AHEAD * n_workers)
            assert work == WORKS[given_back]
            assert [array.tolist() for array in ids] == [TOKENIZER.encode(text) for text in work]
            given_back += 1
    assert given_back == len(WORKS)


@pytest.mark.parametrize("kind", ["uint16", "uint32"])
@given(lists=st.lists(st.lists(st.integers(0, 65_535), max_size=4), max_size=4))
def test_arrays_survive_the_way(kind: str, lists: list[list[int]]) -> None:
    arrays = [np.array(items, dtype=kind) for items in lists]
    found = unpacked(packed(arrays), len(arrays), kind)
    assert [array.tolist() for array in found] == lists
    assert all(array.dtype == kind for array in found)


def test_two_bytes_hold_65536_ids_and_no_more() -> None:
    assert (dtype_of(65_536), dtype_of(65_537)) == ("uint16", "uint32")
