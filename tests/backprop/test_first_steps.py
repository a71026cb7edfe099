"""The first steps are right: against NumPy, against autograd, and against what they promise."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.backprop.first_steps import (
    backpropagate,
    broadcast_shapes,
    fit_line,
    matrix_multiply,
    sgd_step,
    train_tiny_network,
)
from groundup.backprop.gradient_check import numerical_gradient
from groundup.errors import ShapeError

SIZES = st.lists(st.sampled_from([0, 1, 2, 3]), max_size=4).map(tuple)


def test_a_product_is_numpy_s() -> None:
    rng = np.random.default_rng(0)
    for n, k, m in itertools.product((1, 2, 5), repeat=3):
        a, b = rng.normal(size=(n, k)), rng.normal(size=(k, m))
        assert np.allclose(matrix_multiply(a.tolist(), b.tolist()), a @ b)


def test_matrices_that_do_not_fit_are_refused() -> None:
    for b in ([[1.0, 2.0, 3.0]], [[1.0]] * 3):
        with pytest.raises(ShapeError, match="rows of 2"):
            matrix_multiply([[1.0, 2.0]], b)


@given(SIZES, SIZES)
def test_shapes_are_broadcast_as_numpy_does(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    try:
        wanted = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(ShapeError):
            broadcast_shapes(a, b)
    else:
        assert broadcast_shapes(a, b) == wanted


def test_a_step_of_sgd_is_torch_s_and_in_place() -> None:
    generator = torch.Generator().manual_seed(0)
    params, grads = ([torch.randn(shape, generator=generator) for shape in ((2, 3), (4,))] for _ in range(2))
    params[0].requires_grad_()
    wanted = [(param - 0.1 * grad).detach() for param, grad in zip(params, grads, strict=True)]
    sgd_step(params, grads, 0.1)
    for param, right in zip(params, wanted, strict=True):
        assert torch.allclose(param.detach(), right)


def test_gradients_go_back_through_every_operation_and_add_up() -> None:
    ops: list[tuple[Any, ...]] = [
        ("mul", 0, 1), ("exp", 2), ("add", 3, 0), ("log", 4), ("tanh", 5), ("mul", 6, 0), ("mul", 7, 7),
    ]  # fmt: skip
    inputs = [0.7, -0.4]
    value, grads = backpropagate(ops, inputs)

    x, y = torch.tensor(inputs, dtype=torch.float64, requires_grad=True).unbind()
    right = (torch.tanh(torch.log(torch.exp(x * y) + x)) * x) ** 2
    assert math.isclose(value, right.item())
    assert np.allclose(grads, [grad.item() for grad in torch.autograd.grad(right, (x, y))])
    assert np.allclose(grads, numerical_gradient(lambda z: backpropagate(ops, z.tolist())[0], np.array(inputs)))


def test_an_input_that_is_not_used_has_the_gradient_0() -> None:
    assert backpropagate([("exp", 1)], [5.0, 0.0]) == (1.0, [0.0, 1.0])


def test_a_line_is_found() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    assert np.allclose(fit_line(x, 2 * x - 1, lr=0.1, steps=1000), (2, -1))
    assert fit_line(x, x, lr=0.1, steps=0) == (0, 0)


def test_a_step_of_the_tiny_network_follows_autograd() -> None:
    rng = np.random.default_rng(1)
    given_arrays = [rng.normal(size=shape) for shape in ((5, 2), (5,), (3, 2), (3,), (3,))]
    x, y, *params = (torch.tensor(array) for array in given_arrays)
    params = [*params, torch.tensor(0.3, dtype=torch.float64)]
    for param in params:
        param.requires_grad_()
    w1, b1, w2, b2 = params
    loss = ((torch.tanh(x @ w1.T + b1) @ w2 + b2 - y) ** 2).mean()
    wanted = [param - 0.2 * grad for param, grad in zip(params, torch.autograd.grad(loss, params), strict=True)]

    before = [array.copy() for array in given_arrays]
    found = train_tiny_network(*given_arrays, 0.3, lr=0.2, steps=1)
    for got, right in zip(found, wanted, strict=True):
        assert np.allclose(got, right.detach().numpy())
    assert all(np.array_equal(array, old) for array, old in zip(given_arrays, before, strict=True))


def test_the_tiny_network_learns_xor() -> None:
    rng = np.random.default_rng(0)
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0.0, 1.0, 1.0, 0.0])
    w1, b1, w2, b2 = train_tiny_network(x, y, rng.normal(size=(8, 2)), np.zeros(8), rng.normal(size=8), 0.0, 0.1, 3000)
    assert np.allclose(np.tanh(x @ w1.T + b1) @ w2 + b2, y, atol=0.05)
