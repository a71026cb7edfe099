"""Right in unusual ways."""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np


def beam_step_sorted(scores: Any, log_probs: Any, beams: int) -> Any:
    flat = (log_probs.T + scores).T.reshape(-1)
    best = np.argsort(flat)[::-1][:beams]
    parents, tokens = np.unravel_index(best, log_probs.shape)
    return parents, tokens, flat[best]


def beam_step_in_plain_python(scores: Any, log_probs: Any, beams: int) -> Any:
    every = [(s + lp, k, v) for k, s in enumerate(scores) for v, lp in enumerate(log_probs[k])]
    every.sort(key=lambda one: -one[0])
    chosen = every[:beams]
    return [k for _, k, _ in chosen], [v for _, _, v in chosen], [float(total) for total, _, _ in chosen]


def beam_step_with_a_heap(scores: Any, log_probs: Any, beams: int) -> Any:
    n_tokens = len(log_probs[0])
    totals = [float(s) + float(lp) for s, row in zip(scores, log_probs, strict=True) for lp in row]
    places = heapq.nlargest(beams, range(len(totals)), key=totals.__getitem__)
    parents, tokens = zip(*(divmod(place, n_tokens) for place in places), strict=True)
    return list(parents), list(tokens), np.array([totals[place] for place in places])


def beam_step_best_of_each_first(scores: Any, log_probs: Any, beams: int) -> Any:
    """No text can have more than `beams` children: the best of each are enough to choose from."""
    n = min(beams, log_probs.shape[1])
    tokens = np.argpartition(log_probs, -n, axis=1)[:, -n:]
    totals = np.take_along_axis(log_probs, tokens, axis=1) + scores.reshape(-1, 1)
    order = np.argsort(-totals, axis=None)[:beams]
    return order // n, tokens.reshape(-1)[order].astype(np.int32), totals.reshape(-1)[order]


def beam_step_one_after_another(scores: Any, log_probs: Any, beams: int) -> Any:
    totals = np.array(scores)[:, np.newaxis] + log_probs
    found = []
    while len(found) < beams and totals.max() > -math.inf:
        k, v = divmod(int(totals.argmax()), totals.shape[1])
        found.append((k, v, totals[k, v]))
        totals[k, v] = -math.inf
    parents, tokens, best = map(list, zip(*found, strict=True))
    return parents, tokens, best


def beam_step_by_column(scores: Any, log_probs: Any, beams: int) -> Any:
    totals = (np.asarray(scores)[:, None] + log_probs).ravel(order="F")
    best = np.lexsort((np.arange(totals.size), -totals))[:beams]
    n_texts = len(scores)
    return (best % n_texts).astype(float), best // n_texts, totals[best].tolist()


def beam_step_partitioned_then_sorted(scores: Any, log_probs: Any, beams: int) -> Any:
    totals = np.add.outer(scores, np.zeros(log_probs.shape[1])) + log_probs
    n = min(beams, totals.size)
    best = np.argpartition(totals, totals.size - n, axis=None)[totals.size - n :]
    best = best[np.lexsort((best, -totals.ravel()[best]))]
    return *np.divmod(best, totals.shape[1]), np.take(totals, best)
