"""Why is it wrong? By trying every known mistake until one does exactly the same.

The reference of a part has a switch for each mistake that is known. A learner's part that gives, in all cases, what the
reference gives with one switch on has that mistake; so with two, and with edges that were forgotten besides. This is
certain, as far as the cases can tell. If no combination fits, nothing is guessed.

Read next: `replay.py`.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterable, Iterator

from .case import CORE, Case
from .catalog import Part
from .compare import differ
from .observe import Observation, observe

SECONDS = 2.0  # for trying combinations
MOST_CORE, MOST_EDGES = 2, 3  # mistakes at once

Mistakes = frozenset[str]


class Suspects:
    """The mistakes that a part can have, and what each of them does to its cases."""

    def __init__(self, part: Part, cases: list[Case], expected: list[list[Observation]]) -> None:
        self.part, self.cases, self.expected = part, cases, expected
        self.core = [i for i, case in enumerate(cases) if case.tier == CORE]
        self.edges = [i for i, case in enumerate(cases) if case.tier != CORE]
        self._seen: dict[tuple[Mistakes, int], list[Observation]] = {}

    def observed(self, wrong: Mistakes, i: int) -> list[Observation]:
        """What the reference with these mistakes does in a case."""
        if (wrong, i) not in self._seen:
            function = self.part.with_mistakes(wrong)
            self._seen[wrong, i] = [observe(function, call) for call in self.cases[i].calls]
        return self._seen[wrong, i]

    @functools.cached_property
    def touched(self) -> dict[str, frozenset[int]]:
        """For each mistake that shows at all: the cases in which it does."""
        every = range(len(self.cases))
        effect = {
            key: frozenset(
                i for i in every if differ(self.cases[i], self.expected[i], self.observed(frozenset({key}), i))
            )
            for key in self.part.mistakes
        }
        return {key: cases for key, cases in effect.items() if cases}

    def explains(self, wrong: Mistakes, got: list[list[Observation]], asked: Iterable[int]) -> bool:
        """Whether the reference with these mistakes does what was seen, in every case that is asked about."""
        return all(alike(self.cases[i], self.observed(wrong, i), got[i]) for i in asked)


def alike(case: Case, expected: list[Observation], got: list[Observation]) -> bool:
    """Whether two mistaken parts do the same. Errors are the same whatever their class: a shape does not fit."""
    for wanted, seen in zip(expected, got, strict=True):
        if (wanted["error"] is None) != (seen["error"] is None):
            return False
        if wanted["error"] is not None:
            return True
    return differ(case, expected, got) is None


def diagnose(
    suspects: Suspects, got: list[list[Observation]], failed: Iterable[int], seconds: float = SECONDS
) -> tuple[list[Mistakes], bool]:
    """(the smallest sets of mistakes that explain what was seen, whether they explain the edges too).

    One set when it is certain, several when the cases cannot tell them apart, none when it is no known mistake.
    """
    deadline = time.monotonic() + seconds
    failing = frozenset(failed)
    # Where it shows is asked before where it may not: whoever is innocent is let go early.
    core = sorted(suspects.core, key=lambda i: i not in failing)
    edges = sorted(suspects.edges, key=lambda i: i not in failing)
    of_core = _first_that_fit(_core_sets(suspects, failing & set(core)), suspects, got, core, deadline)
    whole = [
        wrong
        for base in of_core
        for wrong in _first_that_fit(_edge_sets(suspects, base, failing & set(edges)), suspects, got, edges, deadline)
    ]
    if whole:
        smallest = min(map(len, whole))
        return [wrong for wrong in whole if len(wrong) == smallest], True
    return [wrong for wrong in of_core if wrong], False


def _first_that_fit(
    sizes: Iterator[Iterator[Mistakes]],
    suspects: Suspects,
    got: list[list[Observation]],
    asked: list[int],
    deadline: float,
) -> list[Mistakes]:
    """All sets that explain the cases, of the first size of which there are any."""
    for candidates in sizes:
        found: list[Mistakes] = []
        for wrong in candidates:
            if suspects.explains(wrong, got, asked):
                found.append(wrong)
            if time.monotonic() > deadline:
                return found
        if found:
            return found
    return []


def _core_sets(suspects: Suspects, failing: frozenset[int]) -> Iterator[Iterator[Mistakes]]:
    """Sets of mistakes that show in core cases, small ones first. All that failed must be touched by one of them."""
    core = set(suspects.core)
    shows = {key: cases & core for key, cases in suspects.touched.items() if cases & core}
    for n in range(MOST_CORE + 1):
        yield _covering(shows, n, failing)


def _edge_sets(suspects: Suspects, base: Mistakes, failing: frozenset[int]) -> Iterator[Iterator[Mistakes]]:
    """The base, and with it ever more edges that were forgotten: mistakes that show in no core case."""
    core = set(suspects.core)
    shows = {key: cases for key, cases in suspects.touched.items() if not cases & core}
    touched = frozenset().union(*(suspects.touched[key] for key in base))
    for n in range(MOST_EDGES + 1):
        yield (base | more for more in _covering(shows, n, failing - touched))


def _covering(shows: dict[str, frozenset[int]], n: int, failing: frozenset[int]) -> Iterator[Mistakes]:
    for group in itertools.combinations(shows, n):
        if failing <= frozenset().union(*(shows[key] for key in group)):
            yield frozenset(group)
