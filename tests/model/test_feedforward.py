"""GELU and the kinds of feed-forward network."""

from __future__ import annotations

import pytest
import torch
from small import DTYPES, random_tensor, small_config
from torch import Tensor
from torch.nn import functional

from groundup.model import ModelParts
from groundup.model.feedforward import FeedForward, feed_forward, gelu, mlp, swiglu


def close(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def weights(dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    shapes = {"w_gate": (12, 4), "w_up": (12, 4), "b_up": (12,), "w_down": (4, 12), "b_down": (4,)}
    return {name: random_tensor(*shape, seed=i, dtype=dtype) for i, (name, shape) in enumerate(shapes.items())}


X = random_tensor(2, 5, 4, seed=9, dtype=torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_is_the_tanh_form_of_torch(dtype: torch.dtype) -> None:
    x = torch.linspace(-6, 6, 201, dtype=dtype)
    ours = gelu(x)
    assert ours.dtype == dtype
    close(ours, functional.gelu(x, approximate="tanh"), 2e-2 if dtype == torch.bfloat16 else 1e-6)


def test_gelu_is_nearly_x_far_above_zero_and_nothing_far_below() -> None:
    close(gelu(torch.tensor([30.0, 0.0, -30.0])), torch.tensor([30.0, 0.0, 0.0]))


@pytest.mark.parametrize("has_bias", [False, True])
def test_feed_forward_is_two_linear_layers_with_gelu_between(has_bias: bool) -> None:
    w = weights()
    b_up, b_down = (w["b_up"], w["b_down"]) if has_bias else (None, None)
    hidden = functional.gelu(functional.linear(X, w["w_up"], b_up), approximate="tanh")
    expected = functional.linear(hidden, w["w_down"], b_down)
    close(feed_forward(X, w["w_up"], b_up, w["w_down"], b_down), expected)


def test_swiglu_is_a_linear_layer_gated_by_silu() -> None:
    w = weights()
    expected = (functional.silu(X @ w["w_gate"].T) * (X @ w["w_up"].T)) @ w["w_down"].T
    close(swiglu(X, w["w_gate"], w["w_up"], w["w_down"]), expected)


def test_each_kind_is_what_its_name_says() -> None:
    w = weights()
    gate, up = X @ w["w_gate"].T, X @ w["w_up"].T
    expected = {
        "gelu": feed_forward(X, w["w_up"], w["b_up"], w["w_down"], w["b_down"]),
        "relu2": functional.linear(torch.relu(up + w["b_up"]) ** 2, w["w_down"], w["b_down"]),
        "swiglu": (functional.silu(gate) * up) @ w["w_down"].T,
        "geglu": (functional.gelu(gate, approximate="tanh") * up) @ w["w_down"].T,
    }
    for kind, value in expected.items():
        gated = kind in ("swiglu", "geglu")
        given = {"w_gate": w["w_gate"]} if gated else {"b_up": w["b_up"], "b_down": w["b_down"]}
        close(mlp(X, kind, w["w_up"], w["w_down"], **given), value)


@pytest.mark.parametrize("kind", ["gelu", "relu2", "swiglu", "geglu"])
def test_each_token_is_worked_on_by_itself(kind: str) -> None:
    w = weights()
    whole = mlp(X, kind, w["w_up"], w["w_down"], w["w_gate"])
    close(whole[:, 2:3], mlp(X[:, 2:3], kind, w["w_up"], w["w_down"], w["w_gate"]))


def test_the_networks_have_the_right_gradients() -> None:
    inputs = {name: value.requires_grad_() for name, value in weights().items()}
    x = X[:1, :2].clone().requires_grad_()
    assert torch.autograd.gradcheck(feed_forward, (x, *(inputs[n] for n in ("w_up", "b_up", "w_down", "b_down"))))
    assert torch.autograd.gradcheck(swiglu, (x, *(inputs[n] for n in ("w_gate", "w_up", "w_down"))))


@pytest.mark.parametrize(
    ("kind", "bias", "names"),
    [
        ("gelu", True, {"w_up", "b_up", "w_down", "b_down"}),
        ("relu2", False, {"w_up", "w_down"}),
        ("swiglu", False, {"w_gate", "w_up", "w_down"}),
        ("geglu", False, {"w_gate", "w_up", "w_down"}),
    ],
)
def test_the_module_has_the_parameters_of_its_kind(kind: str, bias: bool, names: set[str]) -> None:
    module = FeedForward(small_config(feed_forward=kind, bias=bias), ModelParts())
    assert {name for name, _ in module.named_parameters()} == names
