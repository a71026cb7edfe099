"""The first inner value that differs, in a part that is made of others.

While the reference runs, each part that it calls notes what it was given and what it gave; so do the learner's, in the
other process. The two notes are laid side by side.

Read next: `answer.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from .case import Case
from .compare import Difference, unlike
from .reference import Note


@dataclass(frozen=True)
class Parting:
    """Where two runs part ways: at which call of which part, and whether by what it was given or by what it gave."""

    part: str
    number: int
    given: bool
    difference: Difference


def first_difference(case: Case, expected: list[Note], got: list[Note]) -> Parting | None:
    """Where they part ways; None where the notes do not show it.

    Only parts that both call equally often can be laid side by side.
    """
    counts = {name: sum(note[0] == name for note in expected) for name, *_ in expected}
    counts = {name: n for name, n in counts.items() if sum(note[0] == name for note in got) == n}
    seen: dict[str, int] = {}
    for name, arguments, result in expected:
        if name not in counts:
            continue
        number = seen[name] = seen.get(name, 0) + 1
        _name, own_arguments, own_result = [note for note in got if note[0] == name][number - 1]
        for wanted, own in zip(arguments, own_arguments, strict=False):
            if fault := unlike(wanted, own, case):
                return Parting(name, number, True, fault)
        if fault := unlike(result, own_result, case):
            return Parting(name, number, False, fault)
    return None
