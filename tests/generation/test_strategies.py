"""Strategies choose as their parts say, follow their seed and place alone, and refuse what cannot be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from groundup.errors import ConfigError, DivergedError
from groundup.generation import (
    Beam,
    Contrastive,
    GenerationParts,
    Greedy,
    Sample,
    apply_temperature,
    bias_logits,
    generate,
    min_p_filter,
    parts_called,
    repetition_penalty,
    sample,
    top_k_filter,
    top_p_filter,
    typical_filter,
)
from groundup.randomness import derived_generator

LOGITS = 2 * torch.randn(50, generator=torch.Generator().manual_seed(0))
IDS = [3, 1, 4, 1, 5]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"temperature": "hot"}, "temperature is hot"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": 2.5}, "top_k is 2.5"),
        ({"top_k": -5}, "top_k is -5"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"min_p": 2.0}, "min_p is 2.0"),
        ({"min_p": math.nan}, "min_p is nan"),
        ({"typical_p": 0.0}, "typical_p is 0.0"),
        ({"typical_p": math.nan}, "typical_p is nan"),
        ({"logit_bias": {3: math.nan}}, "logit_bias of token 3 is nan"),
        ({"logit_bias": {3: math.inf}}, "logit_bias of token 3 is inf"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0"),
        ({"repetition_penalty": math.nan}, "repetition_penalty is nan"),
    ],
)
def test_a_sample_setting_out_of_range_is_named_with_its_range(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Sample(**settings)
    assert (caught.value.what, caught.value.status) == (named, 2)
    assert caught.value.fix.startswith("use a")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"beams": 0}, "beams is 0"),
        ({"beams": 2.5}, "beams is 2.5"),
        ({"length_penalty": math.nan}, "length_penalty is nan"),
        ({"beams": 3, "n_best": 4}, "n_best is 4"),
        ({"n_best": 0}, "n_best is 0"),
    ],
)
def test_a_beam_setting_out_of_range_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Beam(**settings)
    assert caught.value.what == named


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        Sample(temperature=-1, top_k=-5, top_p=0)
    assert [problem.partition(" ")[0] for problem in caught.value.problems] == ["temperature", "top_k", "top_p"]


def test_greedy_takes_the_best() -> None:
    assert Greedy().choose(LOGITS, IDS) == LOGITS.argmax()


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 9e-5])
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_a_sample_that_is_cold_enough_is_greedy(temperature: float, scale: float) -> None:
    strategy = Sample(temperature=temperature, top_k=3, top_p=0.5)
    assert strategy.choose(LOGITS * scale, IDS) == LOGITS.argmax()


def test_a_cold_sample_still_punishes_repetition() -> None:
    ids = [int(LOGITS.argmax())]
    assert Sample(temperature=0, repetition_penalty=100.0).choose(LOGITS, ids) == LOGITS.topk(2).indices[1]


def test_a_sample_is_its_filters_in_a_row_and_then_a_draw() -> None:
    cuts = {"top_k": 20, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.8}
    strategy = Sample(temperature=1.3, repetition_penalty=1.2, logit_bias={4: 2.0, 9: -math.inf}, seed=11, **cuts)
    x = repetition_penalty(bias_logits(LOGITS, {4: 2.0, 9: -math.inf}), IDS, 1.2)
    x = min_p_filter(top_p_filter(top_k_filter(apply_temperature(x, 1.3), 20), 0.9), 0.05)
    x = typical_filter(x, 0.8)
    assert strategy.choose(LOGITS, IDS) == sample(x, derived_generator("sampling", 11, step=len(IDS)))


def test_the_draw_follows_from_seed_and_place_alone() -> None:
    def draws(seed: int, first: int = 0) -> list[int]:
        return [Sample(temperature=3.0, seed=seed).choose(LOGITS, [0] * n) for n in range(first, first + 30)]

    assert draws(1) == draws(1)
    assert draws(1)[10:] == draws(1, first=10)[:20]
    assert draws(1) != draws(2)
    assert len(set(draws(1))) > 5  # another place, another draw
    assert Sample().choose(LOGITS, [7, 8]) == Sample().choose(LOGITS, [1, 2])


def test_draws_at_many_places_follow_the_filtered_distribution() -> None:
    x, n = torch.tensor([0.4, 0.3, 0.2, 0.1]).log(), 4000
    drawn = torch.tensor([Sample(temperature=0.5, top_k=3).choose(x, [0] * place) for place in range(n)])
    expected = torch.tensor([16.0, 9.0, 4.0]) / 29
    counts = torch.bincount(drawn, minlength=4)
    assert counts[3] == 0
    assert ((counts[:3] - n * expected) ** 2 / (n * expected)).sum() < 13.8  # once in a thousand seeds


def test_own_filters_see_scores_and_text_before_the_cuts() -> None:
    def ban_the_best(logits: Tensor, ids: Sequence[int]) -> Tensor:
        assert list(ids) == IDS
        return logits.index_fill(0, logits.argmax(), -math.inf)

    second, third = LOGITS.topk(3).indices[1:].tolist()
    assert Sample(top_k=1, filters=(ban_the_best,)).choose(LOGITS, IDS) == second
    assert Sample(temperature=0, filters=(ban_the_best, ban_the_best)).choose(LOGITS, IDS) == third


@pytest.mark.parametrize("temperature", [0.0, 1e-30, 1.0])
def test_filters_that_leave_nothing_are_an_error_of_ours(temperature: float) -> None:
    with pytest.raises(DivergedError) as caught:
        Sample(temperature=temperature, filters=(lambda logits, _ids: torch.full_like(logits, -math.inf),)).choose(
            LOGITS, IDS
        )
    assert caught.value.code == "NUM_LOGITS"


@pytest.mark.parametrize("strange", [math.nan, math.inf])
@pytest.mark.parametrize("strategy", [Greedy(), Sample(), Sample(temperature=0)], ids=str)
def test_scores_that_are_no_numbers_are_named_with_their_place(strategy: Greedy | Sample, strange: float) -> None:
    logits = LOGITS.clone()
    logits[7] = strange
    with pytest.raises(DivergedError) as caught:
        strategy.choose(logits, IDS)
    assert (caught.value.code, caught.value.status) == ("NUM_LOGITS", 3)
    assert str(strange) in caught.value.what
    assert "position 5" in caught.value.where


def test_no_finite_score_at_all_is_an_error_and_some_are_enough() -> None:
    logits = torch.full((5,), -math.inf)
    with pytest.raises(DivergedError):
        Greedy().choose(logits, IDS)
    logits[2] = -1e30
    assert Greedy().choose(logits, IDS) == 2
    assert Sample(temperature=2.0, top_p=0.5).choose(logits, IDS) == 2


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_every_dtype_of_scores_is_taken(dtype: torch.dtype) -> None:
    assert 0 <= Sample(top_k=5, top_p=0.9, min_p=0.01).choose(LOGITS.to(dtype), IDS) < 50


def test_own_parts_do_the_choosing() -> None:
    worst = GenerationParts(greedy=lambda logits: logits.argmin(dim=-1))
    assert Greedy().choose(LOGITS, IDS, worst) == LOGITS.argmin()
    first = GenerationParts(top_k_filter=lambda logits, k: logits.index_fill(0, torch.arange(k, 50), -math.inf))
    assert Sample(top_k=1).choose(LOGITS, IDS, first) == 0
    fixed = GenerationParts(sample=lambda logits, generator: torch.tensor(13))
    assert Sample().choose(LOGITS, IDS, fixed) == 13


def test_a_bias_rules_a_token_out_or_makes_it_certain() -> None:
    best = int(LOGITS.argmax())
    assert Sample(temperature=0, logit_bias={best: -math.inf}).choose(LOGITS, IDS) == LOGITS.topk(2).indices[1]
    assert Sample(logit_bias={17: 1000.0}).choose(LOGITS, IDS) == 17


@pytest.mark.parametrize(
    "strategy",
    [
        *(Greedy(), Beam(), Contrastive(), Sample(), Sample(temperature=0, repetition_penalty=1.1)),
        *(Sample(top_k=3, min_p=0.1), Sample(top_p=0.5, repetition_penalty=1.2)),
    ],
    ids=str,
)
def test_the_parts_that_a_strategy_is_said_to_call_are_those_that_it_calls(make_model, strategy) -> None:
    called: set[str] = set()

    def watched(name: str):
        def own(*arguments: object, **options: object) -> object:
            called.add(name)
            return GenerationParts.defaults()[name](*arguments, **options)

        return own

    parts = GenerationParts(**{name: watched(name) for name in GenerationParts.names()})
    list(generate(make_model(), [1, 2], strategy, max_tokens=3, parts=parts))
    if isinstance(strategy, Beam):  # a wrapper takes its own beam_step no other way than by name
        called.add("beam_step")
    assert called == parts_called(strategy)
