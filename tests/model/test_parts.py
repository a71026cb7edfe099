"""The seam: an own part reaches every place where it is called, and nothing else changes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import BOOK, MODERN, generator, random_ids, random_tensor, small_config, small_model
from torch import Tensor
from torch.nn import functional

from groundup.errors import ConfigError, ShapeError
from groundup.model import ModelConfig, ModelParts, Transformer, attention
from groundup.model import block as block_chapter
from groundup.model import transformer as transformer_chapter
from groundup.model.dropout import dropout
from groundup.model.feedforward import gelu
from groundup.model.norm import layer_norm

IDS = random_ids(2, 6)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


class Own:
    """A part of somebody's own: does what another does, and remembers how it was called."""

    def __init__(self, part: Callable[..., Any]) -> None:
        self.part = part
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append((arguments, named))
        return self.part(*arguments, **named)


def uniform(x: Tensor, dim: int = -1) -> Tensor:
    """A softmax that is wrong on purpose: all that is allowed weighs the same."""
    allowed = (x > -torch.inf).to(x.dtype)
    return allowed / allowed.sum(dim, keepdim=True)


# An own part reaches every caller.

QKV = [random_tensor(2, 4, 6, 8, seed=i) for i in range(3)]
X = random_tensor(2, 6, 16)
SQUARE = [random_tensor(16, 16, seed=i) for i in range(4)]
GPT = {name: value.detach() for name, value in small_model(**BOOK).named_parameters()}
BLOCK = {name.removeprefix("h.0."): value for name, value in GPT.items() if name.startswith("h.0.")}
UP_AND_DOWN = [BLOCK[f"mlp.{name}"] for name in ("w_up", "b_up", "w_down", "b_down")]

CALLERS_OF_SOFTMAX: dict[str, Callable[[ModelParts], Tensor]] = {
    "attention_weights": lambda parts: parts.attention_weights(*QKV[:2]),
    "scaled_dot_product_attention": lambda parts: parts.scaled_dot_product_attention(*QKV),
    "multi_head_attention": lambda parts: parts.multi_head_attention(X, *SQUARE, 4),
    "multi_head_attention with dropout": lambda parts: parts.multi_head_attention(
        X, *SQUARE, 4, dropout=0.5, generator=generator()
    ),
    "grouped_query_attention": lambda parts: parts.grouped_query_attention(*QKV),
    "cached_attention": lambda parts: parts.cached_attention(*QKV, {}),
    "attention": lambda parts: parts.attention(*QKV),
    "attention with a window": lambda parts: parts.attention(*QKV, 2),
    "attention with a cache": lambda parts: parts.attention(*QKV, None, {}),
    "attention with dropout": lambda parts: parts.attention(*QKV, dropout=0.5, generator=generator()),
    "transformer_block": lambda parts: parts.transformer_block(X, BLOCK, 4),
    "gpt_forward": lambda parts: parts.gpt_forward(IDS, GPT, 2, 4),
    "the book's model": lambda parts: small_model(parts, **BOOK)(IDS),
    "a modern model": lambda parts: small_model(parts, **MODERN)(IDS),
}


@pytest.mark.parametrize("run", CALLERS_OF_SOFTMAX.values(), ids=CALLERS_OF_SOFTMAX.keys())
def test_an_own_softmax_reaches_every_caller(run: Callable[[ModelParts], Tensor]) -> None:
    own = Own(attention.softmax)
    library, same, wrong = run(ModelParts()), run(ModelParts(softmax=own)), run(ModelParts(softmax=uniform))
    assert own.calls
    assert torch.equal(library, same)
    assert not torch.allclose(library, wrong, atol=1e-3)


# A part, and a model whose answer hangs on it.
REACH: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ["linear", "embed", "softmax", "causal_mask", "attention_weights", "scaled_dot_product_attention"], BOOK
    ),
    **dict.fromkeys(["split_heads", "merge_heads", "layer_norm", "gelu", "feed_forward", "token_embedding"], BOOK),
    **dict.fromkeys(["attention", "residual_norm", "mlp", "multi_head_attention", "transformer_block"], BOOK),
    "gpt_forward": BOOK,
    **dict.fromkeys(["rope", "rms_norm", "swiglu", "grouped_query_attention"], MODERN),
    "sinusoidal_positions": {"position": "sinusoidal"},
    "sliding_window_mask": {"window": 2},
}


