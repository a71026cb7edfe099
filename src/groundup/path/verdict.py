"""The verdict: what came is compared with the reference, which is computed here, after the fact; and why it differs.

Which known mistakes do exactly what was seen? If none, the smallest input that shows a difference, and what all the
differences have in common.

Read next: `judge.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from .answer import Answer, Found
from .case import CORE, Case
from .catalog import Part
from .compare import Difference, differ
from .diagnose import Suspects, diagnose
from .evidence import ordinal, pattern, say_kind, shown, shown_call, shown_difference, smallest
from .observe import Observation, observe, seconds_of
from .raised import usual_cause
from .reference import Note, taking_notes
from .replay import first_difference
from .source import not_judged
from .words import say

SLOWER, SLOW_SECONDS = 10.0, 0.005  # than the reference, and at least so long: worth a remark


@dataclass(frozen=True)
class Seen:
    """What a trial brought to light."""

    observations: list[list[Observation]]
    outcome: str = "pass"
    detail: str = ""
    output: str = ""
    library: str = ""  # the library's function that was called
    calls: frozenset[str] = frozenset()  # torch's functions that were called
    seconds: float = 0.0  # for the part's larger example
    notes: dict[int, list[Note]] = field(default_factory=dict)  # of some cases: what inner parts were given and gave
    again: dict[int, list[Observation]] = field(default_factory=dict)  # some cases, asked a second time


def verdict(part: Part, cases: list[Case], seen: Seen, lang: str, *, search: bool = True) -> Answer:
    """Compare what was seen with what should have been. search: for the reason; otherwise only show the difference."""
    if seen.library:
        answer = not_judged(part, "calls-library", lang, name=seen.library, evidence=seen.library)
        return replace(answer, cases=len(cases), output=seen.output)
    if seen.outcome != "pass":
        answer = not_judged(part, seen.outcome, lang, evidence=seen.detail)
        if seen.outcome == "error" and (cause := usual_cause(seen.detail, lang)):
            answer = replace(answer, mistakes=(replace(answer.mistakes[0], why=cause),))
        return replace(answer, cases=len(cases), output=seen.output)
    expected = [observe(part.reference, case.calls) for case in cases]
    differences = {
        i: difference
        for i, three in enumerate(zip(cases, expected, seen.observations, strict=True))
        if (difference := differ(*three))
    }
    core = not any(cases[i].tier == CORE for i in differences)
    answer = Answer(
        part.name, not differences, core, "pass", cases=len(cases), failed=len(differences), output=seen.output
    )
    if not differences:
        return answer
    always_raises = len(differences) == len(cases) and all(one.kind == "raises" for one in differences.values())
    why = Why(part, cases, expected, seen, differences, lang)
    mistakes = why.mistakes() if search else [why.unknown(list(differences))]
    return replace(answer, outcome="error" if always_raises else "wrong", mistakes=tuple(mistakes))


def out_of_memory(seen: Observation) -> bool:
    """Whether a call ended for want of memory."""
    error = seen["error"]
    if error is None:
        return False
    return "MemoryError" in error["classes"] or "can't allocate memory" in error["message"]


@dataclass(frozen=True)
class Why:
    """Finds the reason for what differs. differences: by the number of the case."""

    part: Part
    cases: list[Case]
    expected: list[list[Observation]]
    seen: Seen
    differences: dict[int, Difference]
    lang: str

    def mistakes(self) -> list[Found]:
        """The known mistakes that explain it; for what none explains, the property that fails in the smallest case."""
        suspects = Suspects(self.part, self.cases, self.expected)
        explanations, whole = diagnose(suspects, self.seen.observations, self.differences)
        found = []
        keys = dict.fromkeys(key for explanation in explanations for key in sorted(explanation))
        # What the book needs comes before the edges.
        for key in sorted(keys, key=lambda key: not any(suspects.shows(key, i) for i in suspects.core)):
            mistake, shows = self.part.mistakes[key], suspects.shows_in(key) & self.differences.keys()
            words = [mistake.say(self.lang, word) for word in ("what", "why", "hint")]
            evidence = self.evidence(shows or self.differences.keys())
            found.append(Found(key, len(explanations) == 1, words[0], words[1], evidence, words[2]))
        got = self.seen.observations
        rest = [i for i in self.differences if not any(suspects.explains(wrong, got, [i]) for wrong in explanations)]
        if rest and not whole:
            found.append(self.unknown(rest))
        return found

    def evidence(self, numbers: Any) -> str:
        """The smallest of these cases, with what was expected and what came."""
        i = smallest(self.cases, numbers)
        return shown_difference(self.part.name, self.cases[i], self.differences[i], self.lang)

    def unknown(self, numbers: list[int]) -> Found:
        """What can be said of a difference that no known mistake explains."""
        first = min(numbers, key=lambda i: (self.cases[i].tier != CORE, i))
        difference = self.differences[first]
        what = say(self.lang, "shows", property=self.part.property_words(self.cases[first].shows, self.lang))
        if difference.kind == "raises":
            error = f"{difference.got['classes'][0]}: {next(iter(difference.got['message'].splitlines()), '')}"
            what = say(self.lang, "raises", what=what, error=error)
        why = say(self.lang, "why-unknown", failed=len(numbers), cases=len(self.cases))
        kind = self.in_common(numbers) or say_kind(self.lang, difference)
        cause = usual_cause(difference.got["message"], self.lang) if difference.kind == "raises" else ""
        between = "" if self.lang == "zh" else " "  # sentences
        why = between.join(filter(None, (cause, kind, why, self.inner(numbers))))
        return Found(None, False, what, why, self.evidence(numbers), say(self.lang, "hint-unknown"))

    def in_common(self, numbers: list[int]) -> str:
        """What all that is wrong has in common, as far as it can be seen from outside; "" for nothing."""
        first = self.seen.observations
        again = {i: second for i, second in self.seen.again.items() if self.cases[i].view is None}
        if any(differ(self.cases[i], first[i], second) for i, second in again.items()):
            return say(self.lang, "kind-random")
        core = [i for i in numbers if self.cases[i].tier == CORE]
        key, values = pattern([self.differences[i] for i in core or numbers])
        return say(self.lang, f"kind-{key}", **values) if key else ""

    def inner(self, numbers: list[int]) -> str:
        """The first value inside that differs, for a part that calls others."""
        for i in sorted(self.seen.notes.keys() & set(numbers), key=lambda i: (self.cases[i].tier != CORE, i)):
            with taking_notes() as notes:
                observe(self.part.reference, self.cases[i].calls)
            parting = first_difference(self.cases[i], notes, self.seen.notes[i])
            if parting is not None:
                key = "inner-given" if parting.given else "inner-gave"
                values = {"expected": shown(parting.difference.expected), "got": shown(parting.difference.got)}
                return say(self.lang, key, part=parting.part, nth=ordinal(parting.number, self.lang), **values)
        return ""


def remarks(part: Part, seen: Seen, lang: str) -> list[str]:
    """What is worth saying of a part that is right."""
    said = [say(lang, "ready-made", name=name) for name in part.ready_made if name in seen.calls]
    if part.example is not None:
        usual = seconds_of(part.reference, part.example)
        if seen.seconds > max(SLOW_SECONDS, SLOWER * usual):
            size = part.example_size or shown_call(part.name, part.example)
            said.append(say(lang, "slow", times=f"{seen.seconds / usual:.0f}", size=size))
    return said
