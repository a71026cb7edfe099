"""The comparison measures what it says it measures."""

from __future__ import annotations

import pytest
import torch

from groundup.generation import Beam, Greedy, Sample, compare, generate, standard_strategies
from groundup.generation.compare import distinct, log_probs_of
from groundup.text import Tokenizer


@pytest.fixture(scope="module")
def model(make_model):
    return make_model(vocab_size=300, context_length=16, position="rope")


def test_log_probs_are_those_of_each_token_after_all_that_the_model_can_see(model) -> None:
    ids = torch.randint(300, (30,), generator=torch.Generator().manual_seed(0)).tolist()
    expected = []
    for i in range(4, 30):
        logits = model(torch.tensor([ids[:i][-16:]]))[0, -1]
        expected.append(logits.log_softmax(dim=-1)[ids[i]].item())
    assert log_probs_of(model, ids[:4], ids[4:]) == pytest.approx(expected)
    assert log_probs_of(model, ids[:4], ids[4:10]) == pytest.approx(expected[:6])
    assert log_probs_of(model, ids[:16], ids[16:18]) == pytest.approx(expected[12:14])
    assert log_probs_of(model, ids[:4], []) == []


def test_distinct_is_the_share_of_different_runs() -> None:
    assert distinct([1, 2, 1, 2], 1) == 0.5
    assert distinct([1, 2, 1, 2], 2) == pytest.approx(2 / 3)
    assert distinct([1, 1, 1, 1, 1], 4) == 0.5
    assert distinct([1, 2, 3], 4) == 1.0


def test_each_strategy_gives_its_text_with_its_measures(model, tokenizer: Tokenizer) -> None:
    found = list(compare(model, tokenizer, "the cat", max_tokens=20, seed=4))
    assert [written.name for written in found] == list(standard_strategies())
    ids = tokenizer.encode("the cat")
    for written, strategy in zip(found, standard_strategies(4).values(), strict=True):
        options = {"max_tokens": 20, "eos_id": tokenizer.end_of_text, "vocab_size": tokenizer.vocab_size}
        new = list(generate(model, ids, strategy, **options))
        assert written.n_tokens == len(new)
        assert written.text == tokenizer.decode(token for token in new if token != tokenizer.end_of_text)
        assert written.log_prob == pytest.approx(sum(log_probs_of(model, ids, new)))
        assert written.mean_log_prob == pytest.approx(written.log_prob / len(new))
        assert (written.distinct_1, written.distinct_2) == (distinct(new, 1), distinct(new, 2))
        assert written.repeated_4 == pytest.approx(1 - distinct(new, 4))
        assert written.tokens_per_second > 0


def test_style_shows_in_the_measures(model, tokenizer: Tokenizer) -> None:
    strategies = {"greedy": Greedy(), "hot": Sample(temperature=3.0), "beam": Beam(beams=8)}
    greedy, hot, beam = compare(model, tokenizer, "the cat", strategies, max_tokens=12)
    assert hot.mean_log_prob < greedy.mean_log_prob
    assert hot.log_prob < beam.log_prob
    assert hot.distinct_1 >= greedy.distinct_1


def test_strategies_of_ones_own_and_texts_that_end_at_once_are_compared(model, tokenizer: Tokenizer) -> None:
    (written,) = compare(model, tokenizer, "the cat", {"mine": Greedy()}, max_tokens=0)
    assert (written.name, written.text, written.n_tokens) == ("mine", "", 0)
    assert (written.log_prob, written.mean_log_prob, written.distinct_1) == (0, 0, 1)
