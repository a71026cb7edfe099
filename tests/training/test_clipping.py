"""Clipping: one norm over all gradients, against torch and at the edges."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import DTYPES, random_tensor
from torch import Tensor, nn

from groundup.training.clipping import clip_gradients, global_norm


def some_gradients(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [random_tensor(*shape, seed=i, dtype=dtype) for i, shape in enumerate([(3, 4), (5,), (), (2, 3, 2)])]


@pytest.mark.parametrize("max_norm", [0.5, 1e3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_clipping_is_that_of_torch(max_norm: float, dtype: torch.dtype) -> None:
    grads = some_gradients(dtype)
    parameters = [nn.Parameter(torch.zeros_like(grad)) for grad in grads]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.grad = grad.clone()
    expected = nn.utils.clip_grad_norm_(parameters, max_norm).item()
    tolerance = 1e-2 if dtype == torch.bfloat16 else 1e-5  # torch divides by the norm + 1e-6, and rounds bfloat16 norms
    assert clip_gradients(grads, max_norm) == pytest.approx(expected, rel=tolerance)
    for grad, parameter in zip(grads, parameters, strict=True):
        assert grad.dtype == dtype
        torch.testing.assert_close(grad, parameter.grad, rtol=tolerance, atol=1e-6)


def test_gradients_below_the_limit_stay_bit_for_bit() -> None:
    grads, before = some_gradients(), some_gradients()
    norm = global_norm(grads)
    assert clip_gradients(grads, norm) == norm
    assert all(a.equal(b) for a, b in zip(grads, before, strict=True))


def test_none_stands_for_no_gradient() -> None:
    grads = [None, torch.tensor([3.0]), None, torch.tensor([4.0])]
    assert clip_gradients(grads, 1.0) == pytest.approx(5.0)
    assert grads[0] is None and grads[1].item() == pytest.approx(0.6) and grads[3].item() == pytest.approx(0.8)
    assert clip_gradients([None], 1.0) == clip_gradients([], 1.0) == 0.0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_no_finite_number_leaves_the_gradients_alone(bad: float) -> None:
    grads = [torch.tensor([1e6, bad]), torch.tensor([2e6])]
    assert not math.isfinite(clip_gradients(grads, 1.0))
    assert grads[0][0].item() == 1e6 and grads[1].item() == 2e6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_added_up_in_float32(dtype: torch.dtype) -> None:
    # In float16, 256² · 10007 overflows; in bfloat16, a running sum of ones stops at 256..
    assert global_norm([torch.full((10_007,), 256.0, dtype=dtype)]) == pytest.approx(256 * 10_007**0.5, rel=1e-6)
    assert global_norm([torch.ones(1, dtype=dtype) for _ in range(10_007)]) == pytest.approx(10_007**0.5, rel=1e-6)


@given(seed=st.integers(0, 1000), max_norm=st.floats(1e-3, 1e3))
def test_the_norm_after_is_at_most_the_limit_and_the_direction_stays(seed: int, max_norm: float) -> None:
    grads = [random_tensor(4, 3, seed=seed), random_tensor(5, seed=seed + 1)]
    before = torch.cat([grad.reshape(-1) for grad in grads])
    norm = clip_gradients(grads, max_norm)
    after = torch.cat([grad.reshape(-1) for grad in grads])
    assert norm == pytest.approx(before.norm().item(), rel=1e-5)
    torch.testing.assert_close(after, before * min(1.0, max_norm / norm))


def test_a_parameters_own_gradient_can_be_clipped() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    (parameter * torch.tensor([3.0, 0.0, 4.0])).sum().backward()
    assert clip_gradients([parameter.grad], 1.0) == 5.0
    torch.testing.assert_close(parameter.grad, torch.tensor([0.6, 0.0, 0.8]))


@pytest.mark.parametrize("size", [1e-30, 1e-22, 1e-16, 1e16, 1e20, 1e30, 1e38])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_whose_squares_overflow_or_vanish_have_the_norm_of_float64(size: float, dtype: torch.dtype) -> None:
    grads = [(random_tensor(4, 3, seed=1).sign() * size).to(dtype), torch.tensor([-size / 2], dtype=dtype)]
    wide = [grad.double() for grad in grads]
    expected = torch.linalg.vector_norm(torch.cat([grad.reshape(-1) for grad in wide])).item()
    assert global_norm(grads) == pytest.approx(expected, rel=1e-6)
    limit = expected / 3
    assert clip_gradients(grads, limit) == pytest.approx(expected, rel=1e-6)
    for grad, before in zip(grads, wide, strict=True):
        torch.testing.assert_close(grad.double(), before / 3, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=0)


def test_a_gradient_of_any_size_is_brought_to_the_limit() -> None:
    grads = [torch.tensor([3e38, -3e38, 1.0])]
    assert clip_gradients(grads, 1.0) == pytest.approx(3e38 * 2**0.5, rel=1e-6)
    assert grads[0].tolist() == pytest.approx([0.5**0.5, -(0.5**0.5), 0.0], rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_number_beside_huge_ones_is_not_passed_over(bad: float) -> None:
    for grads in ([torch.tensor([1e30]), torch.tensor([bad])], [torch.tensor([bad]), torch.tensor([1e30])]):
        assert not math.isfinite(clip_gradients(grads, 1.0))
