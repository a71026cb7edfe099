"""Layer normalisation and RMS normalisation."""

from __future__ import annotations

import pytest
import torch
from small import DTYPES, random_tensor, small_config
from torch import Tensor
from torch.nn import functional

from groundup.model import ModelParts
from groundup.model.norm import Norm, layer_norm, residual_norm, rms_norm


def close(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def norm_inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    weight, bias = (random_tensor(16, seed=seed, dtype=dtype) for seed in (1, 2))
    return 3 + 2 * random_tensor(2, 5, 16, dtype=dtype), weight, bias


@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm_is_that_of_torch(has_bias: bool, dtype: torch.dtype) -> None:
    x, weight, bias = norm_inputs(dtype)
    chosen = bias if has_bias else None
    ours = layer_norm(x, weight, chosen)
    assert ours.dtype == dtype
    expected = functional.layer_norm(x, (16,), weight, chosen)
    # bfloat16: ours rounds after every step, torch's once.
    close(ours, expected, 6e-2 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rms_norm_is_that_of_torch(dtype: torch.dtype) -> None:
    x, weight, _ = norm_inputs(dtype)
    ours = rms_norm(x, weight)
    assert ours.dtype == dtype
    close(ours, functional.rms_norm(x, (16,), weight, eps=1e-6), 2e-2 if dtype == torch.bfloat16 else 1e-5)


def test_rms_norm_of_bfloat16_is_computed_in_float32() -> None:
    x = 100 * random_tensor(4, 4096, dtype=torch.bfloat16)
    ones = torch.ones(4096, dtype=torch.bfloat16)
    close(rms_norm(x, ones), rms_norm(x.float(), ones.float()).bfloat16(), 0.0)


def test_layer_norm_has_mean_zero_and_biased_variance_one() -> None:
    x, *_ = norm_inputs()
    y = layer_norm(x, torch.ones(16, dtype=torch.float64), None)
    close(y.mean(-1), torch.zeros(2, 5, dtype=torch.float64))
    close(y.var(-1, unbiased=False), torch.ones(2, 5, dtype=torch.float64), 1e-4)


def test_layer_norm_ignores_shift_and_scale_of_a_token() -> None:
    x, weight, bias = norm_inputs()
    close(layer_norm(7 * x + 5, weight, bias), layer_norm(x, weight, bias), 1e-5)


def test_rms_norm_ignores_scale_but_not_shift() -> None:
    x, weight, _ = norm_inputs()
    close(rms_norm(7 * x, weight), rms_norm(x, weight), 1e-5)
    assert not torch.allclose(rms_norm(x + 5, weight), rms_norm(x, weight), atol=0.1)


@pytest.mark.parametrize("eps", [1e-5, 1e-2, 1.0])
def test_eps_stands_under_the_root(eps: float) -> None:
    x, weight, bias = norm_inputs()
    close(layer_norm(x, weight, bias, eps), functional.layer_norm(x, (16,), weight, bias, eps))
    close(rms_norm(x, weight, eps), functional.rms_norm(x, (16,), weight, eps))


def test_a_token_of_zeros_stays_finite() -> None:
    zeros, ones = torch.zeros(3, 16, requires_grad=True), torch.ones(16)
    (layer_norm(zeros, ones, None) + rms_norm(zeros, ones)).sum().backward()
    assert torch.isfinite(zeros.grad).all()


def test_norms_have_the_right_gradients() -> None:
    shapes = [(2, 5), (5,), (5,)]
    inputs = [random_tensor(*shape, seed=i, dtype=torch.float64).requires_grad_() for i, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(layer_norm, inputs)
    assert torch.autograd.gradcheck(rms_norm, inputs[:2])


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_residual_norm_adds_the_branch_and_normalises_the_sum(kind: str) -> None:
    x, weight, bias = norm_inputs()
    branch = random_tensor(2, 5, 16, seed=7, dtype=torch.float64)
    for added, total in ((branch, x + branch), (None, x)):
        stream, normed = residual_norm(x, added, weight, bias, 1e-5, kind)
        close(stream, total)
        close(normed, layer_norm(total, weight, bias) if kind == "layer" else rms_norm(total, weight, 1e-5))


@pytest.mark.parametrize(
    ("settings", "names", "eps"),
    [
        ({"norm": "layer"}, {"weight", "bias"}, 1e-5),
        ({"norm": "layer", "bias": False}, {"weight"}, 1e-5),
        ({"norm": "rms"}, {"weight"}, 1e-6),
        ({"norm": "rms", "norm_eps": 1e-3}, {"weight"}, 1e-3),
    ],
)
def test_the_module_has_the_parameters_of_its_kind(settings: dict[str, object], names: set[str], eps: float) -> None:
    norm = Norm(small_config(**settings), ModelParts())
    assert {name for name, _ in norm.named_parameters()} == names
    assert norm.eps == eps


@pytest.mark.parametrize("norm", [layer_norm, rms_norm])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_features_and_wide_weights_give_narrow_features_rounded_once(norm, dtype: torch.dtype) -> None:
    x = (3 + 5 * random_tensor(4, 64)).to(dtype)
    weight = random_tensor(64, seed=1)
    expected = norm(x.double(), weight.double())
    found = norm(x, weight)
    assert found.dtype == dtype
    # One rounding of the result, and for rms_norm one more before the scale.
    tolerance = torch.finfo(dtype).eps * (0.6 if norm is layer_norm else 1.2)
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=1e-6)
