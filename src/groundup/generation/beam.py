"""Beam search: keep several texts alive, and choose at the end.

Greedy decoding takes the best token now and cannot take it back, so it misses a text that begins with a modest token
and goes on very well. Beam search carries the `beams` best beginnings along: each step extends all of them by every
token, and keeps the best. It finds more probable texts. Where one answer is right (translation) that is better; where a
story is wanted it is duller than sampling, which says something about probability and style.

    prompt ─┬─ the ──┬─ the cat ──┬─ …       beams = 2: two texts survive each step,
            └─ a ────┴─ the dog ──┴─ …       whoever their parents were

A longer text has a smaller probability, whatever it says: dividing the log-probability by a power of the length
(`length_penalty`) makes up for it. NumPy is enough here; `engine.py` runs the same function on a model with a cache.

Read next: `parts.py`.
Sources: Lowerre 1976, chapter 3; Wu et al. 2016 (length normalisation), section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Scored = tuple[list[int], float]  # a text, and its score


def beam_step(scores: Floats, log_probs: Floats, beams: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """The best continuations of K texts by one token, best first.

    scores: (K,) log-probabilities so far, log_probs: (K, V) of the next token -> parents, tokens and scores, each
    (beams,), or (K*V,) if that is less. Of equal ones the first text, then the lowest id, comes first.
    """
    n_tokens = log_probs.shape[1]
    candidates = (scores[:, None] + log_probs).ravel()  # (K*V,)
    beams = min(beams, candidates.size)
    # Sorting a whole vocabulary is slow: first everything that is not below the edge, then in order.
    edge = np.partition(candidates, -beams)[-beams]  # ()
    inside = np.flatnonzero(candidates >= edge)
    best = inside[np.argsort(-candidates[inside], kind="stable")][:beams]
    return best // n_tokens, best % n_tokens, candidates[best]


def beam_search(
    next_log_probs: Callable[[list[list[int]]], Floats],
    prompt: Sequence[int],
    beams: int,
    max_new_tokens: int,
    eos_id: int | None = None,
    length_penalty: float = 0.0,
    *,
    beam_step=beam_step,
) -> list[Scored]:
    """The most probable continuations of a prompt that a beam of this width finds, best first.

    next_log_probs: N texts, all of one length -> (N, V). Returns at most `beams` texts, each with the prompt, and
    log-probability / n_new_tokens**length_penalty. A text that ends with eos_id takes a place in the step that ends it;
    it is then set aside, and kept.
    """
    live, scores = [list(prompt)], np.zeros(1)
    finished: list[Scored] = []
    for _ in range(max_new_tokens):
        parents, tokens, scores = beam_step(scores, next_log_probs(live), beams)
        grown = [([*live[p], int(t)], float(s)) for p, t, s in zip(parents, tokens, scores, strict=True)]
        grown = [(ids, score) for ids, score in grown if score > -np.inf]  # what cannot be is no text
        finished += [(ids, score) for ids, score in grown if ids[-1] == eos_id]
        ongoing = [(ids, score) for ids, score in grown if ids[-1] != eos_id]
        live, scores = [ids for ids, _ in ongoing], np.array([score for _, score in ongoing])
        if not live:
            break
    every = [*finished, *zip(live, map(float, scores), strict=True)]
    ranked = [(ids, score / max(len(ids) - len(prompt), 1) ** length_penalty) for ids, score in every]
    return sorted(ranked, key=lambda text: text[1], reverse=True)[:beams]
