"""What a reference is: a part in which every known mistake is a switch, and which notes what it was given and gave.

    @reference
    def softmax(x, dim=-1, *, wrong=RIGHT):
        if "softmax-ignores-dim" in wrong: …

With all switches off it is the part. A reference that calls others hands `wrong` on to them.

Read next: `catalog.py`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator
from contextvars import ContextVar
from typing import Any, TypeVar

Wrong = frozenset[str]
RIGHT: Wrong = frozenset()

Function = TypeVar("Function", bound=Callable[..., Any])
Note = tuple[str, list[Any], Any]  # the part, the arguments in their order, the result
_notes: ContextVar[list[Note] | None] = ContextVar("notes", default=None)


def reference(function: Function) -> Function:
    """The function under its own name, taking notes."""
    return noted(function.__name__, function)  # pyright: ignore[reportReturnType] -- it takes and gives the same


def noted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, taking notes while `taking_notes` asks for them."""

    @functools.wraps(function)
    def noting(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        notes = _notes.get()
        if notes is not None:
            notes.append((name, list(arguments), result))
        return result

    return noting


@contextlib.contextmanager
def taking_notes() -> Generator[list[Note]]:
    """The calls of noted functions while the block runs, in the order in which they came to their ends."""
    notes: list[Note] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)
