"""One step of a beam search, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...case import Call, Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Step = tuple[Ints, Ints, Floats]


@reference
def beam_step(scores: Floats, log_probs: Floats, beams: int, *, wrong: Wrong = RIGHT) -> Step:
    """The best continuations of K texts by one token, best first.

    scores: (K,) log-probabilities so far, log_probs: (K, V) of the next token -> parents, tokens and scores, each
    (beams,), or (K*V,) if that is less.
    """
    if "beam_step-changes-input" in wrong:
        log_probs += scores[:, None]
        scores = np.zeros_like(scores)  # (K,)
    if "beam_step-first-text-only" in wrong:
        scores, log_probs = scores[:1], log_probs[:1]
    beams = _width(scores, log_probs, beams, wrong)
    totals = _totals(scores, log_probs, wrong)  # (K, V)
    n_tokens = totals.shape[1]
    best = _chosen(totals, log_probs, beams, wrong)  # (beams,)
    of_best = _returned(totals, scores, log_probs, wrong).ravel()[best]
    if "beam_step-by-column" in wrong:
        best = best % n_tokens * len(scores) + best // n_tokens
    parents, tokens = best // n_tokens, best % n_tokens
    if "beam_step-divided-by-texts" in wrong:
        parents, tokens = best // len(scores), best % len(scores)
    if "beam_step-not-split" in wrong:
        tokens = best
    if "beam_step-no-parents" in wrong:
        return tokens, of_best  # pyright: ignore[reportReturnType] -- the mistake is just that
    if "beam_step-exchanged" in wrong:
        return tokens, parents, of_best
    if "beam_step-scores-first" in wrong:
        return of_best, parents, tokens  # pyright: ignore[reportReturnType] -- the mistake is just that
    if "beam_step-rows" in wrong:
        rows = zip(parents.tolist(), tokens.tolist(), of_best.tolist(), strict=True)
        return list(rows)  # pyright: ignore[reportReturnType] -- the mistake is just that
    return parents, tokens, of_best


def _width(scores: Floats, log_probs: Floats, beams: int, wrong: Wrong) -> int:
    """How many continuations are taken."""
    if "beam_step-as-many-as-texts" in wrong:
        return len(scores)
    if "beam_step-at-most-a-vocabulary" in wrong:
        return min(beams, log_probs.shape[1])
    if "beam_step-best-only" in wrong:
        return 1
    if "beam_step-one-more" in wrong:
        return beams + 1
    return beams - 1 if "beam_step-one-less" in wrong else beams


def _totals(scores: Floats, log_probs: Floats, wrong: Wrong) -> Floats:
    """What the candidates are worth: (K, V)."""
    before = scores[:, None]  # (K, 1)
    if "beam_step-along-the-vocabulary" in wrong:
        return scores + log_probs
    if "beam_step-scores-not-added" in wrong:
        return log_probs.copy()
    if "beam_step-probabilities-added" in wrong:
        return before + np.exp(log_probs)
    if "beam_step-multiplied" in wrong:
        return before * log_probs
    if "beam_step-log-again" in wrong:
        with np.errstate(all="ignore"):
            return before + np.log(log_probs)
    if "beam_step-subtracted" in wrong:
        return log_probs - before
    if "beam_step-normalised-again" in wrong:
        return before + log_probs - np.logaddexp.reduce(before + log_probs, axis=None)
    if "beam_step-averaged" in wrong:
        return (before + log_probs) / 2
    if "beam_step-through-probabilities" in wrong:
        with np.errstate(divide="ignore"):
            return np.log(np.exp(before) * np.exp(log_probs))
    return before + log_probs


def _chosen(totals: Floats, log_probs: Floats, beams: int, wrong: Wrong) -> Ints:
    """Where the best candidates stand, in one row of all: (beams,)."""
    n_texts, n_tokens = totals.shape
    order = np.argsort(-totals.ravel(), kind="stable")  # (K*V,)
    if "beam_step-ranked-by-token" in wrong:
        order = np.argsort(-log_probs.ravel(), kind="stable")  # (K*V,)
    if "beam_step-worst" in wrong:
        order = order[::-1]
    if "beam_step-fails-when-few" in wrong and totals.size < beams:
        raise ValueError("kth out of bounds")
    if "beam_step-best-of-each" in wrong or "beam_step-best-of-each-unsorted" in wrong:
        order = order[_first_times(order // n_tokens)]
    if "beam_step-each-token-once" in wrong:
        order = order[_first_times(order % n_tokens)]
    if "beam_step-best-of-each-unsorted" in wrong:
        order = np.sort(order)
    if "beam_step-beams-of-each" in wrong:
        return np.concatenate([order[order // n_tokens == text][:beams] for text in range(n_texts)])
    if "beam_step-beams-of-each-sorted" in wrong:
        return order[[(order[:i] // n_tokens == place // n_tokens).sum() < beams for i, place in enumerate(order)]]
    best = order[:beams]
    if "beam_step-best-last" in wrong:
        return best[::-1]
    if "beam_step-by-place" in wrong:
        return np.sort(best)
    if "beam_step-partitioned" in wrong and beams < totals.size:
        return np.argpartition(totals.ravel(), -beams)[-beams:]
    if "beam_step-partitioned-among-the-first" in wrong and beams < totals.size:
        return np.argpartition(-totals.ravel(), beams - 1)[:beams]
    return best


def _first_times(values: Ints) -> Ints:
    """Where each value stands for the first time."""
    return np.sort(np.unique(values, return_index=True)[1])


def _returned(totals: Floats, scores: Floats, log_probs: Floats, wrong: Wrong) -> Floats:
    """What is returned as the scores of the candidates: (K, V)."""
    if "beam_step-token-s-alone" in wrong:
        return log_probs
    if "beam_step-text-s-alone" in wrong:
        return np.repeat(scores[:, None], log_probs.shape[1], axis=1)  # (K, V)
    with np.errstate(over="ignore"):
        return np.exp(totals) if "beam_step-probabilities" in wrong else totals


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then the first step, steps of any size, and what is scarce or impossible."""
    scores = np.log([0.5, 0.4])
    log_probs = np.log([[0.1, 0.6, 0.3], [0.1, 0.2, 0.7]])  # of the texts: 0.05 0.3 0.15, 0.04 0.08 0.28
    together = "the continuations of all texts compete"
    for beams in (1, 2, 3):
        yield case(together, scores, log_probs, beams)
    yield case("a text may have several continuations, another none", np.log([0.6, 0.1]), log_probs, 2)
    yield case("a text may have several continuations, another none", np.log([0.05, 0.9]), log_probs, 3)
    yield case(
        "the score of the text counts, not only that of the token", np.log([0.9, 0.2]), log_probs[::-1].copy(), 2
    )
    first = "the first step: one text, several continuations"
    yield case(first, np.zeros(1), np.log([[0.2, 0.5, 0.3]]), 2)
    yield case(first, np.zeros(1), _log_probs(draw, 1, 10), 4)
    for n_texts, n_tokens, beams in (
        (2, 2, 2), (2, 3, 2), (3, 3, 3), (4, 4, 4), (5, 5, 3), (4, 7, 4), (3, 8, 5), (5, 4, 2), (8, 6, 1), (6, 40, 6),
        (4, 100, 8), (10, 30, 10),
    ):  # fmt: skip
        yield case(together, _scores(draw, n_texts), _log_probs(draw, n_texts, n_tokens), beams)
    for n_texts, n_tokens, beams in ((3, 4, 6), (2, 6, 7), (4, 4, 9)):
        yield case("best first", _scores(draw, n_texts), _log_probs(draw, n_texts, n_tokens), beams)
    for n_texts, n_tokens, beams in ((2, 50, 20), (10, 300, 20), (5, 1000, 30), (5, 1000, 300)):
        many = _scores(draw, n_texts), _log_probs(draw, n_texts, n_tokens), beams
        yield case("best first", *many, view=_in_order)
    yield case("log-probabilities far below 0", _scores(draw, 3) - 200, _log_probs(draw, 3, 5), 3)
    yield case("log-probabilities far below 0", _scores(draw, 4) - 500, _log_probs(draw, 4, 4), 4)
    for n_texts, n_tokens, beams in ((1, 3, 5), (2, 2, 9), (1, 2, 4)):
        few = _scores(draw, n_texts), _log_probs(draw, n_texts, n_tokens), beams
        yield edge("fewer continuations than beams: all of them", *few)
    impossible = _log_probs(draw, 3, 6)  # (K, V)
    impossible[0, 1:], impossible[1, 2], impossible[2, ::2] = -np.inf, -np.inf, -np.inf
    yield edge("what has probability 0 is not taken", _scores(draw, 3), impossible, 4, view=_possible)
    never = np.array([0.0, -np.inf, -np.inf])  # (K,)
    yield edge("what has probability 0 is not taken", never, _log_probs(draw, 3, 5), 3, view=_possible)
    yield edge(
        "probabilities too small for a float", _scores(draw, 3) - 4000, _log_probs(draw, 3, 5), 3, view=_scores_alone
    )


