"""Beam search, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...case import Case, Draw, Stub, case, edge
from ...reference import RIGHT, Wrong, reference
from ..beam.beam_step import beam_step

Floats = NDArray[np.float64]
Scored = tuple[list[int], float]  # a text, and its score
Model = Callable[[list[list[int]]], Floats]


@dataclass(frozen=True)
class Search:
    """What is the same in every step of a search."""

    next_log_probs: Model
    prompt: list[int]
    beams: int
    eos_id: int | None
    length_penalty: float
    wrong: Wrong
    n_new: int | None = None  # the length of all texts, where somebody divides by the same


@reference
def beam_search(
    next_log_probs: Model,
    prompt: Sequence[int],
    beams: int,
    max_new_tokens: int,
    eos_id: int | None = None,
    length_penalty: float = 0.0,
    *,
    wrong: Wrong = RIGHT,
) -> list[Scored]:
    """The most probable continuations of a prompt that a beam of this width finds, best first.

    next_log_probs: N texts with the prompt -> (N, V). Each step takes the best `beams` candidates; those that end with
    eos_id have used their places there, are set aside, and kept. Scores are log-probability /
    n_new_tokens**length_penalty; at most `beams` texts are given, best first.
    """
    if "beam_search-eos-ignored" in wrong or ("beam_search-eos-0-ignored" in wrong and eos_id == 0):
        eos_id = None
    search = Search(next_log_probs, list(prompt), beams, eos_id, length_penalty, wrong)
    live, finished = [([*prompt], _first_score(search))], list[Scored]()
    if "beam_search-one-list-with-the-prompt" in wrong and isinstance(prompt, list):
        search, live = replace(search, prompt=prompt, wrong=wrong | {"beam_search-one-list"}), [(prompt, 0.0)]
    if "beam_search-one-beam" in wrong:
        search = replace(search, beams=1)
    if "beam_search-copies-of-the-prompt" in wrong:
        live = live * beams
    if "beam_search-prompt-finished" in wrong and search.prompt[-1] == eos_id:
        live, finished = [], live
    for _ in range(_n_steps(search, max_new_tokens)):
        if not live or _stops_early(search, finished, live):
            break
        grown = _step(search, live, finished)
        ended, live = _sorted_out(search, live, grown)
        stay = (
            "beam_search-finished-keep-their-place" in wrong
            or "beam_search-finished-keep-their-place-by-penalty" in wrong
        )
        finished = ended if stay else finished + ended
    if "beam_search-length-of-the-limit" in wrong:
        search = replace(search, n_new=max(max_new_tokens, 1))
    return _answer(search, finished, live, prompt)


def _first_score(search: Search) -> float:
    """The log-probability that a search begins with."""
    prompt, wrong = search.prompt, search.wrong
    if "beam_search-prompt-scored" not in wrong:
        return 0.0
    return sum(float(search.next_log_probs([prompt[:i]])[0, prompt[i]]) for i in range(1, len(prompt)))


def _n_steps(search: Search, max_new_tokens: int) -> int:
    wrong = search.wrong
    if "beam_search-one-step-more" in wrong:
        return max_new_tokens + 1
    if "beam_search-at-least-one-step" in wrong:
        return max(max_new_tokens, 1)
    if "beam_search-one-step-less" in wrong:
        return max_new_tokens - 1
    return max_new_tokens - len(search.prompt) if "beam_search-length-of-all" in wrong else max_new_tokens


# --- one step ---------------------------------------------------------------------------------------------------------


def _step(search: Search, live: list[Scored], finished: list[Scored]) -> list[Scored]:
    """The texts that this step takes, best first; the finished ones among them, where those stay in the running."""
    wrong = search.wrong
    log_probs = search.next_log_probs([_shown(search, ids) for ids, _ in live])  # (N, V)
    is_first = len(live[0][0]) == len(search.prompt)
    beams = _width(search, log_probs, finished, is_first)
    if "beam_search-greedy-after-the-first-step" in wrong and len(live) > 1:
        tokens = log_probs.argmax(axis=1)  # (N,)
        parents, scores = np.arange(len(live)), [score for _, score in live] + log_probs.max(axis=1)
    else:
        parents, tokens, scores = beam_step(np.array([score for _, score in live]), log_probs, beams, wrong=wrong)
    if "beam_search-parents-ignored" in wrong and len(live) > 1:
        parents = np.minimum(np.arange(len(tokens)), len(live) - 1)
    if "beam_search-first-score-lost" in wrong and is_first:
        scores = np.zeros_like(scores)
    if "beam_search-penalty-in-every-step" in wrong:
        n_new = len(live[0][0]) + 1 - len(search.prompt)
        scores = scores / n_new**search.length_penalty
    if "beam_search-one-list" in wrong:
        for parent, token in zip(parents, tokens, strict=True):
            live[int(parent)][0].append(int(token))
        return [(live[int(parent)][0], float(score)) for parent, score in zip(parents, scores, strict=True)]
    grown = [
        ([*live[int(parent)][0], int(token)], float(score))
        for parent, token, score in zip(parents, tokens, scores, strict=True)
    ]
    if "beam_search-finished-keep-their-place" in wrong:
        grown = sorted([*finished, *grown], key=_score, reverse=True)[:beams]
    if "beam_search-finished-keep-their-place-by-penalty" in wrong:
        grown = sorted([*finished, *grown], key=lambda text: _final(search, text)[1], reverse=True)[:beams]
    return grown


def _width(search: Search, log_probs: Floats, finished: list[Scored], is_first: bool) -> int:
    """How many candidates a step takes."""
    wrong, beams = search.wrong, search.beams
    if "beam_search-narrower" in wrong:
        return beams - len(finished)
    if "beam_search-as-many-as-live" in wrong and not is_first:
        return len(log_probs)
    if "beam_search-every-end-kept" in wrong:
        return log_probs.size
    twice = "beam_search-places-filled" in wrong or "beam_search-places-filled-by-twice-as-many" in wrong
    return 2 * beams if twice else beams


def _shown(search: Search, ids: list[int]) -> Any:
    """Of a text, what the model is asked about."""
    wrong = search.wrong
    if "beam_search-without-the-prompt" in wrong:
        return ids[len(search.prompt) :]
    if "beam_search-last-token-only" in wrong:
        return ids[-1:]
    return ids[0] if "beam_search-no-list-of-texts" in wrong else ids


def _sorted_out(search: Search, live: list[Scored], grown: list[Scored]) -> tuple[list[Scored], list[Scored]]:
    """(those that are finished, those that go on) of the texts that a step has taken. live: those before it."""
    wrong, beams = search.wrong, search.beams

    def ends(ids: list[int]) -> bool:
        return search.eos_id in ids if "beam_search-eos-anywhere" in wrong else ids[-1] == search.eos_id

    ended, going_on = [text for text in grown if ends(text[0])], [text for text in grown if not ends(text[0])]
    if "beam_search-end-not-scored" in wrong:
        score_of = {tuple(ids): score for ids, score in live}
        ended = [(ids, score_of.get(tuple(ids[:-1]), score)) for ids, score in ended]
    if "beam_search-places-filled" in wrong:
        going_on = going_on[:beams]
        ended = [text for text in ended if len(going_on) < beams or text[1] > going_on[-1][1]]
    if "beam_search-places-filled-by-twice-as-many" in wrong:
        going_on, ended = going_on[:beams], [text for text in ended if text in grown[:beams]]
    if "beam_search-every-end-kept" in wrong:
        going_on = going_on[:beams]
    if "beam_search-finished-go-on" in wrong:
        return ended, grown
    return ended, going_on


def _stops_early(search: Search, finished: list[Scored], live: list[Scored]) -> bool:
    """Whether somebody would stop here, although texts are live and steps are left."""
    wrong, n_finished = search.wrong, len(finished)
    if "beam_search-stops-at-the-first" in wrong or "beam_search-first-finished-alone" in wrong:
        return n_finished > 0
    if "beam_search-stops-when-the-best-is-finished" in wrong:
        return n_finished > 0 and max(map(_score, finished)) > live[0][1]
    if "beam_search-stops-when-the-best-ends" in wrong:
        return any(len(ids) == len(live[0][0]) and score > live[0][1] for ids, score in finished)
    if "beam_search-stops-when-none-can-catch-up" in wrong:
        best = sorted(map(_score, finished), reverse=True)[: search.beams]
        return len(best) == search.beams and best[-1] >= live[0][1]
    if "beam_search-stops-when-enough" in wrong or "beam_search-narrower" in wrong:
        return n_finished >= search.beams
    return False


def _score(text: Scored) -> float:
    return text[1]


# --- at the end -------------------------------------------------------------------------------------------------------


def _answer(search: Search, finished: list[Scored], live: list[Scored], prompt: Sequence[int]) -> Any:
    """What is returned. prompt: as it was given, in case that it is changed."""
    wrong, beams = search.wrong, search.beams
    if "beam_search-finished-forgotten" in wrong:
        finished = []
    if "beam_search-live-forgotten" in wrong or ("beam_search-live-only-without-finished" in wrong and finished):
        live = []
    if "beam_search-first-finished-alone" in wrong and finished:
        live = []
    ranked = _ranked(search, finished, live)
    if "beam_search-more-than-beams" not in wrong:
        ranked = ranked[:beams]
    if "beam_search-best-last" in wrong:
        ranked.reverse()
    if "beam_search-prompt-changed" in wrong and ranked and isinstance(prompt, list):
        prompt[:] = ranked[0][0]
    return _form(search, ranked)


def _ranked(search: Search, finished: list[Scored], live: list[Scored]) -> list[Scored]:
    """All texts with their final scores, best first."""
    wrong = search.wrong
    if "beam_search-sorted-before-the-penalty" in wrong:
        return [_final(search, text) for text in sorted([*finished, *live], key=_score, reverse=True)]
    if "beam_search-cut-before-the-penalty" in wrong:
        best = sorted([*finished, *live], key=_score, reverse=True)[: search.beams]
        finished, live = [text for text in finished if text in best], [text for text in live if text in best]
    finished, live = ([_final(search, text) for text in texts] for texts in (finished, live))
    if "beam_search-live-fill-up" in wrong:
        live = sorted(live, key=_score, reverse=True)[: max(search.beams - len(finished), 0)]
    if "beam_search-finished-first" in wrong:
        return sorted(finished, key=_score, reverse=True) + sorted(live, key=_score, reverse=True)
    if "beam_search-not-sorted" in wrong:
        return [*finished, *live]
    return sorted([*finished, *live], key=_score, reverse="beam_search-worst-first" not in wrong)


def _final(search: Search, text: Scored) -> Scored:
    """The text, and its log-probability with the length penalty."""
    wrong, (ids, score), power = search.wrong, text, search.length_penalty
    n_new = search.n_new or max(len(ids) - len(search.prompt), 1)
    if "beam_search-length-one-more" in wrong:
        n_new += 1
    if "beam_search-eos-not-counted" in wrong and ids[-1] == search.eos_id:
        n_new = max(n_new - 1, 1)
    if "beam_search-length-with-the-prompt" in wrong:
        n_new = len(ids)
    if "beam_search-no-length-penalty" in wrong or "beam_search-penalty-in-every-step" in wrong:
        return ids, score
    if "beam_search-live-without-penalty" in wrong and ids[-1] != search.eos_id:
        return ids, score
    if "beam_search-always-by-length" in wrong:
        power = 1.0
    if "beam_search-multiplied-by-length" in wrong:
        return ids, score * n_new**power
    if "beam_search-length-added" in wrong:
        return ids, score + power * n_new
    if "beam_search-length-subtracted" in wrong:
        return ids, score - power * n_new
    if "beam_search-length-times-penalty" in wrong:
        return ids, score / (n_new * power) if power else score
    if "beam_search-of-google" in wrong:
        return ids, score / ((5 + n_new) / 6) ** power
    return ids, score / n_new**power


def _form(search: Search, ranked: list[Scored]) -> Any:
    """The texts in the form in which they are returned."""
    wrong, n_prompt = search.wrong, len(search.prompt)
    if "beam_search-log-probabilities-returned" in wrong:
        return [(ids, score * (len(ids) - n_prompt) ** search.length_penalty) for ids, score in ranked]
    if "beam_search-new-tokens-only" in wrong:
        return [(ids[n_prompt:], score) for ids, score in ranked]
    if "beam_search-eos-cut-off" in wrong:
        return [(ids[:-1] if ids[n_prompt:][-1:] == [search.eos_id] else ids, score) for ids, score in ranked]
    if "beam_search-probabilities" in wrong:
        return [(ids, math.exp(score)) for ids, score in ranked]
    if "beam_search-no-scores" in wrong:
        return [ids for ids, _ in ranked]
    if "beam_search-score-first" in wrong:
        return [(score, ids) for ids, score in ranked]
    if "beam_search-best-text-alone" in wrong:
        return ranked[0][0] if ranked else None
    if "beam_search-best-alone" in wrong:
        return ranked[0] if ranked else None
    return ranked[:1] if "beam_search-best-only" in wrong else ranked


# --- cases ------------------------------------------------------------------------------------------------------------

GREEDY_MISSES = [[0.1, 0.5, 0.4], [0.35, 0.4, 0.25], [0.9, 0.06, 0.04]]  # after token 0, 1, 2
WITH_END = [[0.06, 0.44, 0.31, 0.19], [0.02, 0.09, 0.24, 0.65], [0.17, 0.68, 0.11, 0.04], [0.26, 0.27, 0.23, 0.24]]
END = 3  # the token that ends a text in WITH_END
LATE_END = [  # after tokens 1 and 2 a text may end, the second time as the third best candidate; 4 is the end
    [0.02, 0.5, 0.45, 0.02, 0.01],
    [0.01, 0.004, 0.006, 0.38, 0.6],
    [0.14, 0.06, 0.05, 0.35, 0.4],
    [0.3, 0.25, 0.24, 0.2, 0.01],
    [0.2, 0.21, 0.19, 0.22, 0.18],
]


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then models of any size, with and without an end of text and a length penalty, and the edges."""
    greedy_misses, with_end = _table(GREEDY_MISSES), _table(WITH_END)
    yield case("one beam is greedy", greedy_misses, [0], 1, 2)
    yield case("a beginning that is not the best may win", greedy_misses, [0], 2, 2)
    yield case("a beginning that is not the best may win", greedy_misses, [1, 0], 3, 2)
    kept = "a finished text uses a place in its step, is set aside and kept"
    for beams, n in ((1, 2), (2, 1), (2, 2), (3, 2)):
        yield case(kept, with_end, [0], beams, n, END)
    for n in (2, 3):
        yield case(kept, _table(LATE_END), [0], 2, n, 4)
    penalty = "scores are log-probability / length**penalty, the length being that of the new tokens"
    for beams, power in ((2, 1.0), (2, 0.5), (3, 2.0)):
        yield case(penalty, with_end, [2, 0], beams, 2, END, power)
    yield case("it stops when no text is live", with_end, [1], 1, 5, END)
    for vocab_size, beams, n in (
        (5, 1, 4), (3, 2, 2), (4, 2, 3), (4, 3, 4), (5, 4, 3), (6, 4, 1), (6, 3, 5), (10, 5, 4), (30, 6, 3), (7, 2, 6),
    ):  # fmt: skip
        inputs = _model(draw, vocab_size), _prompt(draw, vocab_size), beams, n
        yield case("each step takes the best continuations of all texts", *inputs)
    for vocab_size, beams, n in (
        (4, 1, 4), (3, 2, 3), (4, 2, 4), (3, 3, 4), (4, 3, 5), (4, 4, 4), (5, 3, 5), (5, 5, 3), (8, 6, 4), (3, 2, 6),
        (4, 4, 6), (3, 3, 7), (3, 2, 5), (4, 3, 6), (4, 2, 8), (5, 4, 6), (3, 3, 5), (4, 4, 3),
    ):  # fmt: skip
        yield case(kept, *_with_end(draw, vocab_size, beams, n))
    for vocab_size, beams, n, power in (
        (4, 2, 4, 1.0), (3, 2, 4, 0.7), (3, 3, 4, 1.0), (4, 3, 5, 2.0), (5, 4, 4, 0.5), (4, 4, 5, 1.0), (5, 3, 5, 1.5),
        (3, 3, 6, 1.0), (6, 5, 4, 1.0), (3, 2, 7, 3.0), (4, 4, 6, 2.0), (4, 2, 6, 1.2),
    ):  # fmt: skip
        yield case(penalty, *_with_end(draw, vocab_size, beams, n), power)
    yield case(penalty, _model(draw, 5), _prompt(draw, 5), 3, 4, None, 1.0)
    for beams in (1, 2, 3):
        yield case("it stops when no text is live", _model(draw, 2), [0] * beams, beams, 30, 1)
    yield from _edges(draw)


