"""The numbers of the text on beam search."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ...stubs import make
from .beam_search import GREEDY_MISSES, beam_search
from .beam_step import beam_step

END_ALONE, WORDS, MOST = 0.1, 50, 20


def numbers() -> dict[str, Any]:
    """Two steps with two beams, which find what greedy decoding misses; and how long texts pay for their length."""
    table = np.log(GREEDY_MISSES)
    _parents, first, scores = beam_step(np.zeros(1), table[:1], 2)
    parents, tokens, totals = beam_step(scores, table[first], 2)
    found = beam_search(make("table_of_log_probs", (table,), []), [0], 2, 2)
    greedy = beam_search(make("table_of_log_probs", (table,), []), [0], 1, 2)
    return {
        "p0": GREEDY_MISSES[0],
        "kept": first.tolist(),
        "of_kept": np.exp(scores).tolist(),
        "one": np.exp(scores[0] + table[first[0]]).tolist(),
        "two": np.exp(scores[1] + table[first[1]]).tolist(),
        "place": (parents * 3 + tokens).tolist(),
        "parents": parents.tolist(),
        "tokens": tokens.tolist(),
        "totals": totals.tolist(),
        "found": float(np.exp(found[0][1])),
        "greedy": float(np.exp(greedy[0][1])),
        "each": 0.5,
        "short": float(np.log(0.5) * 4),
        "long": float(np.log(0.6) * 10),
        "short_mean": float(np.log(0.5)),
        "long_mean": float(np.log(0.6)),
        "end": END_ALONE,
        "words": WORDS,
        "most": MOST,
        "word_and_end": (1 - END_ALONE) / WORDS * END_ALONE,
    }


@functools.cache
def prediction() -> float:
    """How many new tokens the best text has where a text ends with probability 0.1, and all words are alike."""
    row = np.log([END_ALONE, *[(1 - END_ALONE) / WORDS] * WORDS])
    best, _score = beam_search(make("table_of_log_probs", ([row] * (WORDS + 1),), []), [1], 5, MOST, 0)[0]
    return len(best) - 1