def _in_order(seen: list[Observation]) -> dict[str, Any]:
    """What was taken, and whether the best was first: a partition leaves many in no order, another on each machine."""
    parents, tokens, scores = (np.asarray(one) for one in seen[0]["value"])
    by_place = np.lexsort((tokens, parents))  # (beams,)
    taken = [one[by_place].tolist() for one in (parents, tokens, scores)]
    return {"the best first": bool((np.diff(scores) <= 0).all()), "taken": taken}


def _possible(seen: list[Observation]) -> list[tuple[int, int, float]]:
    """What was taken, but for what is impossible: its order means nothing."""
    rows = zip(*(np.asarray(one).tolist() for one in seen[0]["value"]), strict=True)
    return [(int(parent), int(token), float(score)) for parent, token, score in rows if score > -math.inf]


def _scores_alone(seen: list[Observation]) -> list[float]:
    """The scores: whoever computes with probabilities finds them all equal, and any order is as good."""
    return [float(score) for score in seen[0]["value"][2]]


def _scores(draw: Draw, n_texts: int) -> Floats:
    """Log-probabilities of texts that are about equally good, in no order: (K,)."""
    return draw.array(n_texts) - 4.0


def _log_probs(draw: Draw, n_texts: int, n_tokens: int) -> Floats:
    """(K, V)."""
    logits = draw.array(n_texts, n_tokens, scale=1.5)  # (K, V)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


EXAMPLE_SIZE = "K = 8, V = 8,192"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((_scores(draw, 8), _log_probs(draw, 8, 8192), 8))
