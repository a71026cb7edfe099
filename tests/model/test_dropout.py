"""Dropout: rate, scale, repeatability."""

from __future__ import annotations

import pytest
import torch
from small import DTYPES, generator, random_tensor

from groundup.model.dropout import dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dropout_zeroes_at_its_rate_and_scales_the_rest(p: float, dtype: torch.dtype) -> None:
    x = torch.ones(40_000, dtype=dtype)
    y = dropout(x, p, generator=generator())
    assert y.dtype == dtype
    kept = y != 0
    # Five standard deviations of a share of 40,000: √(p (1 - p) / n) is at most 0.0025.
    assert abs(kept.float().mean().item() - (1 - p)) < 0.0125
    torch.testing.assert_close(y[kept], torch.full_like(y[kept], 1 / (1 - p)))


def test_dropout_keeps_the_mean() -> None:
    assert abs(dropout(torch.ones(100_000), 0.3, generator=generator()).mean().item() - 1) < 0.01


def test_no_dropout_gives_the_very_same_tensor() -> None:
    x = random_tensor(3, 4)
    assert dropout(x, 0.0) is x
    assert dropout(x, 0.5, training=False) is x


def test_full_dropout_gives_zeros() -> None:
    assert dropout(random_tensor(3, 4), 1.0).tolist() == torch.zeros(3, 4).tolist()


def test_dropout_repeats_with_its_generator_and_leaves_the_global_one_alone() -> None:
    x = random_tensor(100)
    state = torch.get_rng_state()
    first, again, other = (dropout(x, 0.5, generator=generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gradient_passes_where_the_value_passed() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = dropout(x, 0.5, generator=generator())
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # ones in: value and gradient are both 0 or 2
