"""Bits per byte: every token but the first is predicted once, and the bytes are those of the predicted tokens."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import small_model

from groundup.errors import DataError
from groundup.evaluation import bits_per_byte, evaluate_text, perplexity
from groundup.model import Transformer
from groundup.report import Report
from groundup.text import Tokenizer

TEXT = "To be, or not to be: 那是個問題 🙂. " * 4


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXT, 300)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    return small_model(vocab_size=tokenizer.vocab_size, context_length=8)


def by_hand(model: Transformer, ids: list[int], context_length: int) -> float:
    """The surprise at each token but the first, one window after the other, in float64."""
    nats = 0.0
    for start in range(0, len(ids) - 1, context_length):
        window = torch.tensor(ids[start : start + context_length + 1])
        with torch.no_grad():
            log_probs = model(window[None, :-1])[0].double().log_softmax(-1)
        nats -= log_probs.gather(-1, window[1:, None]).sum().item()
    return nats


def test_perplexity_is_the_size_of_a_fair_die() -> None:
    assert perplexity(10 * math.log(6), 10) == pytest.approx(6)


def test_a_coin_is_one_bit() -> None:
    assert bits_per_byte(8 * math.log(2), 8) == pytest.approx(1)
    assert bits_per_byte(16 * math.log(2), 4) == pytest.approx(4)


@given(nats=st.floats(1e-3, 1e6), n_tokens=st.integers(1, 10**6), n_bytes=st.integers(1, 10**6))
def test_bits_of_a_text_are_the_same_by_token_and_by_byte(nats: float, n_tokens: int, n_bytes: int) -> None:
    if nats / n_tokens < 500:  # beyond that, perplexity is no float any more
        bits_by_token = n_tokens * math.log2(perplexity(nats, n_tokens))
        assert bits_by_token == pytest.approx(bits_per_byte(nats, n_bytes) * n_bytes, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("context_length", [None, 1, 3, 8])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_every_token_but_the_first_is_predicted_once(
    model: Transformer, tokenizer: Tokenizer, context_length: int | None, batch_size: int
) -> None:
    ids = tokenizer.encode(TEXT)
    result = evaluate_text(model, tokenizer, TEXT, context_length, batch_size=batch_size)
    assert result.tokens == len(ids) - 1
    assert result.nats == pytest.approx(by_hand(model, ids, context_length or 8), rel=1e-5)
    assert result.bytes == sum(len(tokenizer.token_bytes(i)) for i in ids[1:])
    assert result.bits_per_byte == pytest.approx(result.nats / math.log(2) / result.bytes)
    assert result.perplexity == pytest.approx(math.exp(result.nats / result.tokens))


@pytest.mark.parametrize("n_characters", [2, 3, 5])
def test_a_text_shorter_than_a_window_is_measured(model: Transformer, tokenizer: Tokenizer, n_characters: int) -> None:
    text = "xyzuv"[:n_characters]
    ids = tokenizer.encode(text)
    assert len(ids) == n_characters
    result = evaluate_text(model, tokenizer, text)
    assert (result.tokens, result.bytes) == (n_characters - 1, n_characters - 1)
    assert result.nats == pytest.approx(by_hand(model, ids, 8), rel=1e-5)


@pytest.mark.parametrize("text", ["", "x"])
def test_a_text_without_a_second_token_is_refused(model: Transformer, tokenizer: Tokenizer, text: str) -> None:
    with pytest.raises(DataError) as caught:
        evaluate_text(model, tokenizer, text)
    assert caught.value.code == "DATA_SHORT"


def test_a_model_that_knows_nothing_pays_for_its_whole_vocabulary(tokenizer: Tokenizer) -> None:
    model = small_model(vocab_size=tokenizer.vocab_size, context_length=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    result = evaluate_text(model, tokenizer, TEXT)
    assert result.perplexity == pytest.approx(tokenizer.vocab_size, rel=1e-5)


def test_the_model_is_left_as_it_was(tokenizer: Tokenizer) -> None:
    model = small_model(vocab_size=tokenizer.vocab_size, context_length=8, dropout=0.5)
    expected = evaluate_text(model, tokenizer, TEXT)
    for training in (True, False):
        model.train(training)
        assert evaluate_text(model, tokenizer, TEXT) == expected
        assert model.training is training
        assert all(block.training is training for block in model.h)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_progress_is_told_up_to_the_end(model: Transformer, tokenizer: Tokenizer) -> None:
    heard: list[tuple[str, int, int]] = []

    class Heard(Report):
        def progress(self, name: str, done: int, total: int) -> None:
            heard.append((name, done, total))

    result = evaluate_text(model, tokenizer, TEXT, batch_size=2, report=Heard())
    assert heard[-1] == ("evaluation", result.tokens, result.tokens)
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