def _edges(draw: Draw) -> Iterator[Case]:
    ends = "eos_id counts where it is new"
    for n_before in (0, 2):
        before = [draw.randrange(4) for _ in range(n_before)]
        yield edge(ends, _model(draw, 4), [*before, 2], 2, 4, 2)
    for power in (0.0, 1.0):
        yield edge(ends, _model(draw, 4), [2, 1, 0], 3, 4, 2, power)
        for beams, n in ((1, 8), (2, 5), (3, 4)):
            yield edge("eos_id = 0 counts too", _model(draw, 3), [1, 2], beams, n, 0, power)
    for beams, vocab_size in ((5, 3), (6, 2)):
        yield edge("fewer continuations than beams: all of them", _model(draw, vocab_size), [1, 0], beams, 2)
    yield edge("no new token: the prompt, with a score of 0", _model(draw, 4), [1, 3, 0], 3, 0)
    named = {"eos_id": 1, "length_penalty": 1.0}
    yield edge("arguments given by name", _model(draw, 4), prompt=[0, 2], beams=2, max_new_tokens=4, **named)


def _table(probabilities: list[list[float]]) -> Stub:
    return Stub("table_of_log_probs", (np.log(probabilities),))


def _model(draw: Draw, vocab_size: int) -> Stub:
    return Stub("log_probs_of_texts", (draw.getrandbits(30), vocab_size))


def _prompt(draw: Draw, vocab_size: int) -> list[int]:
    return [draw.randrange(vocab_size) for _ in range(draw.randint(1, 4))]


def _with_end(draw: Draw, vocab_size: int, beams: int, n: int) -> tuple[Any, ...]:
    """A search whose texts may end, with a token that is not 0 and not in the prompt."""
    end = draw.randrange(1, vocab_size)
    prompt = [token for token in _prompt(draw, vocab_size) if token != end]
    return _model(draw, vocab_size), [0, *prompt], beams, n, end
