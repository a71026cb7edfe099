"""Windows and their targets."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.errors import DataError
from groundup.text.batches import Windows, next_token_windows, random_batch
from groundup.text.order import keyed_permutation

lengths = st.integers(2, 60)


@given(lengths, st.integers(1, 12), st.integers(1, 12))
def test_windows_start_at_every_stride_and_their_targets_come_one_later(n: int, length: int, stride: int):
    ids = torch.arange(n) * 3
    inputs, targets = next_token_windows(ids, length, stride)
    starts = [start for start in range(0, n, stride) if start + length + 1 <= n]
    assert inputs.tolist() == [ids[start : start + length].tolist() for start in starts]
    assert targets.tolist() == [ids[start + 1 : start + length + 1].tolist() for start in starts]
    assert inputs.shape == targets.shape == (len(starts), length)


def test_random_batches_come_from_every_valid_start_and_follow_the_generator():
    ids = torch.arange(10)
    inputs, targets = random_batch(ids, 500, 4, torch.Generator().manual_seed(1))
    assert inputs.shape == (500, 4)
    assert torch.equal(targets, inputs + 1)
    assert set(inputs[:, 0].tolist()) == set(range(6))
    assert torch.equal(inputs, random_batch(ids, 500, 4, torch.Generator().manual_seed(1))[0])
    assert not torch.equal(inputs, random_batch(ids, 500, 4, torch.Generator().manual_seed(2))[0])


def test_an_epoch_reads_every_window_once_across_batches():
    windows = Windows(torch.arange(103), context_length=4, seed=5)
    assert len(windows) == 25
    starts = [row[0].item() for step in range(10) for row in windows.batch(step, 5)[0]]
    assert sorted(starts[:25]) == sorted(starts[25:]) == list(range(0, 100, 4))
    assert starts[:25] != starts[25:]


def test_a_batch_follows_from_seed_and_step_alone():
    ids = torch.arange(200)
    first, second = Windows(ids, 4, seed=3), Windows(ids, 4, seed=3)
    late = second.batch(17, 6)
    for step in range(17):
        first.batch(step, 6)
    assert torch.equal(first.batch(17, 6)[0], late[0])
    assert not torch.equal(Windows(ids, 4, seed=4).batch(17, 6)[0], late[0])


@given(st.integers(1, 7), st.integers(1, 7))
def test_a_position_is_step_times_batch_plus_index(batch_size: int, step: int):
    ids = torch.arange(50)
    windows = Windows(ids, 3, seed=1)
    inputs, targets = windows.batch(step, batch_size)
    for i, row in enumerate(inputs):
        epoch, index = divmod(step * batch_size + i, len(windows))
        start = keyed_permutation(len(windows), 1, epoch).permute(index) * 3
        assert row.tolist() == ids[start : start + 3].tolist()
    assert torch.equal(targets, inputs + 1)


def test_without_shuffling_windows_come_in_the_order_of_the_text():
    inputs, _ = Windows(torch.arange(20), 4, shuffle=False).batch(1, 2)
    assert inputs.tolist() == [[8, 9, 10, 11], [12, 13, 14, 15]]


@given(lengths, st.integers(1, 12), st.integers(1, 5))
def test_evaluation_predicts_every_token_but_the_first_once(n: int, length: int, batch_size: int):
    ids = torch.arange(n)
    if n <= length:
        return
    batches = list(Windows(ids, length).all(batch_size))
    assert torch.cat([inputs.flatten() for inputs, _ in batches]).tolist() == list(range(n - 1))
    assert torch.cat([targets.flatten() for _, targets in batches]).tolist() == list(range(1, n))
    assert all(inputs.shape == targets.shape and len(inputs) <= batch_size for inputs, targets in batches)


def test_windows_are_cut_by_the_part_that_is_given():
    def targets_that_leak(ids: Tensor, context_length: int, stride: int) -> tuple[Tensor, Tensor]:
        inputs, _ = next_token_windows(ids, context_length, stride)
        return inputs, inputs

    windows = Windows(torch.arange(20), 4)
    for inputs, targets in [windows.batch(0, 2, targets_that_leak), *windows.all(3, targets_that_leak)]:
        assert torch.equal(inputs, targets)


@pytest.mark.parametrize("n", [0, 1, 10, 256])
def test_a_text_shorter_than_one_window_names_both_numbers(n: int):
    with pytest.raises(DataError) as caught:
        Windows(torch.zeros(n, dtype=torch.int64), 256, where="short.txt")
    assert (caught.value.code, caught.value.status, caught.value.where) == ("DATA_SHORT", 3, "short.txt")
    assert f" {n} " in caught.value.what and "257" in caught.value.what


def test_one_window_is_enough():
    assert len(Windows(torch.zeros(257, dtype=torch.int64), 256)) == 1
