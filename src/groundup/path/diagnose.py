"""Why is it wrong? By trying every known mistake until one does exactly the same.

The reference of a part has a switch for each mistake that is known. A learner's part that gives, in all cases, what the
reference gives with one switch on has that mistake; so with two, and with edges that were forgotten besides. This is
certain, as far as the cases can tell. If no combination fits, nothing is guessed.

Read next: `replay.py`.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .case import CORE, Case
from .catalog import Part
from .compare import COARSER, changes_input, differ
from .evidence import n_numbers
from .observe import Observation, observe

SECONDS = 3.5  # for trying combinations
MOST_CORE, MOST_EDGES = 2, 3  # mistakes at once
WITNESSES = 8  # cases, each for another property, that a combination is asked about first

Mistakes = frozenset[str]
Seen = list[list[Observation]]


class OutOfTime(Exception):
    """There is no time left to try another mistake."""


class Suspects:
    """The mistakes that a part can have, and what each of them does to its cases: found out when it is asked."""

    def __init__(self, part: Part, cases: list[Case], expected: Seen) -> None:
        self.part, self.cases, self.expected = part, cases, expected
        self.deadline = math.inf  # of trying, as time.process_time() tells it: a busy machine gets no less
        self.messages = False  # whether errors are compared too: where there is nothing but errors, they say it all
        cheap = sorted(range(len(cases)), key=lambda i: sum(n_numbers(call.arguments) for call in cases[i].calls))
        self.core = [i for i in cheap if cases[i].tier == CORE]
        self.edges = [i for i in cheap if cases[i].tier != CORE]
        self._seen: dict[tuple[Mistakes, int], list[Observation]] = {}
        self._shows: dict[tuple[str, int], bool] = {}

    def observed(self, wrong: Mistakes, i: int) -> list[Observation]:
        """What the reference with these mistakes does in a case."""
        if (wrong, i) not in self._seen:
            if time.process_time() > self.deadline:
                raise OutOfTime
            function = self.part.with_mistakes(wrong)
            self._seen[wrong, i] = observe(function, self.cases[i].calls)
        return self._seen[wrong, i]

    def shows(self, key: str, i: int) -> bool:
        """Whether a mistake by itself makes a difference in a case."""
        if (key, i) not in self._shows:
            seen = self.observed(frozenset({key}), i)
            self._shows[key, i] = differ(self.cases[i], self.expected[i], seen) is not None
        return self._shows[key, i]

    def shows_in(self, key: str) -> frozenset[int]:
        """The cases in which a mistake by itself makes a difference."""
        return frozenset(i for i in range(len(self.cases)) if self.shows(key, i))

    def explains(self, wrong: Mistakes, got: Seen, asked: Iterable[int]) -> bool:
        """Whether the reference with these mistakes does what was seen, in every case that is asked about."""
        return all(alike(self.cases[i], self.observed(wrong, i), got[i], self.messages) for i in asked)


def alike(case: Case, expected: list[Observation], got: list[Observation], messages: bool = False) -> bool:
    """Whether two mistaken parts do the same. Two errors are the same thing, unless their messages count."""
    for wanted, seen in zip(expected, got, strict=True):
        if (wanted["error"] is None) != (seen["error"] is None):
            return False
        if wanted["error"] is not None:
            return not messages or wanted["error"]["message"] == seen["error"]["message"]
    fault = differ(coarsened(case, expected), expected, got)
    # How an input was changed is of no interest.
    return fault is None or (fault.kind == "changed" and changes_input(case, expected) and changes_input(case, got))


def coarsened(case: Case, expected: list[Observation]) -> Case:
    """With the tolerance of its inputs: from bfloat16, a mistaken float32 has no more digits."""
    inputs = max(COARSER.get(dtype_of(value), 1.0) for call in case.calls for value in (0, *call.arguments))
    output = max(COARSER.get(dtype_of(seen["value"]), 1.0) for seen in expected)
    return replace(case, tolerance=case.tolerance * max(1.0, inputs / output))


def dtype_of(value: object) -> str:
    """Of an array or a tensor: "bfloat16"."""
    return str(getattr(value, "dtype", "")).removeprefix("torch.")


def diagnose(
    suspects: Suspects, got: Seen, failed: Iterable[int], seconds: float = SECONDS
) -> tuple[list[Mistakes], bool]:
    """(the smallest sets of mistakes that explain what was seen, whether they explain the edges too).

    One set when it is certain, several when the cases cannot tell them apart, none when it is no known mistake. The
    part's own mistakes are named before those of the parts that it is made of.
    """
    suspects.deadline = time.process_time() + seconds
    failing = frozenset(failed)
    suspects.messages = all(seen["error"] is not None for several in got for seen in several)
    # Where it shows is asked before where it may not: whoever is innocent is let go early.
    core = sorted(suspects.core, key=lambda i: i not in failing)
    edges = sorted(suspects.edges, key=lambda i: i not in failing)
    of_core = _first_that_fit(_core_sets(suspects, got, failing), suspects, got, core)
    whole = [
        wrong
        for base in of_core
        for wrong in _first_that_fit(_edge_sets(suspects, got, base), suspects, got, edges)
        if wrong  # what is off by less than the inputs' dtype can say is no mistake, but explains nothing
    ]
    found = whole or [wrong for wrong in of_core if wrong]
    smallest = min(map(len, found), default=0)
    found = [wrong for wrong in found if len(wrong) == smallest]
    suspects.deadline = math.inf
    own = suspects.part.own_mistakes.keys()
    fewest = min((len(wrong - own) for wrong in found), default=0)
    return [wrong for wrong in found if len(wrong - own) == fewest], bool(whole)


def _first_that_fit(
    sizes: Iterator[Iterator[Mistakes]], suspects: Suspects, got: Seen, asked: list[int]
) -> list[Mistakes]:
    """All sets that explain the cases, of the first size of which there are any; as many as there is time for."""
    found: list[Mistakes] = []
    with contextlib.suppress(OutOfTime):
        for candidates in sizes:
            for wrong in candidates:
                if wrong not in found and suspects.explains(wrong, got, asked):
                    found.append(wrong)
            if found:
                break
    return found


def _core_sets(suspects: Suspects, got: Seen, failing: frozenset[int]) -> Iterator[Iterator[Mistakes]]:
    """Sets of mistakes that may explain the core cases, small ones first."""
    witnesses = _witnesses(suspects, [i for i in suspects.core if i in failing])
    if not witnesses:
        yield iter([frozenset()])
        return
    every = suspects.part.mistakes
    companions = [key for key, mistake in every.items() if mistake.companion]
    yield (frozenset({key}) for key in every)
    witnesses += _overlooked(suspects, got, witnesses)
    # Whoever has made two mistakes has probably made them in this part: which of the inherited ones show takes longer.
    own = [key for key in suspects.part.own_mistakes if any(suspects.shows(key, i) for i in witnesses)]
    yield _covering(suspects, got, own, 2, witnesses)
    shown = [key for key in every if any(suspects.shows(key, i) for i in witnesses)]
    yield (frozenset({key, other}) for key in shown for other in companions if key != other)
    passing = _witnesses(suspects, [i for i in suspects.core if i not in failing])
    likely = [key for key in shown if not any(suspects.shows(key, i) for i in passing)]
    for n in range(2, MOST_CORE + 1):
        yield _covering(suspects, got, likely, n, witnesses)
        yield _covering(suspects, got, shown, n, witnesses)
        for other in companions:
            yield (wrong | {other} for wrong in _covering(suspects, got, shown, n, witnesses, frozenset({other})))
        # Now also groups of which one member makes a difference only where another has made one.
        yield (frozenset(group) for group in itertools.combinations(shown, n))
        for other in companions:
            yield (frozenset({*group, other}) for group in itertools.combinations(shown, n))


def _edge_sets(suspects: Suspects, got: Seen, base: Mistakes) -> Iterator[Iterator[Mistakes]]:
    """The base, and with it ever more edges that were forgotten: mistakes that show in no core case."""
    yield iter([base])
    left = [i for i in suspects.edges if not suspects.explains(base, got, [i])]
    witnesses = _witnesses(suspects, left)
    shown = [
        key
        for key in suspects.part.mistakes
        if any(suspects.shows(key, i) for i in witnesses) and not any(suspects.shows(key, i) for i in suspects.core)
    ]
    for n in range(1, MOST_EDGES + 1):
        yield (base | more for more in _covering(suspects, got, shown, n, witnesses, base))


def _witnesses(suspects: Suspects, cases: list[int]) -> list[int]:
    """Of some cases, for each property that they show, the one that is the least work."""
    first = {suspects.cases[i].shows: i for i in reversed(cases)}
    return sorted(first.values(), key=cases.index)[:WITNESSES]


def _overlooked(suspects: Suspects, got: Seen, witnesses: list[int]) -> list[int]:
    """Where something shows that the witnesses do not know: for each mistake that explains them, what it does not."""
    fits = [key for key in suspects.part.mistakes if suspects.explains(frozenset({key}), got, witnesses)]
    left = (next((i for i in suspects.core if not suspects.explains(frozenset({key}), got, [i])), None) for key in fits)
    return sorted({i for i in left if i is not None} - set(witnesses))


def _covering(
    suspects: Suspects, got: Seen, keys: list[str], n: int, witnesses: list[int], base: Mistakes = frozenset()
) -> Iterator[Mistakes]:
    """Groups of n mistakes, with the base, that explain the witnesses; where one alone shows, it alone does."""

    def explains(group: tuple[str, ...], i: int) -> bool:
        showing = [key for key in group if suspects.shows(key, i)]
        return bool(showing) and suspects.explains(base.union(showing), got, [i])

    for group in itertools.combinations(keys, n):
        if all(explains(group, i) for i in witnesses):
            yield frozenset(group)
