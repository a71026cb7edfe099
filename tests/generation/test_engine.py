"""The decoder writes what the plain loop writes with a model that has no cache, and hands it out token by token."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from groundup.errors import ConfigError, DivergedError
from groundup.generation import (
    Beam,
    GenerationParts,
    Greedy,
    Sample,
    beam_decode,
    beam_search,
    checked_prompt,
    generate,
    generate_tokens,
    greedy,
)
from groundup.model import ModelParts, Transformer, attention, block, transformer
from groundup.report import Report

PROMPT = [5, 1, 9]
KINDS = {
    "learned": {},
    "sinusoidal": {"position": "sinusoidal"},
    "rope": {"position": "rope"},
    "grouped": {"position": "rope", "n_kv_heads": 2},
    "window": {"position": "rope", "window": 4},
    "qk-norm": {"position": "rope", "qk_norm": True, "norm": "rms", "feed_forward": "relu2", "bias": False},
}
STRATEGIES = {
    "greedy": Greedy(),
    "sample": Sample(temperature=0.9, top_k=15, top_p=0.95, repetition_penalty=1.2, seed=3),
}


@dataclass(frozen=True)
class Both(ModelParts, GenerationParts):
    """As `groundup.Parts` joins them."""


def uncached(model: Transformer):
    """next_logits of a plain model: the whole text, every time."""

    def next_logits(ids: list[int]) -> Tensor:
        with torch.no_grad():
            return model(torch.tensor([ids]))[0, -1]

    return next_logits


def plain(model: Transformer, strategy: Greedy | Sample, n: int, eos_id: int | None = None) -> list[int]:
    """The new tokens of `generate_tokens` on the uncached model."""
    ids = list(PROMPT)

    def choose(logits: Tensor) -> int:
        ids.append(strategy.choose(logits, ids))
        return ids[-1]

    text = generate_tokens(uncached(model), PROMPT, n, choose, eos_id, model.config.context_length)
    return text[len(PROMPT) :]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_writes_what_the_plain_loop_writes_also_when_the_context_is_full(make_model, kind, strategy) -> None:
    model = make_model(**KINDS[kind])
    written = list(generate(model, PROMPT, STRATEGIES[strategy], max_tokens=25))
    assert written == plain(model, STRATEGIES[strategy], 25)
    assert len(set(written)) > 1


def test_greedy_is_the_default_and_tokens_are_plain_numbers(make_model) -> None:
    model = make_model()
    written = list(generate(model, torch.tensor(PROMPT), max_tokens=5))
    assert written == generate_tokens(uncached(model), PROMPT, 5, greedy)[3:]
    assert {type(token) for token in written} == {int}


def test_it_ends_after_an_end_token_which_is_given_too(make_model) -> None:
    model, strategy = make_model(), STRATEGIES["sample"]
    whole = list(generate(model, PROMPT, strategy, max_tokens=20))
    end = whole[6]
    expected = whole[: whole.index(end) + 1]
    assert list(generate(model, PROMPT, strategy, max_tokens=20, eos_id=end)) == expected
    assert list(generate(model, PROMPT, strategy, max_tokens=20, stop=[end])) == expected
    assert list(generate(model, PROMPT, strategy, max_tokens=20, eos_id=99, stop={98, end})) == expected
    assert list(generate(model, PROMPT, strategy, max_tokens=0)) == []


def test_a_token_is_given_before_the_next_is_computed(make_model) -> None:
    model, calls = make_model(), []
    model.h[0].register_forward_hook(lambda *_: calls.append(1))
    tokens = generate(model, PROMPT, max_tokens=10)
    assert calls == []
    next(tokens)
    assert len(calls) == 1
    next(tokens)
    assert len(calls) == 2


def test_between_two_tokens_gradients_work_as_ever(make_model) -> None:
    model = make_model()
    for _ in generate(model, PROMPT, max_tokens=2):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        model(torch.tensor([PROMPT])).sum().backward()
    assert model.wte.grad is not None


def test_the_same_seed_gives_the_same_text_and_a_text_cut_off_goes_on_as_it_would_have(make_model) -> None:
    model, strategy = make_model(position="rope", context_length=64), Sample(seed=5)
    whole = list(generate(model, PROMPT, strategy, max_tokens=20))
    assert whole == list(generate(model, PROMPT, strategy, max_tokens=20))
    assert whole[8:] == list(generate(model, PROMPT + whole[:8], strategy, max_tokens=12))
    assert whole != list(generate(model, PROMPT, Sample(seed=6), max_tokens=20))


def test_a_model_in_training_writes_without_dropout_and_stays_in_training(make_model) -> None:
    model = make_model(dropout=0.5)
    expected = list(generate(model, PROMPT, max_tokens=8))
    model.train()
    assert list(generate(model, PROMPT, max_tokens=8)) == expected
    assert model.training


def test_rows_without_a_token_are_never_chosen(make_model) -> None:
    written = generate(make_model(), PROMPT, Sample(temperature=50.0), max_tokens=200, vocab_size=10)
    assert max(written) == 9
    ((beam, _),) = beam_decode(make_model(), PROMPT, Beam(), max_tokens=5, vocab_size=4)
    assert max(beam) < 4


# Beams.


@pytest.mark.parametrize("eos_id", [None, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_beams_with_a_cache_find_what_beam_search_finds_without(make_model, kind: str, eos_id: int | None) -> None:
    model = make_model(**KINDS[kind])

    def next_log_probs(texts: list[list[int]]) -> np.ndarray:
        with torch.no_grad():
            logits = model(torch.tensor([text[-12:] for text in texts]))[:, -1]
        return logits.log_softmax(dim=-1).numpy()

    for n, length_penalty in ((6, 0.0), (15, 1.0)):
        expected = beam_search(next_log_probs, PROMPT, 4, n, eos_id, length_penalty)
        strategy = Beam(beams=4, n_best=4, length_penalty=length_penalty)
        found = beam_decode(model, PROMPT, strategy, max_tokens=n, eos_id=eos_id)
        assert [text for text, _ in found] == [text[len(PROMPT) :] for text, _ in expected]
        assert np.allclose([score for _, score in found], [score for _, score in expected])
        best = list(generate(model, PROMPT, strategy, max_tokens=n, eos_id=eos_id))
        assert best == found[0][0]


def test_n_best_are_as_many_as_asked_for_and_the_best_first(make_model) -> None:
    found = beam_decode(make_model(), PROMPT, Beam(beams=5, n_best=3), max_tokens=6)
    scores = [score for _, score in found]
    assert len(found) == 3
    assert scores == sorted(scores, reverse=True)
    assert len({tuple(text) for text, _ in found}) == 3


def test_an_own_beam_search_may_ask_for_texts_of_several_lengths(make_model) -> None:
    def own(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
        rows = next_log_probs([prompt, prompt[:-1]])
        return [([*prompt, int(row.argmax())], 0.0) for row in rows]

    model = make_model()
    found = beam_decode(model, PROMPT, Beam(n_best=2), max_tokens=1, parts=GenerationParts(beam_search=own))
    assert [text for text, _ in found] == [[int(uncached(model)(PROMPT[:n]).argmax())] for n in (3, 2)]


# Own parts.


def own_attention(x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None):
    return attention.multi_head_attention(x, w_q, w_k, w_v, w_o, n_heads, b_q, b_k, b_v, b_o)


def own_block(x, p, n_heads):
    return block.transformer_block(x, p, n_heads)


def own_forward(ids, p, n_layers, n_heads):
    return transformer.gpt_forward(ids, p, n_layers, n_heads)


@pytest.mark.parametrize(
    "own", [{"multi_head_attention": own_attention}, {"transformer_block": own_block}, {"gpt_forward": own_forward}]
)
@pytest.mark.parametrize("strategy", [Sample(seed=2), Beam(beams=3)], ids=["sample", "beam"])
def test_an_own_composite_part_runs_on_the_whole_text_each_time(make_model, own, strategy) -> None:
    lengths: list[int] = []
    ((name, function),) = own.items()

    def watched(x: Tensor, *arguments: object, **options: object) -> Tensor:
        lengths.append(x.shape[1])
        return function(x, *arguments, **options)

    written = list(generate(make_model(ModelParts(**{name: watched})), PROMPT, strategy, max_tokens=12))
    assert written == list(generate(make_model(), PROMPT, strategy, max_tokens=12))
    assert sorted(set(lengths)) == list(range(3, 13))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_own_loop_replaces_the_loop_and_gives_the_same_text(make_model, strategy: str) -> None:
    calls: list[list[int]] = []

    def own(next_logits, prompt, max_new_tokens, choose, eos_id=None, context_length=None):
        calls.append(list(prompt))
        return generate_tokens(next_logits, prompt, max_new_tokens, choose, eos_id, context_length)

    model = make_model(Both(generate_tokens=own))
    expected = list(generate(make_model(), PROMPT, STRATEGIES[strategy], max_tokens=20))
    assert list(generate(model, PROMPT, STRATEGIES[strategy], max_tokens=20)) == expected
    assert calls == [PROMPT]
    short = list(generate(model, PROMPT, STRATEGIES[strategy], max_tokens=20, stop=[expected[4]]))
    assert short == expected[: expected.index(expected[4]) + 1]


def test_own_parts_come_from_the_model_or_from_the_caller(make_model) -> None:
    def worst(logits: Tensor) -> Tensor:
        return logits.argmin(dim=-1)

    from_model = list(generate(make_model(Both(greedy=worst)), PROMPT, max_tokens=6))
    from_caller = list(generate(make_model(), PROMPT, max_tokens=6, parts=GenerationParts(greedy=worst)))
    assert from_model == from_caller != list(generate(make_model(), PROMPT, max_tokens=6))


# Edges.


def test_an_empty_prompt_needs_a_token_to_start_from(make_model) -> None:
    with pytest.raises(ConfigError) as caught:
        generate(make_model(), [])  # at once, before the first token is asked for
    assert (caught.value.code, caught.value.status) == ("CLI_PROMPT", 2)
    assert checked_prompt([], make_model(), start_id=0) == [0]
    assert checked_prompt([4], make_model(), start_id=0) == [4]


def test_a_prompt_longer_than_the_context_is_an_error_with_both_numbers_or_is_cut_and_told(make_model) -> None:
    class Notes(Report):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def note(self, text: str) -> None:
            self.texts.append(text)

    long, notes = list(range(20)), Notes()
    with pytest.raises(ConfigError, match=r"20 tokens.* 12") as caught:
        generate(make_model(), long)
    assert (caught.value.code, caught.value.status) == ("CLI_LENGTH", 2)
    assert checked_prompt(long, make_model(), truncate_left=True, report=notes) == long[-12:]
    assert len(notes.texts) == 1
    assert "20" in notes.texts[0]
    assert checked_prompt(long[:12], make_model(), truncate_left=True, report=notes) == long[:12]
    assert len(notes.texts) == 1


@pytest.mark.parametrize("strange", [-1, 23, 10**9])
def test_a_token_that_the_model_does_not_know_is_named(make_model, strange: int) -> None:
    with pytest.raises(ConfigError, match=rf"token {strange}, .* 0 to 22") as caught:
        generate(make_model(), [1, strange])
    assert caught.value.code == "TOK_MATCH"


def test_a_negative_number_of_tokens_is_an_error(make_model) -> None:
    with pytest.raises(ConfigError, match="max_tokens is -1"):
        generate(make_model(), PROMPT, max_tokens=-1)


@pytest.mark.parametrize("strategy", [Greedy(), Sample(), Beam()], ids=["greedy", "sample", "beam"])
def test_a_damaged_weight_is_an_error_of_ours(make_model, strategy: Greedy | Sample | Beam) -> None:
    model = make_model()
    with torch.no_grad():
        model.h[1].mlp.w_up[0, 0] = float("nan")
    with pytest.raises(DivergedError) as caught:
        list(generate(model, PROMPT, strategy))
    assert caught.value.code == "NUM_LOGITS"
    assert "position 3" in caught.value.where
