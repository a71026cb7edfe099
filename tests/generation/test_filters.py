"""Filters keep what they say, leave their input alone, and agree with those of transformers where both exist."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from groundup.errors import ConfigError, DivergedError
from groundup.generation import (
    apply_temperature,
    bias_logits,
    greedy,
    min_p_filter,
    repetition_penalty,
    sample,
    top_k_filter,
    top_p_filter,
    typical_filter,
)

FILTERS = {
    "temperature": lambda x: apply_temperature(x, 0.7),
    "top_k": lambda x: top_k_filter(x, 5),
    "top_p": lambda x: top_p_filter(x, 0.6),
    "min_p": lambda x: min_p_filter(x, 0.2),
    "typical": lambda x: typical_filter(x, 0.6),
}
DTYPES = [torch.float32, torch.float64, torch.bfloat16]

a_row = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=30)


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def of(*probabilities: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(probabilities, dtype=dtype).log()


def kept(x: Tensor) -> list[int]:
    return (x > -math.inf).nonzero().flatten().tolist()


def probabilities(row: list[float]) -> np.ndarray:
    exponentials = np.exp(np.float64(row) - max(row))
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_takes_any_leading_shape_and_keeps_dtype_and_input(name: str, dtype: torch.dtype) -> None:
    x = logits(2, 3, 17).to(dtype)
    before = x.clone()
    y = FILTERS[name](x)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert torch.equal(x, before)
    rows = torch.stack([FILTERS[name](row) for row in x.reshape(-1, 17)])
    assert torch.equal(y.reshape(-1, 17), rows)


@pytest.mark.parametrize("name", ["top_k", "top_p", "min_p"])
def test_what_stays_is_unchanged_and_has_a_gradient_and_the_best_always_stays(name: str) -> None:
    x = logits(4, 17).requires_grad_()
    y = FILTERS[name](x)
    stays = y > -math.inf
    assert torch.equal(y[stays], x[stays])
    assert stays.gather(-1, x.argmax(-1, keepdim=True)).all()
    assert stays.sum() < x.numel()
    y.softmax(dim=-1)[:, 0].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_greedy_takes_the_lowest_of_equal_ids() -> None:
    assert greedy(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0]])).tolist() == [1, 0]
    assert greedy(torch.zeros(1000)).item() == 0


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_a_temperature_must_be_above_zero(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature is"):
        apply_temperature(logits(5), temperature)


def test_temperature_divides() -> None:
    assert torch.equal(apply_temperature(torch.tensor([1.0, -3.0]), 0.5), torch.tensor([2.0, -6.0]))


@given(a_row, st.integers(1, 40))
def test_top_k_keeps_whatever_is_not_below_the_kth(row: list[float], k: int) -> None:
    edge = sorted(row, reverse=True)[min(k, len(row)) - 1]
    assert kept(top_k_filter(torch.tensor(row), k)) == [i for i, x in enumerate(row) if x >= edge]


def test_top_k_keeps_all_ties_at_the_edge_and_all_with_a_k_of_the_vocabulary() -> None:
    assert kept(top_k_filter(torch.tensor([2.0, 1.0, 2.0, 3.0, 2.0]), 2)) == [0, 2, 3, 4]
    x = logits(7)
    assert torch.equal(top_k_filter(x, 7), x)
    assert torch.equal(top_k_filter(x, 100), x)


@given(a_row, st.floats(0.01, 0.99))
def test_top_p_keeps_the_smallest_set_that_reaches_p(row: list[float], p: float) -> None:
    probs = probabilities(row)
    keeps = kept(top_p_filter(torch.tensor(row), p))
    total = probs[keeps].sum()
    assert total >= p - 1e-5
    assert len(keeps) == 1 or total - probs[keeps].min() < p + 1e-5  # without the least of them p is not reached
    assert probs[keeps].min() >= max((q for i, q in enumerate(probs) if i not in keeps), default=0) - 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("p", "keeps"),
    [
        (0.5, [0]),
        (0.50001, [0, 1]),
        (0.8, [0, 1]),
        (0.8001, [0, 1, 2]),
        (0.95, [0, 1, 2]),
        (1.0, [0, 1, 2, 3]),
        (0, [0]),
    ],
)
def test_top_p_of_exactly_p_is_enough(p: float, keeps: list[int], dtype: torch.dtype) -> None:
    assert kept(top_p_filter(of(0.5, 0.3, 0.15, 0.05, dtype=dtype), p)) == keeps


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shares", [[0.1] * 10, [0.05] * 20, [0.4, 0.3, 0.2, 0.1], [0.7, 0.2, 0.1]])
def test_rounding_pushes_no_token_over_the_edge(shares: list[float], dtype: torch.dtype) -> None:
    for n in range(1, len(shares)):
        assert kept(top_p_filter(of(*shares, dtype=dtype), sum(shares[:n]))) == list(range(n))


def test_top_p_keeps_only_as_many_of_equal_tokens_as_it_needs_and_the_lowest_ids_of_them() -> None:
    assert kept(top_p_filter(torch.zeros(8), 0.5)) == [0, 1, 2, 3]
    assert kept(top_p_filter(torch.zeros(1024), 0.25)) == list(range(256))


def test_top_p_of_one_keeps_even_the_least_likely() -> None:
    x = torch.tensor([0.0, -50.0, -90.0])
    assert torch.equal(top_p_filter(x, 1.0), x)


def test_a_large_vocabulary_in_bfloat16_still_adds_up() -> None:
    x = torch.zeros(50_000, dtype=torch.bfloat16)
    assert abs(len(kept(top_p_filter(x, 0.5))) - 25_000) < 50
    assert len(kept(min_p_filter(x, 1.0))) == 50_000


@given(a_row, st.floats(0.01, 1))
def test_min_p_measures_by_the_best(row: list[float], p: float) -> None:
    ratio = probabilities(row) / probabilities(row).max()
    keeps = kept(min_p_filter(torch.tensor(row), p))
    assert set(np.flatnonzero(ratio > p * (1 + 1e-4))) <= set(keeps) <= set(np.flatnonzero(ratio >= p * (1 - 1e-4)))


@pytest.mark.parametrize(("p", "keeps"), [(0, [0, 1, 2, 3]), (0.1, [0, 1, 2, 3]), (0.5, [0, 1]), (1.0, [0])])
def test_min_p_of_exactly_p_times_the_best_is_enough(p: float, keeps: list[int]) -> None:
    assert kept(min_p_filter(of(0.5, 0.25, 0.2, 0.05), p)) == keeps


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_repetition_penalty_makes_each_token_of_the_text_less_likely_once(dtype: torch.dtype) -> None:
    x = torch.tensor([4.0, -4.0, 0.0, 1.0, -1.0], dtype=dtype)
    before = x.clone()
    y = repetition_penalty(x, [1, 0, 0, 2, 1, 0], 2.0)
    assert y.tolist() == [2.0, -8.0, 0.0, 1.0, -1.0]
    assert y.dtype == dtype
    assert torch.equal(x, before)
    assert torch.equal(repetition_penalty(x, [], 2.0), x)
    assert torch.equal(repetition_penalty(x, [0, 1], 1.0), x)


def test_sample_draws_each_token_as_often_as_its_probability_says() -> None:
    x, n = of(0.5, 0.3, 0.15, 0.05), 20_000
    drawn = sample(x.expand(n, 4), torch.Generator().manual_seed(7))
    counts = torch.bincount(drawn, minlength=4).double()
    expected = n * x.double().softmax(dim=-1)
    chi_squared = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_squared < 16.3  # three degrees of freedom: once in a thousand seeds


def test_sample_takes_any_leading_shape_and_never_what_was_cut() -> None:
    x = top_k_filter(logits(50, 40, 17), 3)
    drawn = sample(x, torch.Generator().manual_seed(1))
    assert drawn.shape == (50, 40)
    assert x.gather(-1, drawn[..., None]).isfinite().all()
    assert sample(x[0, 0], torch.Generator()).shape == ()


def test_sample_follows_its_generator_alone() -> None:
    x = logits(100, 17)
    first, second = (sample(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, sample(x, torch.Generator().manual_seed(4)))


@pytest.mark.parametrize("row", [[math.nan, 0.0], [-math.inf, -math.inf]])
def test_sample_says_so_when_there_is_nothing_to_draw(row: list[float]) -> None:
    with pytest.raises(DivergedError) as caught:
        sample(torch.tensor([[1.0, 2.0], row]), torch.Generator())
    assert caught.value.code == "NUM_LOGITS"


def test_a_filter_uses_the_softmax_that_it_is_given() -> None:
    def inverted(x: Tensor, dim: int = -1) -> Tensor:
        return (-x).softmax(dim)

    x = of(0.9, 0.1)
    assert kept(min_p_filter(x, 0.5, softmax=inverted)) == [1]
    assert kept(top_p_filter(x, 0.5, softmax=inverted)) == [0, 1]
    drawn = sample(x.expand(1000, 2), torch.Generator().manual_seed(0), softmax=inverted)
    assert drawn.sum() > 800


def test_filters_agree_with_those_of_transformers() -> None:
    processors = pytest.importorskip("transformers.generation.logits_process")
    x, ids = logits(1, 50, seed=5), torch.tensor([[3, 3, 7, 49]])
    pairs = [
        (top_k_filter(x, 7), processors.TopKLogitsWarper(7)),
        (top_p_filter(x, 0.83), processors.TopPLogitsWarper(0.83)),
        (min_p_filter(x, 0.07), processors.MinPLogitsWarper(0.07)),
        (apply_temperature(x, 0.6), processors.TemperatureLogitsWarper(0.6)),
        (repetition_penalty(x[0], ids[0].tolist(), 1.3)[None], processors.RepetitionPenaltyLogitsProcessor(1.3)),
    ]
    for ours, theirs in pairs:
        assert torch.equal(ours, theirs(ids, x.clone())), theirs


# Typical sampling.


def test_typical_keeps_what_is_as_surprising_as_is_to_be_expected() -> None:
    """Entropy 1.58 nats; surprises 0.92, 1.61, 1.61, 1.61: the likeliest token is the least typical one."""
    x = of(0.4, 0.2, 0.2, 0.2)
    assert kept(typical_filter(x, 0.5)) == [1, 2, 3]
    assert kept(typical_filter(x, 0.7)) == [0, 1, 2, 3]
    assert kept(typical_filter(x, 0.1)) == [1]


@given(row=a_row, p=st.floats(0.01, 0.999))
def test_typical_keeps_the_smallest_typical_set_that_reaches_p(row: list[float], p: float) -> None:
    q = probabilities(row)
    distance = np.abs(-np.log(q) - -(q * np.log(q)).sum())
    left = kept(typical_filter(torch.tensor(row, dtype=torch.float64), p))
    cut = [i for i in range(len(row)) if i not in left]
    assert q[left].sum() >= p - 1e-9
    assert not cut or distance[left].max() <= distance[cut].min() + 1e-9
    if len(left) > 1:  # without its least typical token it would not reach p
        assert q[left].sum() - q[max(left, key=lambda i: (distance[i], i))] < p + 1e-9


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9, 0.99])
def test_typical_agrees_with_transformers(p: float) -> None:
    from transformers import TypicalLogitsWarper

    x = logits(6, 50)
    assert torch.equal(typical_filter(x, p), TypicalLogitsWarper(mass=p)(None, x))


def test_typical_after_another_filter_does_not_bring_back_what_was_cut() -> None:
    x = top_k_filter(logits(30), 7)
    assert set(kept(typical_filter(x, 0.5))) < set(kept(x))
    assert torch.equal(typical_filter(x, 1.0), x)


# Bias.


def test_bias_is_added_to_the_tokens_named_and_to_no_other() -> None:
    x = logits(9)
    y = bias_logits(x, {2: 1.5, 7: -math.inf, 0: -2.0})
    expected = x.clone()
    expected[2] += 1.5
    expected[0] -= 2
    expected[7] = -math.inf
    assert torch.equal(y, expected)
    assert torch.equal(bias_logits(x, {}), x)
    assert bias_logits(x.bfloat16(), {1: 1.0}).dtype == torch.bfloat16


@pytest.mark.parametrize("token", [-1, 9])
def test_a_bias_of_no_token_is_refused(token: int) -> None:
    with pytest.raises(ConfigError, match=f"token {token}, and there are 0 to 8"):
        bias_logits(logits(9), {token: 1.0})
