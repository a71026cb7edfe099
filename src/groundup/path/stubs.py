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


def curve(log: Log, line: Any, together: Any, cubic: Any) -> Callable[..., float]:
    """A smooth function of an array, each of whose slopes depends on all numbers. The three are arrays of its shape."""

    def f(x: Any) -> float:
        return float((line * x).sum() + (together * x).sum() ** 2 + (cubic * x**3).sum())

    return f


STUBS: dict[str, Callable[..., Callable[..., Any]]] = {
    "table_of_logits": table_of_logits,
    "curve": curve,
}