@pytest.mark.parametrize(("name", "settings"), REACH.items())
def test_a_model_calls_every_own_part_that_its_config_asks_for(name: str, settings: dict[str, Any]) -> None:
    own = Own(getattr(ModelParts(), name))
    parts = ModelParts(**{name: own})
    assert parts.own == {name}
    close(small_model(parts, **settings)(IDS), small_model(**settings)(IDS))
    assert own.calls


def test_the_parts_that_no_forward_pass_calls_are_called_elsewhere() -> None:
    drop, init, cached = Own(dropout), Own(transformer_chapter.init_gpt), Own(attention.cached_attention)
    parts = ModelParts(dropout=drop, init_gpt=init, cached_attention=cached)
    model = Transformer(small_config(**BOOK, dropout=0.5), parts).init_weights(generator())
    assert len(init.calls) == 1
    model(IDS, generator=generator())
    # The embedding, and in each of two blocks the weights and two branches.
    assert [call[0][1] for call in drop.calls] == [0.5] * 7
    cache = type("Cache", (), {"layers": [{}, {}], "length": 0})()
    model.eval()(IDS, cache)
    assert len(cached.calls) == 2
    assert set(REACH) | {"dropout", "init_gpt", "cached_attention"} == set(ModelParts.names())


# Own composite parts run as they are.


def test_an_own_gpt_forward_is_the_model() -> None:
    own = Own(lambda ids, p, n_layers, n_heads: torch.zeros(*ids.shape, 13) + p["wte"].sum())
    model = small_model(ModelParts(gpt_forward=own), **BOOK)
    assert torch.equal(model(IDS), torch.zeros(2, 6, 13) + model.wte.sum())
    ((ids, p, n_layers, n_heads), named) = own.calls[0]
    assert (ids is IDS, n_layers, n_heads, named) == (True, 2, 4, {})
    assert set(p) == set(GPT)
    model(IDS).sum().backward()
    assert model.wte.grad is not None


@pytest.mark.parametrize(
    ("name", "function", "n_calls"),
    [
        ("gpt_forward", transformer_chapter.gpt_forward, 1),
        ("transformer_block", block_chapter.transformer_block, 2),
        ("multi_head_attention", attention.multi_head_attention, 2),
    ],
)
def test_an_own_composite_part_gives_the_librarys_logits_and_dropout(
    name: str, function: Callable[..., Any], n_calls: int
) -> None:
    own = Own(function)
    model, library = small_model(ModelParts(**{name: own}), **BOOK, dropout=0.4), small_model(**BOOK, dropout=0.4)
    close(model(IDS), library(IDS))
    assert len(own.calls) == n_calls
    assert all("dropout" not in named for _, named in own.calls)
    close(model.train()(IDS, generator=generator(2)), library.train()(IDS, generator=generator(2)))
    assert {named["dropout"] for _, named in own.calls[n_calls:]} == {0.4}


def test_an_own_block_needs_no_more_arguments_than_the_list_of_parts_says() -> None:
    def transformer_block(x: Tensor, p: dict[str, Tensor], n_heads: int) -> Tensor:
        assert set(p) == set(BLOCK)
        assert n_heads == 4
        return x + 1

    model = small_model(ModelParts(transformer_block=transformer_block), **BOOK)
    _, normed = model.ln_f(model._embed(IDS, 0) + 2)
    close(model(IDS), model.logits(normed))


def test_an_own_block_is_given_the_own_parts_that_it_asks_for() -> None:
    def transformer_block(x: Tensor, p: dict[str, Tensor], n_heads: int, *, gelu: Callable[[Tensor], Tensor]) -> Tensor:
        return gelu(x)

    parts = ModelParts(transformer_block=transformer_block, gelu=torch.sign)
    assert torch.equal(parts.transformer_block(X, BLOCK, 4), torch.sign(X))


def test_the_rate_and_the_part_called_dropout_are_told_apart() -> None:
    own = Own(dropout)
    parts = ModelParts(dropout=own)
    expected = attention.multi_head_attention(X, *SQUARE, 4, dropout=0.5, generator=generator(1))
    assert torch.equal(parts.multi_head_attention(X, *SQUARE, 4, dropout=0.5, generator=generator(1)), expected)
    assert own.calls[0][0][1] == 0.5
    assert torch.equal(parts.multi_head_attention(X, *SQUARE, 4), attention.multi_head_attention(X, *SQUARE, 4))


