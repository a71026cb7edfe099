"""The functions that some parts are given: a model in small for `generate_tokens`, a slope for `numerical_gradient`.

A function cannot travel between processes, but its name and the numbers that it is made of can. Each stub below makes a
function, and notes in a log what the part asked of it.

Read next: `observe.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Log = list[Any]


def make(name: str, values: tuple[Any, ...], log: Log) -> Callable[..., Any]:
    """The function called `name`, made from values; what it is asked goes into the log."""
    return STUBS[name](log, *values)


def table_of_logits(log: Log, table: Any) -> Callable[..., Any]:
    """A model in small: the scores for the next token depend on the last one. table: (V, V)."""

    def next_logits(ids: Any) -> Any:
        ids = [int(token) for token in ids]
        log.append(ids)
        return table[ids[-1]].clone()

    return next_logits


def table_of_log_probs(_log: Log, table: Any) -> Callable[..., Any]:
    """A model in small for texts side by side: the log-probabilities depend on the last token. table: (V, V)."""

    def next_log_probs(texts: Any) -> Any:
        import numpy as np

        return np.array([table[int(ids[-1])] for ids in texts]).reshape(-1, len(table))

    return next_log_probs


def log_probs_of_texts(_log: Log, seed: int, vocab_size: int) -> Callable[..., Any]:
    """The same where they depend on every token of a text: no two texts are equally probable."""

    def next_log_probs(texts: Any) -> Any:
        import numpy as np

        logits = [np.random.default_rng([seed, *map(int, ids)]).normal(0.0, 1.5, vocab_size) for ids in texts]
        table = np.array(logits).reshape(-1, vocab_size)
        return table - np.log(np.exp(table).sum(axis=1, keepdims=True))

    return next_log_probs


STUBS: dict[str, Callable[..., Callable[..., Any]]] = {
    "table_of_logits": table_of_logits,
    "table_of_log_probs": table_of_log_probs,
    "log_probs_of_texts": log_probs_of_texts,
}
