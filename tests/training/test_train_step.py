"""The book's training step: against torch's own loss, clipping and AdamW."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from small import random_ids, small_model
from torch import Tensor, nn
from torch.nn import functional

from groundup.training.optimizers import decay_groups
from groundup.training.train_step import train_step


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    return random_ids(2, 6, seed=step), random_ids(2, 6, seed=step + 100)


def test_five_steps_are_those_of_torch() -> None:
    ours, theirs = small_model().double(), small_model().double()
    params = dict(ours.named_parameters())
    decay, _ = decay_groups(list(theirs.named_parameters()))
    groups: list[dict[str, Any]] = [{"params": [], "weight_decay": 0.1}, {"params": [], "weight_decay": 0.0}]
    for name, parameter in theirs.named_parameters():
        groups[0 if name in decay else 1]["params"].append(parameter)
    reference = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95))

    state: dict[str, Any] = {}
    for step in range(5):
        inputs, targets = batch_of(step)
        result = train_step(lambda x, _: ours(x), params, (inputs, targets), state, lr=0.01, max_norm=0.5)
        reference.zero_grad()
        loss = functional.cross_entropy(theirs(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        reference.step()
        assert result == pytest.approx({"loss": loss.item(), "grad_norm": norm.item()})
        assert norm > 0.5  # or nothing was clipped
    for parameter, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-4, atol=1e-6)  # torch clips to 0.5 / (norm + 1e-6)


def test_the_result_is_two_floats_and_no_gradient_is_left() -> None:
    model = small_model()
    params = dict(model.named_parameters())
    params["wte"].grad = torch.full_like(params["wte"], 1e6)  # an old gradient must not count
    first = train_step(lambda x, _: model(x), params, batch_of(0), {}, lr=0.01, max_norm=1.0)
    again = small_model()
    second = train_step(lambda x, _: again(x), dict(again.named_parameters()), batch_of(0), {}, lr=0.01, max_norm=1.0)
    assert first == second and set(first) == {"loss", "grad_norm"}
    assert all(type(value) is float for value in first.values())
    assert all(param.grad is None for param in params.values())


def test_the_state_carries_the_moments_from_step_to_step() -> None:
    kept, lost = small_model(), small_model()
    state: dict[str, Any] = {}
    for step in range(3):
        train_step(lambda x, _: kept(x), dict(kept.named_parameters()), batch_of(step), state, lr=0.01, max_norm=1.0)
        train_step(lambda x, _: lost(x), dict(lost.named_parameters()), batch_of(step), {}, lr=0.01, max_norm=1.0)
    assert state
    assert not torch.allclose(dict(kept.named_parameters())["wte"], dict(lost.named_parameters())["wte"])


def test_the_loss_is_that_before_the_step() -> None:
    model, (inputs, targets) = small_model(), batch_of(0)
    expected = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).item()
    result = train_step(
        lambda x, _: model(x), dict(model.named_parameters()), (inputs, targets), {}, lr=0.1, max_norm=1.0
    )
    assert result["loss"] == pytest.approx(expected)


def test_a_parameter_that_the_model_does_not_use_stays() -> None:
    def forward(inputs: Tensor, params: Mapping[str, Tensor]) -> Tensor:
        return params["table"][inputs]  # (B, T, V)

    params = {"table": nn.Parameter(torch.zeros(13, 13)), "step": nn.Parameter(torch.ones(2, 2))}
    result = train_step(forward, params, batch_of(0), {}, lr=0.1, max_norm=1.0)
    assert result["loss"] == pytest.approx(math.log(13))
    assert params["table"].any() and params["step"].equal(torch.ones(2, 2))


def test_a_step_is_made_of_the_parts_that_it_is_given() -> None:
    model, seen = small_model(), list[tuple[float, float]]()

    def own(param: Tensor, grad: Tensor, m: Tensor, v: Tensor, step: int, lr: float, weight_decay: float = 0.1) -> None:
        seen.append((lr, weight_decay))

    result = train_step(
        lambda x, _: model(x), dict(model.named_parameters()), batch_of(0), {}, lr=0.3, max_norm=1.0,
        cross_entropy=lambda logits, targets: logits.sum() * 0 + 7.0, clip_gradients=lambda grads, max_norm: 5.0,
        decay_groups=lambda named: (["wte"], [name for name, _ in named if name != "wte"]), adamw_step=own,
    )  # fmt: skip
    assert result == {"loss": 7.0, "grad_norm": 5.0}
    assert seen.count((0.3, 0.1)) == 1 and seen.count((0.3, 0.0)) == len(seen) - 1
