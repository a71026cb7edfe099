"""Beam search against sorting, against trying every text there is, and against a search written another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.generation import beam_search, beam_step


def model(vocab_size: int, seed: int = 0):
    """Log-probabilities that depend on the whole text, the same for the same text."""

    def next_log_probs(texts: list[list[int]]) -> np.ndarray:
        rows = [np.random.default_rng([seed, *text]).normal(scale=2.0, size=vocab_size) for text in texts]
        logits = np.array(rows)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    return next_log_probs


def log_prob(next_log_probs, prompt: list[int], new: tuple[int, ...]) -> float:
    return sum(next_log_probs([[*prompt, *new[:i]]])[0, token] for i, token in enumerate(new))


@given(st.integers(1, 5), st.integers(1, 7), st.integers(1, 12), st.integers(0, 10_000), st.booleans())
def test_a_step_takes_the_best_continuations_in_order(k: int, v: int, beams: int, seed: int, ties: bool) -> None:
    random = np.random.default_rng(seed)
    scores, log_probs = random.normal(size=k), random.normal(size=(k, v))
    if ties:
        scores, log_probs = scores.round(), log_probs.round()
    every = [(-(scores[i] + log_probs[i, j]), i, j) for i in range(k) for j in range(v)]
    expected = sorted(every)[:beams]
    parents, tokens, best = beam_step(scores, log_probs, beams)
    assert list(zip(-best, parents, tokens, strict=True)) == expected


def test_a_step_changes_no_input_and_keeps_what_cannot_be_for_last() -> None:
    scores, log_probs = np.zeros(2), np.array([[-1.0, -np.inf], [-np.inf, -2.0]])
    before = log_probs.copy()
    parents, tokens, best = beam_step(scores, log_probs, 3)
    assert (parents[:2].tolist(), tokens[:2].tolist()) == ([0, 1], [0, 1])
    assert best.tolist() == [-1.0, -2.0, -np.inf]
    assert np.array_equal(log_probs, before)


def test_one_beam_is_greedy() -> None:
    next_log_probs = model(6)
    text = [1]
    for _ in range(5):
        text = [*text, int(next_log_probs([text])[0].argmax())]
    ((found, _),) = beam_search(next_log_probs, [1], 1, 5)
    assert found == text


@pytest.mark.parametrize("length_penalty", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("eos_id", [None, 2])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all_texts(eos_id: int | None, length_penalty: float) -> None:
    next_log_probs, prompt, steps = model(3, seed=4), [0, 1], 4
    ends = [
        new
        for n in range(1, steps + 1)
        for new in itertools.product(range(3), repeat=n)
        if eos_id not in new[:-1] and (n == steps or (eos_id is not None and new[-1] == eos_id))
    ]
    every = [([*prompt, *new], log_prob(next_log_probs, prompt, new) / len(new) ** length_penalty) for new in ends]
    expected = sorted(every, key=lambda item: -item[1])
    found = beam_search(next_log_probs, prompt, 81, steps, eos_id, length_penalty)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert np.allclose([score for _, score in found], [score for _, score in expected])


def slow_beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id, length_penalty):
    """The same search, with a list of all candidates."""
    live: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    done: list[tuple[tuple[int, ...], float]] = []
    for _ in range(max_new_tokens):
        candidates = []
        for new, score in live:
            row = next_log_probs([[*prompt, *new]])[0]
            candidates += [((*new, token), score + row[token]) for token in range(len(row))]
        best = sorted(candidates, key=lambda item: -item[1])[:beams]
        done += [item for item in best if item[0][-1] == eos_id]
        live = [item for item in best if item[0][-1] != eos_id]
    ranked = [([*prompt, *new], score / len(new) ** length_penalty) for new, score in done + live]
    return sorted(ranked, key=lambda item: -item[1])[:beams]


@given(st.integers(1, 4), st.integers(1, 6), st.integers(0, 500), st.sampled_from([0.0, 1.0, -0.5]))
def test_it_finds_what_a_search_over_lists_finds(beams: int, steps: int, seed: int, length_penalty: float) -> None:
    found = beam_search(model(5, seed), [3], beams, steps, 0, length_penalty)
    expected = slow_beam_search(model(5, seed), [3], beams, steps, 0, length_penalty)
    assert [text for text, _ in found] == [text for text, _ in expected]
    assert np.allclose([score for _, score in found], [score for _, score in expected])
    assert len(found) <= beams


def test_a_finished_text_takes_a_place_in_its_step_is_kept_and_grows_no_more() -> None:
    asked: list[list[list[int]]] = []

    def next_log_probs(texts: list[list[int]]) -> np.ndarray:
        asked.append([list(text) for text in texts])
        return np.log(np.array([[0.5, 0.4, 0.1]] * len(texts)))

    found = beam_search(next_log_probs, [2], 2, 2, eos_id=0)
    assert asked == [[[2]], [[2, 1]]]  # the end took one of two places
    assert [text for text, _ in found] == [[2, 0], [2, 1, 0]]
    assert math.isclose(found[0][1], math.log(0.5))


def test_it_stops_when_no_text_is_live() -> None:
    n_calls = 0

    def always_end(texts: list[list[int]]) -> np.ndarray:
        nonlocal n_calls
        n_calls += 1
        return np.log(np.array([[0.98, 0.02]] * len(texts)))

    assert [text for text, _ in beam_search(always_end, [1], 1, 50, eos_id=0)] == [[1, 0]]
    assert n_calls == 1


def test_what_cannot_be_is_no_text() -> None:
    def only_one(texts: list[list[int]]) -> np.ndarray:
        return np.array([[-np.inf, 0.0, -np.inf]] * len(texts))

    assert beam_search(only_one, [0], 3, 2) == [([0, 1, 1], 0.0)]


def test_a_length_penalty_favours_longer_texts() -> None:
    def end_or_go_on(texts: list[list[int]]) -> np.ndarray:
        return np.log(np.array([[0.4, 0.6]] * len(texts)))

    short = beam_search(end_or_go_on, [1], 2, 4, eos_id=0)[0][0]
    long = beam_search(end_or_go_on, [1], 2, 4, eos_id=0, length_penalty=2.0)[0][0]
    assert (short, long) == ([1, 0], [1, 1, 1, 1, 1])


def test_nothing_new_is_the_prompt_itself() -> None:
    prompt = [4, 2]
    assert beam_search(model(5), prompt, 3, 0, length_penalty=1.0) == [([4, 2], 0.0)]
    assert prompt == [4, 2]


def test_it_uses_the_step_that_it_is_given() -> None:
    def worst(scores: np.ndarray, log_probs: np.ndarray, beams: int):
        return beam_step(scores, -log_probs, beams)

    next_log_probs = model(5)
    ((text, _),) = beam_search(next_log_probs, [0], 1, 1, beam_step=worst)
    assert text[-1] == next_log_probs([[0]])[0].argmin()
