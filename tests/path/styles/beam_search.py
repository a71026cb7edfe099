"""Right in unusual ways."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np


def beam_search_in_plain_python(
    next_log_probs: Any, prompt: Any, beams: int, max_new_tokens: int, eos_id: Any = None, length_penalty: float = 0.0
) -> Any:
    live, done = [(0.0, tuple(prompt))], []
    for _ in range(max_new_tokens):
        if not live:
            break
        table = next_log_probs([list(ids) for _, ids in live])
        every = [
            (score + float(lp), (*ids, token))
            for (score, ids), row in zip(live, table, strict=True)
            for token, lp in enumerate(row)
        ]
        every.sort(reverse=True)
        done += [one for one in every[:beams] if one[1][-1] == eos_id]
        live = [one for one in every[:beams] if one[1][-1] != eos_id]
    best = [(list(ids), s / max(1, len(ids) - len(prompt)) ** length_penalty) for s, ids in done + live]
    return sorted(best, key=lambda one: -one[1])[:beams]


def beam_search_one_text_at_a_time(
    next_log_probs: Any, prompt: Any, beams: int, max_new_tokens: int, eos_id: Any = None, length_penalty: float = 0.0
) -> Any:
    live: list[list[Any]] = [[list(prompt), 0.0, False]]
    ended = []
    step = 0
    while live and step < max_new_tokens:
        step += 1
        candidates = []
        for ids, score, _ in live:
            for token, lp in enumerate(next_log_probs([ids])[0]):
                candidates.append([[*ids, token], score + lp, token == eos_id])
        kept = heapq.nlargest(beams, candidates, key=lambda one: one[1])
        ended.extend([*one, step] for one in kept if one[2])
        live = [one for one in kept if not one[2]]
    ended.extend([*one, step] for one in live)
    scored = [(ids, score * (n or 1) ** -length_penalty) for ids, score, _, n in ended]
    scored.sort(key=lambda one: one[1], reverse=True)
    return scored[:beams]


def beam_search_with_arrays(
    next_log_probs: Any, prompt: Any, beams: int, max_new_tokens: int, eos_id: Any = None, length_penalty: float = 0.0
) -> Any:
    texts = np.array([prompt])
    scores = np.zeros(1)
    results: list[Any] = []
    for n in range(1, max_new_tokens + 1):
        log_probs = next_log_probs(texts)
        totals = scores[:, None] + log_probs
        best = np.argsort(-totals, axis=None)[:beams]
        parents, tokens = np.divmod(best, log_probs.shape[1])
        texts = np.concatenate([texts[parents], tokens[:, None]], axis=1)
        scores = totals.ravel()[best]
        final = n == max_new_tokens
        ends = tokens == eos_id if eos_id is not None else np.zeros(len(tokens), dtype=bool)
        for i in np.flatnonzero(ends | final):
            results.append((texts[i], scores[i] / n**length_penalty))
        texts, scores = texts[~ends], scores[~ends]
        if not len(texts):
            break
    if not results:
        return [[list(prompt), 0]]
    order = np.argsort([-score for _, score in results])[:beams]
    return [results[i] for i in order]


def beam_search_recursive(
    next_log_probs: Any, prompt: Any, beams: int, max_new_tokens: int, eos_id: Any = None, length_penalty: float = 0.0
) -> Any:
    n_prompt = len(prompt)

    def grow(live: list[Any], left: int) -> list[Any]:
        if left == 0 or not live:
            return live
        rows = next_log_probs([tuple(ids) for ids, _ in live])
        children = [
            ([*ids, np.int64(t)], s + lp) for (ids, s), row in zip(live, rows, strict=True) for t, lp in enumerate(row)
        ]
        kept = sorted(children, key=lambda child: child[1])[::-1][:beams]
        ended = [child for child in kept if child[0][-1] == eos_id]
        return ended + grow([child for child in kept if child[0][-1] != eos_id], left - 1)

    def final(text: Any) -> Any:
        ids, score = text
        return ids, float(score) / max(len(ids) - n_prompt, 1) ** float(length_penalty)

    return sorted(map(final, grow([(list(prompt), 0.0)], max_new_tokens)), key=lambda t: t[1], reverse=True)[:beams]


def beam_search_with_a_heap_of_results(
    next_log_probs: Any, prompt: Any, beams: int, max_new_tokens: int, eos_id: Any = None, length_penalty: float = 0.0
) -> Any:
    results: list[tuple[float, list[int]]] = []

    def keep(ids: list[int], score: float) -> None:
        heapq.heappush(results, (score / max(len(ids) - len(prompt), 1) ** length_penalty, ids))
        if len(results) > beams:
            heapq.heappop(results)

    live = {tuple(prompt): 0.0}
    for _ in range(max_new_tokens):
        grown: dict[tuple[int, ...], float] = {}
        for ids, row in zip(live, next_log_probs([list(ids) for ids in live]), strict=True):
            grown |= {(*ids, token): live[ids] + float(lp) for token, lp in enumerate(row)}
        best = sorted(grown, key=grown.__getitem__, reverse=True)[:beams]
        for ids in best:
            if ids[-1] == eos_id:
                keep(list(ids), grown[ids])
        live = {ids: grown[ids] for ids in best if ids[-1] != eos_id}
        if not live:
            break
    for ids, score in live.items():
        keep(list(ids), score)
    return [(ids, score) for score, ids in sorted(results, reverse=True)]
