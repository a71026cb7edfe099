"""Side by side: the same gradients as one after the other, in an order that never changes."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import torch
from small import random_ids, random_tensor
from torch import Tensor

from groundup.model import ModelConfig
from groundup.processes import one_core
from groundup.training import Parts, TrainConfig
from groundup.training.accumulation import accumulate_gradients
from groundup.training.config import TrainingSection
from groundup.training.loss import cross_entropy
from groundup.training.side_by_side import accumulate_side_by_side
from groundup.training.state import new_state
from groundup.training.step import take_step


def loss_of(params: list[Tensor], micro_batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
    ids, targets = micro_batch
    n_tokens = int((targets != -100).sum())
    return cross_entropy(torch.tanh(params[0][ids]) @ params[1].T, targets) * n_tokens, n_tokens


def micro_batches(n: int) -> list[tuple[Tensor, Tensor]]:
    batches = [(random_ids(3, 4, vocab_size=7, seed=i), random_ids(3, 4, vocab_size=7, seed=i + 50)) for i in range(n)]
    batches[0][1][0] = -100  # the first holds fewer tokens
    return batches


@pytest.mark.parametrize("n_batches", [1, 2, 3, 8])
@pytest.mark.parametrize("n_cores", [2, 3])
def test_the_mean_and_its_gradients_are_those_of_one_after_the_other(n_batches: int, n_cores: int) -> None:
    params = [random_tensor(7, 4, seed=i, dtype=torch.float64).requires_grad_() for i in range(2)]
    loss = accumulate_gradients(partial(loss_of, params), params, micro_batches(n_batches))
    expected = [param.grad for param in params]
    got = accumulate_side_by_side(partial(loss_of, params), params, micro_batches(n_batches), n_cores=n_cores)
    assert got == pytest.approx(loss, rel=1e-12)
    for param, grad in zip(params, expected, strict=True):
        torch.testing.assert_close(param.grad, grad, rtol=1e-12, atol=1e-14)


def test_a_parameter_that_nothing_reached_has_a_gradient_of_zero() -> None:
    params = [random_tensor(7, 4, seed=i).requires_grad_() for i in range(3)]
    accumulate_side_by_side(partial(loss_of, params), params, micro_batches(2), n_cores=2)
    assert params[2].grad is not None
    assert not params[2].grad.any()


def test_the_caller_goes_on_only_when_every_core_has_ended() -> None:
    ended = threading.Event()
    params = [random_tensor(7, 4, seed=i).requires_grad_() for i in range(2)]

    def loss(number: int) -> tuple[Tensor, int]:
        if number == 0:
            raise KeyError("the first fails at once")
        threading.Event().wait(0.2)
        ended.set()
        return loss_of(params, micro_batches(1)[0])

    with pytest.raises(KeyError, match="the first fails"):
        accumulate_side_by_side(loss, params, [0, 1], n_cores=2)
    assert ended.is_set()


def test_within_one_core_an_operation_runs_on_one_and_afterwards_on_as_many_as_before() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="on the way"), one_core():
        assert torch.get_num_threads() == 1
        raise RuntimeError("on the way")
    assert torch.get_num_threads() == before


def config(**training: object) -> TrainConfig:
    model = ModelConfig(vocab_size=300, context_length=8, n_layers=2, d_model=16, n_heads=2)
    return TrainConfig(model=model, training=TrainingSection(steps=5, batch_size=6, **training))


def trained(settings: TrainConfig, n_cores: int) -> dict[str, Tensor]:
    before = torch.get_num_threads()
    torch.set_num_threads(n_cores)
    try:
        state = new_state(settings, Parts(), torch.device("cpu"))
        assert state.n_cores == n_cores
        for step in range(5):
            ids = random_ids(6, 9, vocab_size=300, seed=step)
            take_step(state, ids[:, :-1], ids[:, 1:], 1e-2)
            state.step += 1
        return {name: value.detach() for name, value in state.params.items()}
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("settings", [{}, {"micro_batch_size": 3}, {"optimizer": "muon"}, {"precision": "bfloat16"}])
def test_two_cores_train_the_same_model_twice_and_nearly_that_of_one(settings: dict[str, object]) -> None:
    one, two, again = (trained(config(**settings), n_cores) for n_cores in (1, 2, 2))
    # AdamW's first steps are the gradient's sign: where a gradient is nearly 0 its rounding shows.
    tolerance = 5e-2 if "precision" in settings else 1e-4
    for name, value in one.items():
        assert two[name].equal(again[name])
        if name.endswith("b_k"):  # it shifts all scores of a query alike: its gradient is 0 but for rounding
            continue
        assert (two[name] - value).norm() <= tolerance * value.norm() + 1e-6, name


def test_a_large_model_own_parts_and_dropout_keep_the_cores_together() -> None:
    assert new_state(config(), Parts(softmax=lambda x, dim=-1: torch.softmax(x, dim)), torch.device("cpu")).n_cores == 1
    assert new_state(config(parts="plain"), Parts(), torch.device("cpu")).n_cores == 1
    with_dropout = TrainConfig(model=ModelConfig(dropout=0.1), training=TrainingSection(steps=5))
    large = TrainConfig(model=ModelConfig(d_model=512, vocab_size=4096), training=TrainingSection(steps=5))
    for settings in (with_dropout, large):
        assert new_state(settings, Parts(), torch.device("cpu")).n_cores == 1
