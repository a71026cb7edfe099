"""What is remembered is what would have been computed, for every kind of model and every way of cutting a text."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.generation import Beam, KVCache, NextLogits, beam_decode, generate
from groundup.kernels import fuse
from groundup.model import ModelParts, attention

KINDS = {
    "learned": {},
    "sinusoidal": {"position": "sinusoidal"},
    "rope": {"position": "rope"},
    "none": {"position": "none"},
    "grouped": {"position": "rope", "n_kv_heads": 2},
    "one key head": {"n_kv_heads": 1},
    "window": {"window": 3},
    "grouped window": {"position": "rope", "n_kv_heads": 2, "window": 4},
    "qk-norm": {"position": "rope", "qk_norm": True, "norm": "rms"},
    "modern": {"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "tie_embeddings": False},
    "soft cap": {"logit_soft_cap": 5.0},
}
N = 12
CUTS = {"all at once": [N], "one by one": [1] * N, "one, then all": [1, N - 1], "chunks": [3, 1, 4, 2, 2]}


def ids(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(23, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_cached_logits_are_the_uncached_ones(make_model, kind: str, cut: str) -> None:
    model, text = make_model(**KINDS[kind]), ids(3, N)
    cache = KVCache(model.config.n_layers)
    with torch.no_grad():
        pieces = [model(piece, cache) for piece in text.split(CUTS[cut], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model(text), rtol=1e-9, atol=1e-9)
    assert cache.length == N
    window, last = model.config.window or N + 1, CUTS[cut][-1]
    n_kept = N if len(CUTS[cut]) == 1 else min(N, window - 1 + last)
    assert all(layer["k"].shape[:3] == (3, model.config.kv_heads, n_kept) for layer in cache.layers)


@pytest.mark.parametrize("kind", ["learned", "rope", "grouped window"])
def test_reordered_rows_go_on_as_their_parents_would(make_model, kind: str) -> None:
    model, text, parents = make_model(**KINDS[kind]), ids(3, 6), [2, 0, 0, 1]
    cache = KVCache(model.config.n_layers)
    new = ids(4, 1, seed=2)
    with torch.no_grad():
        model(text, cache)
        cache.reorder(parents)
        torch.testing.assert_close(model(new, cache)[:, -1], model(torch.cat([text[parents], new], dim=1))[:, -1])


@pytest.mark.parametrize("kind", KINDS)
def test_next_logits_are_those_of_the_plain_model_also_past_the_context(make_model, kind: str) -> None:
    model, text = make_model(**KINDS[kind]), ids(20).tolist()
    next_logits = NextLogits(model)
    for n in range(1, len(text) + 1):
        expected = model(torch.tensor([text[:n][-12:]]))[0, -1]
        torch.testing.assert_close(next_logits(text[:n]), expected, rtol=1e-9, atol=1e-9)


texts = st.lists(st.integers(0, 1), min_size=1, max_size=15)  # two ids: texts often go on from each other


@settings(max_examples=50)
@given(data=st.data())
def test_whatever_was_read_before_the_answer_is_the_same(make_model, data: st.DataObject) -> None:
    model = make_model(position="rope")
    next_logits = NextLogits(model)
    for _ in range(5):
        n = data.draw(st.integers(1, 15))
        several = data.draw(st.lists(st.lists(st.integers(0, 1), min_size=n, max_size=n), min_size=1, max_size=3))
        expected = model(torch.tensor(several)[:, -12:])[:, -1]
        torch.testing.assert_close(next_logits.of_each(several), expected, rtol=1e-9, atol=1e-9)


def test_only_what_is_new_is_read(make_model) -> None:
    model, read = make_model(), []
    model.h[0].register_forward_hook(lambda _module, inputs, _output: read.append(tuple(inputs[0].shape[:2])))
    next_logits, text = NextLogits(model), ids(20).tolist()
    for n in (5, 6, 9, 11, 12, 13, 14):
        next_logits(text[:n])
    assert read == [(1, 5), (1, 1), (1, 3), (1, 2), (1, 1), (1, 12), (1, 12)]  # past the context, all of it
    assert next_logits.cache.layers == [{}, {}]  # and nothing is kept that could not be used again
    read.clear()
    next_logits.of_each([[1, 2]])
    next_logits.of_each([[1, 2, 3], [1, 2, 4]])
    next_logits.of_each([[1, 2, 4, 0], [1, 2, 4, 1], [1, 2, 3, 0]])
    assert read == [(1, 2), (2, 1), (3, 1)]
    read.clear()
    uncached = NextLogits(model, cached=False)
    uncached(text[:3])
    uncached(text[:4])
    assert read == [(1, 3), (1, 4)]


def test_the_same_token_over_and_over_is_no_text_that_goes_on_past_the_context(make_model) -> None:
    model = make_model()
    next_logits = NextLogits(model)
    for n in range(1, 16):
        torch.testing.assert_close(next_logits([7] * n), model(torch.tensor([[7] * min(n, 12)]))[0, -1])


def test_a_model_in_training_answers_without_dropout_and_goes_on_training(make_model) -> None:
    model = make_model(dropout=0.5)
    expected = NextLogits(model)([1, 2, 3])
    model.train()
    assert torch.equal(NextLogits(model)([1, 2, 3]), expected)
    assert model.training
    assert model.h[0].training


def test_nothing_of_it_is_kept_for_a_gradient(make_model) -> None:
    assert not NextLogits(make_model())([1, 2]).requires_grad
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_rows_that_the_tokenizer_does_not_have_are_left_out(make_model) -> None:
    model = make_model()
    assert torch.equal(NextLogits(model, vocab_size=20)([1, 2]), NextLogits(model)([1, 2])[:20])
    assert NextLogits(model, vocab_size=99)([1, 2]).shape == (23,)


def test_an_own_cached_attention_is_used(make_model) -> None:
    def own(q: Tensor, k: Tensor, v: Tensor, cache: dict[str, Tensor]) -> Tensor:
        return attention.cached_attention(q, k, v, cache) * 2

    plain, own_model = make_model(), make_model(ModelParts(cached_attention=own))
    assert not torch.allclose(NextLogits(own_model)([1, 2]), NextLogits(plain)([1, 2]))


# A beginning that several texts share.


def test_beams_keep_the_prompt_once_and_copy_nothing_of_it(make_model) -> None:
    """Storage is what is asked about: the shared keys are the very tensor that reading the prompt made."""
    for parts in (None, fuse(ModelParts())):
        model, prompt = make_model(parts, position="rope", n_kv_heads=2), [5, 1, 9, 2]
        next_logits = NextLogits(model)
        next_logits.of_each([prompt])
        read = [layer["k"].untyped_storage().data_ptr() for layer in next_logits.cache.layers]
        next_logits.of_each([[*prompt, token] for token in range(6)])
        next_logits.of_each([[*prompt, token, 1] for token in (5, 5, 0, 3, 2, 1)])
        for layer, where in zip(next_logits.cache.layers, read, strict=True):
            assert layer["shared_k"].untyped_storage().data_ptr() == where
            assert layer["shared_k"].shape[:3] == (1, 2, len(prompt))
            assert layer["k"].shape[:3] == (6, 2, 2)  # of each beam, its own two tokens


@pytest.mark.parametrize("kind", KINDS)
def test_texts_that_share_a_beginning_have_the_scores_of_the_plain_model(make_model, kind: str) -> None:
    for parts in (None, fuse(ModelParts())):
        model = make_model(parts, **KINDS[kind])
        next_logits, prompt = NextLogits(model), ids(5).tolist()
        next_logits.of_each([prompt])
        texts = [[*prompt, token] for token in (3, 1, 4, 9)]
        torch.testing.assert_close(next_logits.of_each(texts), model(torch.tensor(texts))[:, -1])
        for parents, new in (([1, 1, 0], [[2], [7], [1]]), ([2, 0], [[6], [6]]), ([1, 0, 1], [[5, 3], [8, 9], [0, 0]])):
            texts = [[*texts[parent], *tokens] for parent, tokens in zip(parents, new, strict=True)]
            torch.testing.assert_close(next_logits.of_each(texts), model(torch.tensor(texts))[:, -1])


def test_an_own_cached_attention_gets_whole_rows(make_model) -> None:
    names: set[str] = set()

    def own(q: Tensor, k: Tensor, v: Tensor, cache: dict[str, Tensor]) -> Tensor:
        names.update(cache)
        return attention.cached_attention(q, k, v, cache)

    found = beam_decode(make_model(ModelParts(cached_attention=own)), [5, 1], Beam(beams=3, n_best=3), max_tokens=5)
    expected = beam_decode(make_model(), [5, 1], Beam(beams=3, n_best=3), max_tokens=5)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert names == {"k", "v"}


# A window.


@pytest.mark.parametrize("fused", [False, True], ids=["plain", "fused"])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_behind_a_window_memory_does_not_grow_with_the_text(make_model, window: int, fused: bool) -> None:
    model = make_model(fuse(ModelParts()) if fused else None, position="rope", window=window, context_length=400)
    cache, text = KVCache(2), ids(1, 300)
    with torch.no_grad():
        pieces = [model(piece, cache) for piece in text.split([40, *[1] * 260], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, dim=1), model(text), rtol=1e-9, atol=1e-9)
    for layer in cache.layers:
        assert layer["k"].shape[2] == window
        n_stored = {tensor.untyped_storage().nbytes() for tensor in layer.values()}
        assert max(n_stored) <= 64 * 16 * 8  # 64 tokens at most are held, of 300 that were read


def test_a_window_model_reads_on_past_the_context_and_gets_what_reading_anew_gives(make_model) -> None:
    model = make_model(position="rope", window=4)  # sees 1 + 2 · 3 tokens back, inside the context of 12
    assert model.config.is_endless
    widths: list[int] = []
    model.h[0].register_forward_hook(lambda _module, given, _out: widths.append(given[0].shape[1]))
    written = list(generate(model, [5, 1, 9], max_tokens=300))
    # One token at a time, but for the prompt and for a fresh start after 16 contexts, before angles lose their digits.
    assert [width for width in widths if width > 1] == [3, 12]
    plain = make_model(position="rope", window=4)
    text = [5, 1, 9, *written]
    for n in (13, 14, 30, 192, 193, 200, 302):
        assert int(plain(torch.tensor([text[:n][-12:]]))[0, -1].argmax()) == text[n]


@pytest.mark.parametrize("settings", [{"window": 4}, {"position": "rope"}, {"position": "rope", "window": 7}])
def test_a_model_that_sees_further_than_its_context_or_counts_places_reads_anew(make_model, settings) -> None:
    model = make_model(**settings)
    assert not model.config.is_endless
    widths: list[int] = []
    model.h[0].register_forward_hook(lambda _module, given, _out: widths.append(given[0].shape[1]))
    list(generate(model, [5, 1, 9], max_tokens=12))
    assert widths == [3, *[1] * 9, 12, 12]
