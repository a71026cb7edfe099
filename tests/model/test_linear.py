"""The linear layer."""

from __future__ import annotations

import pytest
import torch
from small import DTYPES, random_tensor
from torch.nn import functional

from groundup.model.linear import linear


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_is_that_of_torch(shape: tuple[int, ...], has_bias: bool, dtype: torch.dtype) -> None:
    x, weight = random_tensor(*shape, dtype=dtype), random_tensor(7, 5, seed=1, dtype=dtype)
    bias = random_tensor(7, seed=2, dtype=dtype) if has_bias else None
    tolerance = 5e-2 if dtype == torch.bfloat16 else 1e-5  # bfloat16 keeps three digits of each of the five products
    torch.testing.assert_close(
        linear(x, weight, bias), functional.linear(x, weight, bias), rtol=tolerance, atol=tolerance
    )


def test_linear_has_the_right_gradient() -> None:
    inputs = [random_tensor(*shape, dtype=torch.float64).requires_grad_() for shape in [(2, 3), (4, 3), (4,)]]
    assert torch.autograd.gradcheck(linear, inputs)
