"""Texts go round to helper processes, and their ids come back in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import TokenizerError
from groundup.text import Tokenizer, packaged
from groundup.text import encoders as module
from groundup.text.encoders import BULK, dtype_of, encoders, packed, unpacked
from groundup.text.workers import AHEAD, Worker, WorkerLost

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


@pytest.mark.parametrize("n_workers", [0, 2, None])
def test_a_batch_has_the_ids_that_each_text_has_alone(n_workers: int | None) -> None:
    texts = [text for work in WORKS for text in work] + ["", TEXT * 30, "<|endoftext|>"]
    assert TOKENIZER.encode_batch(texts, n_workers=n_workers) == [TOKENIZER.encode(text) for text in texts]
    assert TOKENIZER.encode_batch([], n_workers=n_workers) == []


def test_much_text_goes_to_helpers_and_little_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def count(tokenizer: Tokenizer, n_workers: int) -> Any:
        started.append(n_workers)
        return encoders(tokenizer, 0)

    monkeypatch.setattr(module, "encoders", count)
    monkeypatch.setattr(module, "n_cores", lambda: 3)
    TOKENIZER.encode_batch([TEXT])
    assert started == []
    TOKENIZER.encode_batch([TEXT] * (BULK // len(TEXT) + 1))
    assert started == [3]


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_batch_with_half_a_surrogate_pair_is_refused_as_one_text_is(n_workers: int) -> None:
    with pytest.raises(TokenizerError) as caught:
        TOKENIZER.encode_batch(["fine", "a word \ud800 here"], n_workers=n_workers)
    assert (caught.value.code, caught.value.status) == ("TOK_TEXT", 2)
    assert str(caught.value) == error_of(lambda: TOKENIZER.encode("a word \ud800 here"))


def error_of(work: Callable[[], object]) -> str:
    """What it is refused with."""
    with pytest.raises(TokenizerError) as caught:
        work()
    return str(caught.value)


def test_r7_a_helper_that_is_killed_ends_the_batch_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(worker: Worker) -> bytes:
        os.kill(worker.pid, signal.SIGKILL)
        return receive(worker)

    receive = Worker.receive
    monkeypatch.setattr(Worker, "receive", killed)
    with pytest.raises(WorkerLost) as caught:
        TOKENIZER.encode_batch([TEXT] * 50, n_workers=2)
    assert (caught.value.code, caught.value.status) == ("WORKER_LOST", 3)
