"""What a model may be: every fault of a config at once, each with what would do."""

from __future__ import annotations

import pytest
from small import BOOK, MODERN, small_config

from groundup.errors import ConfigError
from groundup.model import ModelConfig


def problems(**settings: object) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as raised:
        small_config(**settings)
    assert raised.value.code == "CFG_VALUE"
    return raised.value.problems


@pytest.mark.parametrize("key", ["vocab_size", "context_length", "n_layers", "d_model", "n_heads"])
@pytest.mark.parametrize("value", [0, -1])
def test_counts_and_widths_begin_at_one(key: str, value: int) -> None:
    assert problems(**{key: value}) == (f"model.{key} is {value}: use a whole number of at least 1",)


@pytest.mark.parametrize(
    ("settings", "says", "fix"),
    [
        ({"n_heads": 3}, "model.n_heads is 3", "use one of 1, 2, 4, 8, 16, or set model.d_head"),
        ({"n_kv_heads": 3}, "model.n_kv_heads is 3", "use one of 1, 2, 4"),
        ({"n_kv_heads": 8}, "model.n_kv_heads is 8", "use one of 1, 2, 4"),
        ({"dropout": 1.0}, "model.dropout is 1.0", "from 0 up to, but not, 1"),
        ({"rope_theta": 0.0}, "model.rope_theta is 0.0", "above 0"),
        ({"norm_eps": -1.0}, "model.norm_eps is -1.0", "above 0"),
        ({"logit_soft_cap": 0.0}, "model.logit_soft_cap is 0.0", "above 0"),
        ({"window": 0}, "model.window is 0", "at least 1"),
        ({"d_head": 3, "position": "rope"}, "model.d_head is 3", "even width"),
        ({"d_model": 9, "n_heads": 3, "position": "sinusoidal"}, "model.d_model is 9", "even width"),
        ({"feed_forward": "swiglu"}, "model.bias is true", "set model.bias=false"),
        ({"feed_forward": "geglu"}, "model.bias is true", "set model.bias=false"),
        ({"position": "rotary"}, "position is", "learned, sinusoidal, rope, none"),
        ({"n_layers": 1.5}, "n_layers is 1.5", "whole number"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_what_would_do(settings: dict[str, object], says: str, fix: str) -> None:
    (problem,) = problems(**settings)
    assert problem.startswith(says)
    assert fix in problem


def test_all_faults_are_found_at_once() -> None:
    found = problems(n_layers=0, dropout=2.0, rope_theta=-1.0, feed_forward="swiglu")
    assert [problem.split()[0] for problem in found] == [
        *("model.n_layers", "model.dropout", "model.rope_theta", "model.bias"),
    ]
    found = problems(n_heads=3, n_kv_heads=2, d_model=17, position="sinusoidal")
    assert [problem.split()[0] for problem in found] == ["model.n_heads", "model.n_kv_heads", "model.d_model"]


def test_the_suggested_head_counts_do() -> None:
    (problem,) = problems(d_model=12, n_heads=5)
    suggested = problem.partition("use one of ")[2].partition(", or")[0].split(", ")
    assert suggested == ["1", "2", "3", "4", "6", "12"]
    for n_heads in suggested:
        assert small_config(d_model=12, n_heads=int(n_heads)).head_width == 12 // int(n_heads)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"kv_heads": 4, "head_width": 4, "hidden_width": 64, "eps": 1e-5}),
        ({"n_kv_heads": 2, "d_head": 6, "d_ff": 10}, {"kv_heads": 2, "head_width": 6, "hidden_width": 10}),
        ({"norm": "rms"}, {"eps": 1e-6}),
        ({"norm_eps": 1e-3}, {"eps": 1e-3}),
        ({"d_model": 48, "feed_forward": "swiglu", "bias": False}, {"hidden_width": 128}),
        ({"d_model": 768, "n_heads": 12}, {"hidden_width": 3072}),
    ],
)
def test_what_is_not_set_follows_from_the_rest(settings: dict[str, object], expected: dict[str, object]) -> None:
    config = small_config(**settings)
    assert {name: getattr(config, name) for name in expected} == expected


def test_the_book_and_its_tables_are_told_from_other_models() -> None:
    assert small_config(**BOOK).is_gpt2
    assert small_config(dropout=0.1, tie_embeddings=False).is_gpt2
    others = {
        **{"position": "rope", "norm": "rms", "feed_forward": "relu2", "bias": False, "qk_norm": True, "window": 4},
        **{"logit_soft_cap": 30.0, "n_kv_heads": 2, "d_head": 8, "d_ff": 32, "norm_eps": 1e-6},
        "embedding_norm": True,
    }
    for key, value in others.items():
        assert not small_config(**{key: value}).is_gpt2, key
    assert not small_config(**MODERN).is_gpt2


def test_a_config_never_changes() -> None:
    config = ModelConfig()
    with pytest.raises(AttributeError):
        config.n_layers = 3
