"""The loss: against torch, at the edges, and over batches of unequal size."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import DTYPES, random_ids, random_tensor, small_model
from torch import Tensor
from torch.nn import functional

from groundup.training.loss import cross_entropy, evaluate_loss, head_loss


def some_targets(*shape: int, ignored: int = 2, vocab_size: int = 7) -> Tensor:
    targets = random_ids(*shape, vocab_size=vocab_size)
    targets.view(-1)[:ignored] = -100
    return targets


@pytest.mark.parametrize("shape", [(), (5,), (2, 5), (2, 3, 4)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss_and_its_gradient_are_those_of_torch(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    logits = (4 * random_tensor(*shape, 7, dtype=dtype)).requires_grad_()
    targets = some_targets(*shape, ignored=2 if shape else 0)
    wide = logits.detach().double().requires_grad_()
    expected = functional.cross_entropy(wide.view(-1, 7), targets.view(-1))
    expected.backward()

    loss = cross_entropy(logits, targets)
    loss.backward()
    assert loss.shape == () and loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert logits.grad is not None and wide.grad is not None and logits.grad.dtype == dtype
    torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=1e-6)
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-6  # the gradient itself is rounded to bfloat16's three digits
    torch.testing.assert_close(logits.grad.double(), wide.grad, rtol=tolerance, atol=1e-6)


def test_the_gradient_is_that_of_differences() -> None:
    logits = random_tensor(3, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, torch.tensor([4, -100, 0])), [logits])


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_large_scores_neither_overflow_nor_vanish(size: float) -> None:
    logits = torch.tensor([[size, size, size + 3.0]])
    expected = math.log(2 * math.exp(-3) + 1)
    # float32 keeps 1e4 + 3 to 1e-3.
    assert cross_entropy(logits, torch.tensor([2])).item() == pytest.approx(expected, abs=2e-3)


def test_a_forbidden_token_costs_nothing_and_gets_no_gradient() -> None:
    logits = torch.tensor([[0.0, 0.0, -math.inf]], requires_grad=True)
    loss = cross_entropy(logits, torch.tensor([1]))
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert logits.grad is not None and logits.grad.tolist() == [[0.5, -0.5, 0.0]]


def test_a_model_that_knows_nothing_loses_the_logarithm_of_the_vocabulary() -> None:
    assert cross_entropy(torch.zeros(2, 3, 50), random_ids(2, 3, vocab_size=50)).item() == pytest.approx(math.log(50))


@pytest.mark.parametrize("shape", [(4,), (0,)])
def test_all_ignored_gives_zero_with_zero_gradient(shape: tuple[int, ...]) -> None:
    logits = random_tensor(*shape, 7).requires_grad_()
    loss = cross_entropy(logits, torch.full(shape, -100))
    loss.backward()
    assert loss.item() == 0 and logits.grad is not None and not logits.grad.any()


def test_any_number_can_stand_for_ignored_even_a_token() -> None:
    logits, targets = random_tensor(4, 7), torch.tensor([3, 5, 3, 6])
    expected = cross_entropy(logits[[1, 3]], targets[[1, 3]])
    torch.testing.assert_close(cross_entropy(logits, targets, ignore_index=3), expected)


def test_the_inputs_stay_as_they_were() -> None:
    logits, targets = random_tensor(2, 5, 7), some_targets(2, 5)
    before = logits.clone(), targets.clone()
    cross_entropy(logits, targets)
    assert logits.equal(before[0]) and targets.equal(before[1])


@given(shift=st.floats(-50, 50), seed=st.integers(0, 100))
def test_only_differences_of_scores_count(shift: float, seed: int) -> None:
    logits, targets = random_tensor(4, 7, seed=seed, dtype=torch.float64), some_targets(4)
    torch.testing.assert_close(cross_entropy(logits + shift, targets), cross_entropy(logits, targets))


@pytest.mark.parametrize("cap", [None, 2.0])
def test_the_head_goes_from_states_to_the_loss_of_the_model(cap: float | None) -> None:
    model = small_model(logit_soft_cap=cap)
    ids, targets = random_ids(2, 5), random_ids(2, 5, seed=1)
    loss = head_loss(model.hidden(ids), model.output_weight, targets, cap)
    torch.testing.assert_close(loss, cross_entropy(model(ids), targets))


def test_the_head_is_made_of_the_parts_that_it_is_given() -> None:
    hidden, weight, targets = random_tensor(2, 5, 3), random_tensor(7, 3), random_ids(2, 5, vocab_size=7)
    doubled = head_loss(hidden, weight, targets, linear=lambda x, w: 2 * x @ w.T)
    torch.testing.assert_close(doubled, head_loss(2 * hidden, weight, targets))
    assert head_loss(hidden, weight, targets, cross_entropy=lambda logits, targets: logits.shape) == (2, 5, 7)


def bigrams(inputs: Tensor, params: Mapping[str, Tensor]) -> Tensor:
    return params["table"][inputs]  # (B, T, V)


def test_evaluation_weighs_every_token_the_same() -> None:
    params = {"table": random_tensor(7, 7).requires_grad_()}
    batches = [
        (random_ids(*shape, vocab_size=7), some_targets(*shape, ignored=n)) for shape, n in [((2, 5), 3), ((4, 1), 0)]
    ]
    inputs = torch.cat([inputs.view(-1) for inputs, _ in batches])
    targets = torch.cat([targets.view(-1) for _, targets in batches])
    expected = cross_entropy(bigrams(inputs, params), targets).item()
    assert evaluate_loss(bigrams, params, iter(batches)) == pytest.approx(expected, rel=1e-6)
    assert params["table"].grad is None


def test_evaluation_makes_no_graph() -> None:
    def forward(inputs: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        logits = bigrams(inputs, params)
        assert not logits.requires_grad
        return logits

    params = {"table": random_tensor(7, 7).requires_grad_()}
    evaluate_loss(forward, params, [(random_ids(2, 3, vocab_size=7), random_ids(2, 3, vocab_size=7))])
    assert torch.is_grad_enabled()


def test_evaluation_leaves_a_training_model_in_training() -> None:
    model = small_model().train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    evaluate_loss(
        lambda inputs, _: model(inputs), dict(model.named_parameters()), [(random_ids(2, 5), random_ids(2, 5))]
    )
    assert model.training
    assert all(parameter.equal(before[name]) for name, parameter in model.named_parameters())


def test_nothing_to_evaluate_is_a_loss_of_zero() -> None:
    ignored = (random_ids(2, 3, vocab_size=7), torch.full((2, 3), -100))
    for batches in ([], [ignored]):
        assert evaluate_loss(bigrams, {"table": random_tensor(7, 7)}, batches) == 0.0


def test_an_ignored_row_of_minus_infinity_costs_nothing_and_harms_no_gradient() -> None:
    logits = random_tensor(3, 5)
    logits[1] = -math.inf
    logits.requires_grad_()
    targets = torch.tensor([4, -100, 0])
    loss = cross_entropy(logits, targets)
    loss.backward()
    counted = logits.detach()[[0, 2]].double().requires_grad_()
    expected = functional.cross_entropy(counted, targets[[0, 2]])
    expected.backward()
    assert logits.grad is not None and counted.grad is not None
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    torch.testing.assert_close(logits.grad[[0, 2]].double(), counted.grad, rtol=1e-6, atol=1e-7)
    assert logits.grad[1].tolist() == [0.0] * 5


def test_a_row_of_minus_infinity_that_counts_is_no_number() -> None:
    assert not math.isfinite(cross_entropy(torch.full((1, 3), -math.inf), torch.tensor([0])).item())
