"""Precision: the loss scale's table, and matrix products in fewer bits."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import random_tensor
from torch import nn

from groundup.errors import DivergedError
from groundup.model.linear import linear
from groundup.training.precision import LossScale, autocast, loss_scale_update, mixed_precision_linear


@pytest.mark.parametrize(
    ("before", "found_inf", "after"),
    [
        ((1024.0, 0), False, (1024.0, 1)),
        ((1024.0, 7), True, (512.0, 0)),
        ((1024.0, 1998), False, (1024.0, 1999)),
        ((1024.0, 1999), False, (2048.0, 0)),  # the present step is the 2000th
        ((1024.0, 1999), True, (512.0, 0)),
        ((1.0, 0), True, (0.5, 0)),
    ],
)
def test_the_loss_scale_halves_doubles_or_waits(
    before: tuple[float, int], found_inf: bool, after: tuple[float, int]
) -> None:
    scale, good_steps = before
    assert loss_scale_update(scale, found_inf, good_steps) == after


def test_the_growth_interval_can_be_one() -> None:
    assert loss_scale_update(4.0, False, 0, growth_interval=1) == (8.0, 0)


@given(st.lists(st.booleans(), max_size=100))
def test_the_loss_scale_is_that_of_torch(overflows: list[bool]) -> None:
    reference = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=5)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.0)
    scale, good_steps = 2.0**16, 0
    for overflow in overflows:
        reference.scale(parameter.sum() * (float("inf") if overflow else 1.0)).backward()
        reference.step(optimizer)
        reference.update()
        optimizer.zero_grad()
        scale, good_steps = loss_scale_update(scale, overflow, good_steps, growth_interval=5)
        assert scale == reference.get_scale()


def test_twenty_halvings_in_a_row_are_the_end() -> None:
    state = LossScale()
    for _ in range(19):
        state = state.after(True)
    assert state.halvings == 19 and state.after(False).halvings == 0
    with pytest.raises(DivergedError, match="bfloat16 or float32") as caught:
        state.after(True, "step 20")
    assert caught.value.code == "NUM_SCALE" and caught.value.where == "step 20" and caught.value.status == 3


def test_a_good_step_between_starts_the_count_again() -> None:
    state = LossScale()
    for _ in range(3):
        for _ in range(19):
            state = state.after(True)
        state = state.after(False)
    assert state == LossScale(65536.0 / 2**57, 1, 0)


def test_the_state_of_the_scale_is_three_numbers() -> None:
    state = LossScale().after(True)
    assert LossScale(**dataclasses.asdict(state)) == state


def test_the_scale_moves_as_the_part_says() -> None:
    state = LossScale().after(False, loss_scale_update=lambda scale, found_inf, good_steps: (scale + 1, 7))
    assert state == LossScale(65537.0, 7, 0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_mixed_linear_layer_computes_narrow_and_learns_wide(dtype: torch.dtype, has_bias: bool) -> None:
    x, weight = random_tensor(2, 3, 5).requires_grad_(), random_tensor(4, 5, seed=1).requires_grad_()
    bias = random_tensor(4, seed=2).requires_grad_() if has_bias else None
    y = mixed_precision_linear(x, weight, bias, dtype)
    narrow = linear(x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype))
    assert y.dtype == torch.float32 and y.equal(narrow.float())
    assert not y.equal(linear(x, weight, bias))

    y.sum().backward()
    for tensor in [x, weight] + ([bias] if bias is not None else []):
        assert tensor.dtype == torch.float32 and tensor.grad is not None and tensor.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_output_has_the_dtype_of_the_input(dtype: torch.dtype) -> None:
    assert mixed_precision_linear(random_tensor(3, 5, dtype=dtype), random_tensor(4, 5)).dtype == dtype


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)],
)
def test_autocast_computes_products_in_the_precision_asked_for(precision: str, dtype: torch.dtype) -> None:
    with autocast(precision, "cpu"):
        y = linear(random_tensor(3, 5), random_tensor(4, 5))
    assert y.dtype == dtype
    assert linear(random_tensor(3, 5), random_tensor(4, 5)).dtype == torch.float32
