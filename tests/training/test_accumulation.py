"""Accumulation: the mean over tokens however a batch is cut, and one order of addition however it is shared."""

from __future__ import annotations

import weakref
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import random_ids, random_tensor
from torch import Tensor, nn
from torch.nn import functional

from groundup.training.accumulation import Gradients, TreeSum, accumulate_gradients, take_gradients
from groundup.training.loss import cross_entropy


def new_parameters(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [random_tensor(7, 4, seed=i, dtype=dtype).requires_grad_() for i in range(2)]


def loss_sum(params: list[Tensor], ids: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    logits = torch.tanh(params[0][ids]) @ params[1].T
    n_tokens = int((targets != -100).sum())
    return cross_entropy(logits, targets) * n_tokens, n_tokens


def gradients(seed: int) -> Gradients:
    return [random_tensor(5, seed=seed), random_tensor(3, 2, seed=seed + 1000)]


def sum_of(numbers: range) -> Gradients:
    tree = TreeSum()
    for number in numbers:
        tree.add(gradients(number))
    return tree.total()


@given(cuts=st.sets(st.integers(1, 11)), n_ignored=st.integers(0, 11))
def test_the_gradient_is_that_of_the_mean_over_tokens_however_the_batch_is_cut(cuts: set[int], n_ignored: int) -> None:
    ids, targets = random_ids(12, vocab_size=7), random_ids(12, vocab_size=7, seed=1)
    targets[:n_ignored] = -100  # so that micro-batches differ in their number of tokens, down to none
    params = new_parameters()
    mean = cross_entropy(torch.tanh(params[0][ids]) @ params[1].T, targets)
    expected = torch.autograd.grad(mean, params)

    micro_batches = [(ids[a:b], targets[a:b]) for a, b in pairwise([0, *sorted(cuts), 12])]
    loss = accumulate_gradients(lambda batch: loss_sum(params, *batch), params, micro_batches)
    assert loss == pytest.approx(mean.item())
    for param, grad in zip(params, expected, strict=True):
        torch.testing.assert_close(param.grad, grad)


def test_what_was_in_grad_before_is_dropped() -> None:
    params = new_parameters()
    batch = (random_ids(5, vocab_size=7), random_ids(5, vocab_size=7, seed=1))
    accumulate_gradients(lambda batch: loss_sum(params, *batch), params, [batch])
    first = [param.grad for param in params]
    accumulate_gradients(lambda batch: loss_sum(params, *batch), params, [batch])
    assert all(param.grad is not None and param.grad.equal(grad) for param, grad in zip(params, first, strict=True))


def test_a_parameter_that_nothing_reaches_has_no_gradient() -> None:
    used, late, unused = (nn.Parameter(torch.ones(2)) for _ in range(3))
    unused.grad = torch.ones(2)

    def loss_fn(number: int) -> tuple[Tensor, int]:
        return (used * (late if number == 1 else 1)).sum(), 2

    assert accumulate_gradients(loss_fn, [used, late, unused], [0, 1]) == 1.0
    assert used.grad is not None and used.grad.tolist() == [0.5, 0.5]
    assert late.grad is not None and late.grad.tolist() == [0.25, 0.25]
    assert unused.grad is None


def test_no_tokens_at_all_give_a_loss_and_a_gradient_of_zero() -> None:
    params = new_parameters()
    ignored = (random_ids(5, vocab_size=7), torch.full((5,), -100))
    assert accumulate_gradients(lambda batch: loss_sum(params, *batch), params, [ignored]) == 0.0
    assert all(param.grad is not None and not param.grad.any() for param in params)
    assert accumulate_gradients(lambda batch: loss_sum(params, *batch), params, []) == 0.0
    assert all(param.grad is None for param in params)


def test_gradients_that_share_memory_are_not_mixed_up() -> None:
    a, b = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(3))
    accumulate_gradients(lambda scale: ((a + b).sum() * scale, 1), [a, b], [1.0, 2.0, 3.0])
    assert a.grad is not None and a.grad.tolist() == [2.0] * 3
    assert b.grad is not None and b.grad.tolist() == [2.0] * 3


def test_one_micro_batch_costs_no_copy() -> None:
    parameter = nn.Parameter(random_tensor(1000))
    seen: list[Tensor] = []

    def loss_fn(x: Tensor) -> tuple[Tensor, int]:
        return functional.linear(x, parameter.view(1, -1)).sum(), 1

    parameter.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad))
    accumulate_gradients(loss_fn, [parameter], [random_tensor(2, 1000)])
    assert parameter.grad is not None and parameter.grad.data_ptr() == seen[0].data_ptr()


@pytest.mark.parametrize("n_ranks", [2, 4, 8])
def test_ranks_that_share_a_batch_get_the_same_bits_as_one(n_ranks: int) -> None:
    alone = sum_of(range(8))
    share = 8 // n_ranks
    together = TreeSum()
    for rank in range(n_ranks):
        together.add(sum_of(range(rank * share, (rank + 1) * share)), count=share)
    assert all(a.equal(b) for a, b in zip(together.total(), alone, strict=True))


def test_a_total_takes_the_place_of_the_lists_that_it_holds() -> None:
    mixed = TreeSum()
    mixed.add(sum_of(range(4)), count=4)
    for number in range(4, 8):
        mixed.add(gradients(number))
    mixed.add(sum_of(range(8, 16)), count=8)
    assert all(a.equal(b) for a, b in zip(mixed.total(), sum_of(range(16)), strict=True))


def test_the_order_of_addition_is_pairwise() -> None:
    # One number that swallows small ones: 1 + 1e8 - 1e8 … in float32 tells every order of addition apart.
    values = [1e8, 1.0, -1e8, 1.0, 3.0, 1e8, 5.0, -1e8]
    tree = TreeSum()
    for value in values:
        tree.add([torch.tensor(value)])
    x = [torch.tensor(value) for value in values]
    pairs = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))
    [total] = tree.total()
    assert total is not None and total.item() == pairs.item() != sum(values)


@given(n=st.integers(1, 40))
def test_a_tree_is_a_sum_and_is_empty_afterwards(n: int) -> None:
    tree = TreeSum()
    for number in range(n):
        tree.add([torch.tensor(float(number)), None])
    assert tree.total() == [n * (n - 1) / 2, None]
    assert tree.total() == []


def test_a_tree_holds_few_partial_sums() -> None:
    tree, alive = TreeSum(), list[weakref.ref[Tensor]]()
    for n in range(1, 65):
        grad = torch.ones(1)
        alive.append(weakref.ref(grad))
        tree.add([grad])
        del grad
        assert sum(ref() is not None for ref in alive) == n.bit_count()  # the digits of a binary counter


def test_taking_gradients_leaves_none() -> None:
    parameters = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    grad = parameters[0].grad = torch.ones(1)
    taken = take_gradients(parameters)
    assert taken[0] is grad and taken[1] is None
    assert parameters[0].grad is None