# The record.


def test_a_record_remembers_what_is_own() -> None:
    assert ModelParts().own == frozenset()
    parts = ModelParts(softmax=uniform, gelu=functional.gelu, linear=torch.nn.functional.linear)
    assert parts.own == {"softmax", "gelu", "linear"}
    # The library's own, dressed otherwise, are no less the library's.
    assert ModelParts(layer_norm=functools.partial(layer_norm, eps=1e-3), gelu=gelu).own == frozenset()


def test_a_function_without_a_signature_is_a_part_too() -> None:
    parts = ModelParts(softmax=torch.softmax)
    close(small_model(parts, **BOOK)(IDS), small_model(**BOOK)(IDS))


def test_two_records_live_side_by_side_and_nothing_is_patched() -> None:
    before = {name: getattr(attention, name) for name in dir(attention)}
    wrong, right = small_model(ModelParts(softmax=uniform), **BOOK), small_model(**BOOK)
    expected = right(IDS)
    assert not torch.allclose(wrong(IDS), expected, atol=1e-3)
    assert torch.equal(right(IDS), expected)
    assert {name: getattr(attention, name) for name in dir(attention)} == before
    assert torch.equal(transformer_chapter.gpt_forward(IDS, GPT, 2, 4), ModelParts().gpt_forward(IDS, GPT, 2, 4))


def test_a_record_never_changes() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelParts().softmax = uniform


def test_a_record_with_other_functions_keeps_the_rest() -> None:
    first = ModelParts(softmax=uniform)
    second = first.with_functions(gelu=torch.sign)
    assert second.own == {"softmax", "gelu"}
    assert torch.equal(second.attention_weights(*QKV[:2]), first.attention_weights(*QKV[:2]))
    assert not torch.equal(second.feed_forward(X, *UP_AND_DOWN), first.feed_forward(X, *UP_AND_DOWN))
    back = second.with_functions(softmax=attention.softmax, gelu=gelu)
    assert back.own == frozenset()
    assert torch.equal(back.gpt_forward(IDS, GPT, 2, 4), ModelParts().gpt_forward(IDS, GPT, 2, 4))


def test_an_own_mask_need_not_know_of_devices() -> None:
    own = ModelParts(causal_mask=lambda t: torch.ones(t, t).tril().bool())
    assert torch.equal(own.gpt_forward(IDS, GPT, 2, 4), ModelParts().gpt_forward(IDS, GPT, 2, 4))
    assert torch.equal(own.attention(*QKV), ModelParts().attention(*QKV))


def test_a_joint_knows_the_parts_that_it_covers() -> None:
    parts = ModelParts()
    weighing = {"softmax", "attention_weights", "scaled_dot_product_attention"}
    masks = {"causal_mask", "sliding_window_mask"}
    assert parts.covered("attention") == weighing | masks | {"grouped_query_attention", "cached_attention", "dropout"}
    assert parts.covered("residual_norm") == {"layer_norm", "rms_norm"}
    assert parts.covered("mlp") == {"linear", "gelu", "feed_forward", "swiglu"}


def test_what_a_joint_covers_does_not_depend_on_an_own_joint() -> None:
    own = ModelParts(mlp=lambda x, *_: x)
    assert own.covered("mlp") == ModelParts().covered("mlp")


def test_every_part_stands_in_the_record_under_its_own_name() -> None:
    for name in ModelParts.names():
        default = next(item.default for item in dataclasses.fields(ModelParts) if item.name == name)
        assert default.__name__ == name
        assert default.__module__.startswith("groundup.model.")


def test_a_part_made_of_itself_is_an_error() -> None:
    def gelu(x, *, feed_forward):
        return x

    with pytest.raises(ConfigError, match="made of itself") as caught:
        ModelParts(gelu=gelu)
    assert caught.value.code == "PARTS"


def test_first_weights_of_a_wrong_shape_are_an_error() -> None:
    def init_gpt(*sizes):
        return {name: value[..., :1] for name, value in library_init(*sizes).items()}

    library_init = ModelParts().init_gpt
    config = ModelConfig(vocab_size=7, context_length=4, n_layers=1, d_model=8, n_heads=2)
    with pytest.raises(ShapeError, match="init_gpt gave wte"):
        Transformer(config, ModelParts(init_gpt=init_gpt)).init_weights(torch.Generator())
