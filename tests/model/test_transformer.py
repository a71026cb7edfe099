"""The whole model: one function for the book's, one module for every kind."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import BOOK, DTYPES, MODERN, generator, random_ids, small_config, small_model
from torch import Tensor

from groundup.errors import ShapeError
from groundup.model import ModelConfig, Transformer
from groundup.model.transformer import count_parameters, gpt_forward, init_gpt, soft_cap

KINDS = {
    "book": BOOK,
    "modern": MODERN,
    "sinusoidal, relu2": {"position": "sinusoidal", "feed_forward": "relu2", "norm": "rms"},
    "geglu, one key head": {"position": "rope", "feed_forward": "geglu", "bias": False, "n_kv_heads": 1},
    "normalised embedding": {"position": "rope", "norm": "rms", "bias": False, "embedding_norm": True},
    "window": {"position": "rope", "window": 3, "n_kv_heads": 2},
    "no positions, wide heads": {"position": "none", "d_head": 6, "tie_embeddings": False},
}
EVERY_KIND = pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS.keys())
IDS = random_ids(2, 8)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def parameters(model: Transformer) -> dict[str, Tensor]:
    return dict(model.named_parameters())


# The book's model, twice.


@pytest.mark.parametrize("tied", [True, False])
def test_gpt_forward_is_the_transformer_in_values_and_gradients(tied: bool) -> None:
    model = small_model(**BOOK, tie_embeddings=tied).double()
    p = {name: value.detach().clone().requires_grad_() for name, value in parameters(model).items()}
    ours, theirs = model(IDS), gpt_forward(IDS, p, 2, 4)
    close(ours, theirs, 1e-12)
    for logits in (ours, theirs):
        logits.square().mean().backward()
    for name, parameter in parameters(model).items():
        close(parameter.grad, p[name].grad, 1e-12)


@pytest.mark.parametrize("tied", [True, False])
def test_gpt_forward_and_the_transformer_drop_the_same(tied: bool) -> None:
    model = small_model(**BOOK, tie_embeddings=tied, dropout=0.3).train()
    ours = model(IDS, generator=generator(7))
    close(ours, gpt_forward(IDS, parameters(model), 2, 4, dropout=0.3, generator=generator(7)))
    assert not torch.allclose(ours, model(IDS, generator=generator(8)))
    assert torch.equal(ours, model(IDS, generator=generator(7)))
    close(model.eval()(IDS), gpt_forward(IDS, parameters(model), 2, 4))


def test_gpt_forward_takes_ten_layers_and_more() -> None:
    # h.1. and h.10. begin alike.
    model = small_model(**BOOK, n_layers=11)
    close(model(IDS), gpt_forward(IDS, parameters(model), 11, 4))


def test_the_output_is_tied_unless_it_has_a_matrix_of_its_own() -> None:
    tied, untied = small_model(**BOOK), small_model(**BOOK, tie_embeddings=False)
    assert tied.output_weight is tied.wte
    assert "lm_head.weight" not in parameters(tied)
    assert untied.output_weight is parameters(untied)["lm_head.weight"]
    close(untied(IDS), untied.hidden(IDS) @ untied.output_weight.T)


# First weights and counts.

SIZES = st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 3), st.just(2), st.sampled_from([2, 4, 6]))


@given(SIZES, st.booleans())
def test_count_parameters_counts_the_first_weights_and_the_model(sizes: tuple[int, ...], tied: bool) -> None:
    names = ("vocab_size", "context_length", "n_layers", "n_heads", "d_model")
    model = Transformer(ModelConfig(**dict(zip(names, sizes, strict=True)), tie_embeddings=tied))
    assert count_parameters(*sizes, tied=tied) == sum(parameter.numel() for parameter in model.parameters())
    first = init_gpt(*sizes, generator())
    assert count_parameters(*sizes) == sum(value.numel() for value in first.values())


def test_gpt2_has_124_439_808_parameters() -> None:
    sizes = (50257, 1024, 12, 12, 768)
    assert count_parameters(*sizes) == 124_439_808
    assert count_parameters(*sizes, tied=False) == 124_439_808 + 50257 * 768
    with torch.device("meta"):
        config = ModelConfig(vocab_size=50257, context_length=1024, n_layers=12, n_heads=12, d_model=768)
        model = Transformer(config)
        first = init_gpt(*sizes, None)
    assert sum(value.numel() for value in first.values()) == 124_439_808
    assert {name: value.shape for name, value in parameters(model).items()} == {n: v.shape for n, v in first.items()}


def test_init_gpt_draws_with_gpt2s_deviations() -> None:
    first = init_gpt(400, 300, 8, 4, 64, generator())
    for name, value in first.items():
        if name.endswith(("weight", "bias")) or ".b_" in name:
            assert (value == (1.0 if name.endswith("weight") else 0.0)).all(), name
            continue
        deviation = 0.02 / math.sqrt(16) if name.endswith(("w_o", "w_down")) else 0.02
        # Four standard errors of a deviation from n numbers: 4 / √(2n).
        assert value.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(2 * value.numel())), name
        assert abs(value.mean().item()) < 4 * deviation / math.sqrt(value.numel()), name


def test_init_gpt_repeats_with_its_generator_and_does_not_depend_on_the_heads() -> None:
    first, again, other = (init_gpt(13, 10, 2, n_heads, 16, generator(s)) for n_heads, s in ((4, 1), (2, 1), (4, 2)))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["wte"], other["wte"])


@pytest.mark.parametrize("tied", [True, False])
def test_the_books_model_begins_with_init_gpt(tied: bool) -> None:
    config = small_config(**BOOK, tie_embeddings=tied)
    model = Transformer(config).init_weights(generator(3))
    for name, value in init_gpt(13, 10, 2, 4, 16, generator(3)).items():
        assert torch.equal(parameters(model)[name], value), name
    if not tied:
        assert 0.01 < model.output_weight.std() < 0.03


@EVERY_KIND
def test_first_weights_are_ones_zeros_and_small_numbers(settings: dict[str, object]) -> None:
    first, again = (Transformer(small_config(**settings)).init_weights(generator(3)) for _ in range(2))
    for name, value in parameters(first).items():
        assert torch.equal(value, parameters(again)[name])
        if value.dim() == 1:
            assert (value == (0.0 if ".b_" in name or name.endswith("bias") else 1.0)).all(), name
        else:
            assert 0.005 < value.std() < 0.03, name


# Every kind of model.


@EVERY_KIND
def test_a_model_ignores_the_future(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    changed = IDS.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 13
    before, after = model(IDS), model(changed)
    close(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@EVERY_KIND
@pytest.mark.parametrize("cut", [[8], [1] * 8, [5, 1, 2]])
def test_cached_and_uncached_logits_agree(settings: dict[str, object], cut: list[int]) -> None:
    model = small_model(**settings)
    cache = SimpleNamespace(layers=[{}, {}], length=0)
    pieces = [model(piece, cache) for piece in IDS.split(cut, dim=1)]
    close(torch.cat(pieces, dim=1), model(IDS))
    assert cache.length == 8
    n_kept = 8 if len(cut) == 1 else min(8, (model.config.window or 9) - 1 + cut[-1])
    assert cache.layers[1]["k"].shape == (2, model.config.kv_heads, n_kept, model.config.head_width)


@EVERY_KIND
def test_sequences_of_a_batch_do_not_see_each_other(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    close(model(IDS)[1:], model(IDS[1:]))


@EVERY_KIND
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_computes_in_its_own_dtype(settings: dict[str, object], dtype: torch.dtype) -> None:
    model = small_model(**settings)
    expected = model(IDS)
    logits = model.to(dtype)(IDS)
    assert logits.dtype == dtype
    spread = expected.std().item()  # bfloat16 keeps three digits, and two layers lose some of them
    torch.testing.assert_close(
        logits.float(), expected, rtol=0, atol=0.2 * spread if dtype == torch.bfloat16 else 1e-5 * spread
    )


@EVERY_KIND
def test_every_parameter_learns(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    before = IDS.clone()
    model(IDS).square().mean().backward()
    assert torch.equal(IDS, before)
    for name, parameter in parameters(model).items():
        assert name.endswith("attn.b_k") or parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("n_layers", [1, 2])
def test_each_layer_lets_a_window_see_further(n_layers: int) -> None:
    model = small_model(position="none", window=3, n_layers=n_layers)
    changed = IDS.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 13
    differs = (model(IDS) - model(changed)).abs().amax((0, 2)) > 1e-6
    assert differs.tolist() == [i <= 2 * n_layers for i in range(8)]


def test_without_positions_one_layer_does_not_mind_the_order_of_the_past() -> None:
    swapped = IDS[:, [3, 1, 6, 0, 2, 5, 4, 7]]
    for position, minds in (("none", False), ("learned", True), ("sinusoidal", True), ("rope", True)):
        model = small_model(position=position, n_layers=1)
        assert torch.allclose(model(IDS)[:, -1], model(swapped)[:, -1], atol=1e-5) != minds, position


def test_rotary_positions_depend_on_distance_alone() -> None:
    block = small_model(position="rope").double().h[0]
    x = torch.randn(2, 6, 16, generator=generator(), dtype=torch.float64)
    close(block(x, torch.arange(6)), block(x, torch.arange(6) + 1000), 1e-9)


@pytest.mark.parametrize("settings", [BOOK, MODERN])
def test_a_full_context_fits_and_one_token_more_does_not(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    assert model(random_ids(1, 10)).shape == (1, 10, 13)
    with pytest.raises(ShapeError, match="11 tokens do not fit into a context of 10") as raised:
        model(random_ids(1, 11))
    assert raised.value.code == "LENGTH"
    cache = SimpleNamespace(layers=[{}, {}], length=0)
    model(random_ids(1, 9), cache)
    with pytest.raises(ShapeError, match="11 tokens"):
        model(random_ids(1, 2), cache)


def test_capped_logits_stay_within_the_cap_and_keep_their_order() -> None:
    x = torch.linspace(-200, 200, 101, dtype=torch.float64)
    capped = soft_cap(x, 30.0)
    assert capped.abs().max() <= 30
    assert (capped.diff() > 0).all()
    close(soft_cap(x / 1000, 30.0), x / 1000, 1e-4)
    assert soft_cap(x, None) is x
    plain, model = small_model(), small_model(logit_soft_cap=2.0)
    close(model(IDS), 2 * torch.tanh(plain(IDS) / 2))


# Looking inside.


@EVERY_KIND
def test_a_record_collects_named_activations_and_changes_nothing(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    record: dict[str, Tensor] = {}
    close(model(IDS, record=record), model(IDS), 0)
    of_block = ("attn.q", "attn.k", "attn.v", "attn.out", "mlp.out", "out")
    assert list(record) == ["embedded", *(f"h.{i}.{name}" for i in range(2) for name in of_block), "ln_f", "logits"]
    heads, width = model.config.kv_heads, model.config.head_width
    assert record["h.0.attn.q"].shape == (2, 4, 8, width)
    assert record["h.1.attn.v"].shape == (2, heads, 8, width)
    assert torch.equal(record["logits"], model(IDS))
    assert torch.equal(record["ln_f"], model.hidden(IDS))


def test_the_record_adds_up_as_the_stream_does() -> None:
    record: dict[str, Tensor] = {}
    small_model(**MODERN)(IDS, record=record)
    for i, before in ((0, "embedded"), (1, "h.0.out")):
        close(record[before] + record[f"h.{i}.attn.out"] + record[f"h.{i}.mlp.out"], record[f"h.{i}.out"])
