"""Sinusoidal and rotary positions."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import DTYPES, random_tensor
from torch import Tensor

from groundup.errors import ShapeError
from groundup.model.position import rope, sinusoidal_positions


def close(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_sinusoidal_positions_are_those_of_the_paper() -> None:
    table = sinusoidal_positions(20, 8)
    for position in range(20):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert table[position, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[position, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_the_table_of_a_longer_context_begins_with_that_of_a_shorter_one() -> None:
    assert torch.equal(sinusoidal_positions(20, 8)[:5], sinusoidal_positions(5, 8))


def test_positions_of_odd_width_are_refused() -> None:
    with pytest.raises(ValueError, match="even") as raised:
        sinusoidal_positions(4, 7)
    assert isinstance(raised.value, ShapeError)
    with pytest.raises(ValueError, match="even"):
        rope(random_tensor(1, 1, 3, 5), torch.arange(3))


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=6))
def test_rope_keeps_the_length_of_every_pair(positions: list[int]) -> None:
    x = random_tensor(2, 3, len(positions), 8, dtype=torch.float64)
    turned = rope(x, torch.tensor(positions))

    def lengths(y: Tensor) -> Tensor:
        return y.unflatten(-1, (2, 4)).norm(dim=-2)

    close(lengths(turned), lengths(x), 1e-12)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 2000))
def test_the_product_of_two_turned_vectors_depends_on_their_distance_alone(m: int, n: int, shift: int) -> None:
    q, k = (random_tensor(1, 1, 1, 16, seed=seed, dtype=torch.float64) for seed in (1, 2))

    def product(at_q: int, at_k: int) -> Tensor:
        return (rope(q, torch.tensor([at_q])) * rope(k, torch.tensor([at_k]))).sum()

    close(product(m + shift, n + shift), product(m, n), 1e-9)


def test_position_zero_turns_nothing() -> None:
    x = random_tensor(2, 3, 1, 8)
    assert torch.equal(rope(x, torch.tensor([0])), x)


@pytest.mark.parametrize("theta", [10000.0, 500.0])
def test_rope_turns_feature_i_with_feature_i_plus_half(theta: float) -> None:
    x, positions = random_tensor(2, 3, 5, 8, dtype=torch.float64), torch.tensor([0, 1, 7, 100, 3])
    pairs = torch.complex(x[..., :4], x[..., 4:])
    frequencies = theta ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    angles = positions[:, None] * frequencies
    expected = pairs * torch.polar(torch.ones_like(angles), angles)
    close(rope(x, positions, theta), torch.cat([expected.real, expected.imag], dim=-1), 1e-12)


def test_given_frequencies_stand_in_for_those_of_theta() -> None:
    x, positions = random_tensor(2, 3, 5, 8), torch.arange(5)
    frequencies = 10000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float32) / 8)
    close(rope(x, positions, theta=3.0, frequencies=frequencies), rope(x, positions))
    assert torch.equal(rope(x, positions, frequencies=torch.zeros(4)), x)


def test_each_token_turns_by_its_own_position() -> None:
    x = random_tensor(2, 3, 6, 8)
    close(rope(x, torch.arange(6))[:, :, 4:], rope(x[:, :, 4:], torch.tensor([4, 5])))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rope_gives_its_dtype_back_and_knows_far_places(dtype: torch.dtype) -> None:
    x, positions = random_tensor(2, 3, 5, 8, dtype=dtype), torch.tensor([0, 1, 257, 1001, 4099])
    turned = rope(x, positions)
    assert turned.dtype == dtype
    # An angle of 4099 in float32 is right to 2e-4.
    close(turned.double(), rope(x.double(), positions), 3e-2 if dtype == torch.bfloat16 else 1e-3)
