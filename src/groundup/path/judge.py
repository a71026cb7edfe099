"""The judge: draws cases, has the learner's part answer them, compares, and says why it is wrong where it is.

    text      is it Python, and is the function there?
    trial     a process of its own loads the file and answers call after call (`child.py`)
    verdict   what came is compared with the reference, which is computed here, after the fact
    why       which known mistakes do exactly what was seen; otherwise the smallest input that shows it
    siblings  a part made of others is judged with the learner's own, and if that fails, with lent ones

Read next: `texts.py`.
"""

from __future__ import annotations

import ast
import hashlib
import os
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError, quoted
from ..parts_folder import definitions, functions_in, read_source
from .answer import Answer, Found
from .case import CORE, Case
from .catalog import Part, catalog
from .compare import Difference, differ
from .diagnose import Suspects, diagnose
from .evidence import ordinal, pattern, say_kind, shown, shown_call, shown_difference, smallest
from .lending import lent_source
from .observe import Observation, observe, seconds_of
from .reference import Note, taking_notes
from .replay import first_difference
from .sandbox import Courtroom, Lost
from .words import say

PACKAGE = Path(__file__).parents[1]
KEPT_FILES = ("progress.toml", "parts.py")  # of a workspace: no part has any business there
MOST_NOTES = 12  # cases whose inner values are looked at
AGAIN = 4  # cases that are asked a second time
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


@dataclass(frozen=True)
class Bench:
    """Where a part is judged: the file that holds it, those that `parts` looks into, who is asked, in what language."""

    part: Part
    file: Path
    files: list[Path]
    room: Courtroom
    lang: str


def judge(bench: Bench, cases: list[Case], *, book: bool = False) -> Answer:
    """The verdict on the part in the file. book: it is a class of the book's; what it is not meant for is left out."""
    part, lang = bench.part, bench.lang
    if fault := fault_of_text(part, bench.file, lang):
        return fault
    written = {name for path in bench.files for name in written_in(path)}
    lent = tuple(lent_to(bench, written))
    seen = trial(bench, cases, "own")
    if book:
        cases, seen = asked_of_book(cases, seen)
    used = [name for name in part.all_needs if name in written]
    # With siblings of their own it may be one of those that is wrong: ask before looking for a reason.
    answer = replace(verdict(part, cases, seen, lang, search=not used), lent=lent)
    if answer.passed:
        return replace(answer, remarks=(*written_twice(bench), *remarks(part, seen, lang)))
    if not used or seen.outcome != "pass" or seen.library:
        return answer
    return with_lent_siblings(bench, cases, used, answer)


def asked_of_book(cases: list[Case], seen: Seen) -> tuple[list[Case], Seen]:
    """Without the cases of which the adapter says that the book's class is not meant for them."""
    kept = [
        (case, several)
        for case, several in zip(cases, seen.observations, strict=False)
        if not any(one.get("error") and one["error"]["classes"][0] == "NotAsked" for one in several)
    ]
    if not kept:
        return cases, seen
    return [case for case, _several in kept], replace(
        seen, observations=[several for _case, several in kept], notes={}, again={}
    )


# --- the text ---------------------------------------------------------------------------------------------------------


def written_in(path: Path) -> list[str]:
    """The names of the functions of a file that are no stubs."""
    return [name for name, definition in functions_in(path).items() if not definition.is_stub]


def fault_of_text(part: Part, file: Path, lang: str) -> Answer | None:
    """The answer for a file that is no Python, or in which the function is not there or still a stub."""
    try:
        list(definitions(file, read_source(file)))
    except ConfigError as error:
        if error.code != "PARTS":
            raise
        return not_judged(part, "syntax", lang, evidence=f"{error.what} ({error.where})")
    found = functions_in(file)
    if part.name in found:
        is_stub = found[part.name].is_stub
        return not_judged(part, "missing", lang, key="stub", evidence=found[part.name].where) if is_stub else None
    if part.name in imported_in(file):
        return None
    plain = part.name.replace("_", "")
    near = next((name for name in found if name.lower().replace("_", "") == plain), "")
    return not_judged(part, "missing", lang, key="misnamed" if near else "missing", near=near, evidence=str(file))


def not_judged(part: Part, outcome: str, lang: str, *, key: str = "", evidence: str = "", **values: str) -> Answer:
    """An answer without a comparison: what kept the part from being judged."""
    what = say(lang, key or outcome, part=part.name, **values)
    told = key if key == "stub" else outcome
    found = Found(None, False, what, say(lang, f"why-{told}"), evidence, say(lang, f"hint-{told}"))
    return Answer(part.name, False, False, outcome, (found,))


def lent_to(bench: Bench, written: set[str]) -> list[str]:
    """The parts that the file calls and that are lent to it, since nobody has written them."""
    called = names_in(bench.file)
    return [name for name in bench.part.all_needs if name in called and name not in written]


def imported_in(path: Path) -> set[str]:
    """The names that a file imports from a neighbour; what comes from `parts` is not its own."""
    return {
        alias.asname or alias.name
        for node in ast.parse(read_source(path)).body
        if isinstance(node, ast.ImportFrom) and node.module != "parts"
        for alias in node.names
    }


def names_in(path: Path) -> set[str]:
    """The names that a file uses by themselves, imports, or takes from `parts`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(read_source(path))):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(value=ast.Name(id="parts"), attr=name):
                names.add(name)
            case ast.ImportFrom(module="parts", names=imported):
                names |= {alias.name for alias in imported}
            case _:
                pass
    return names


# --- the trial --------------------------------------------------------------------------------------------------------


def trial(bench: Bench, cases: list[Case], siblings: str) -> Seen:
    """Have a child answer all cases, with the learner's own siblings or with lent ones."""
    part, names = bench.part, list(catalog())
    lendable = [name for name in part.earlier if part.uses_torch or not catalog()[name].uses_torch]
    setting = {
        "file": str(bench.file.resolve()),
        "files": [str(path.resolve()) for path in bench.files],
        "part": part.name,
        "siblings": siblings,
        "names": names,
        "lent": lent_source(lendable, set(names) - set(part.earlier), torch=part.uses_torch),
    }
    observations: list[list[Observation]] = []
    seconds, notes, output = 0.0, dict[int, list[Note]](), bytearray()
    again: dict[int, list[Observation]] = {}
    before = fingerprint(bench)
    try:
        with bench.room.trial(setting) as child:
            output = child.output
            loaded = child.loaded()
            if not loaded["loaded"]:
                return Seen([], "error", _load_error(part, loaded["error"], bench.lang), _text(output))
            for case in cases:
                observations.append([child.ask(call) for call in case.calls])
                if any(map(out_of_memory, observations[-1])):  # it would only come again
                    return Seen([], "memory", shown_call(part.name, case.calls[0]), _text(output))
            again = {i: [child.ask(call) for call in cases[i].calls] for i in asked_again(cases)}
            if part.example is not None:
                seconds = child.ask(("seconds", part.example))
            if part.needs:
                notes = {i: child.ask(("notes", case.calls[0])) for i, case in enumerate(cases[:MOST_NOTES])}
            child.finish()
    except Lost as lost:
        at = min(len(observations), len(cases) - 1)
        outcome, how = how_it_ended(lost, bench.room.status)
        detail = " ".join(filter(None, (shown_call(part.name, cases[at].calls[0]), how or lost.detail)))
        return Seen(observations, outcome, detail, _text(output))
    if changed := before ^ fingerprint(bench):
        return Seen(observations, "forbidden", ", ".join(sorted({path for path, _hash in changed})[:3]), _text(output))
    flat = [seen for several in observations for seen in several]
    return Seen(
        observations,
        output=_text(output),
        library=next((seen["library"] for seen in flat if seen["library"]), ""),
        calls=frozenset(name for seen in flat for name in seen["ready_made"]),
        seconds=seconds,
        notes=notes,
        again=again,
    )


def asked_again(cases: list[Case]) -> range:
    """The cases that are asked a second time, to see whether the same comes out."""
    return range(0, len(cases), len(cases) // AGAIN + 1)


def fingerprint(bench: Bench) -> set[tuple[str, str]]:
    """Every file of the package and what else a learner's code must leave alone, with a hash of each."""
    kept = [bench.file.parent / name for name in KEPT_FILES]
    paths = [
        *PACKAGE.rglob("*.py"),
        *PACKAGE.rglob("*.toml"),
        *(path for path in [*kept, *bench.files] if path.is_file()),
    ]
    return {(str(path), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths}


def _load_error(part: Part, error: dict[str, Any] | None, lang: str) -> str:
    if error is None:
        return f"{part.name}: TypeError"
    text = f"{error['classes'][0]}: {error['message']}"
    return say(lang, "line", line=error["line"], what=text) if error["line"] else text


def _text(output: bytearray) -> str:
    return "\n".join(quoted(line, 400) for line in output.decode("utf-8", "replace").splitlines()[:40])


def how_it_ended(lost: Lost, status: int) -> tuple[str, str]:
    """(outcome, in a word) of a child that gave no answer. status: as waitpid gives it."""
    if lost.outcome != "crashed" or os.name != "posix":
        return lost.outcome, ""
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return ("timeout" if name == "SIGXCPU" else "crashed"), name
    return "crashed", f"exit {os.WEXITSTATUS(status)}" if os.WIFEXITED(status) else ""


# --- the verdict ------------------------------------------------------------------------------------------------------


def verdict(part: Part, cases: list[Case], seen: Seen, lang: str, *, search: bool = True) -> Answer:
    """Compare what was seen with what should have been. search: for the reason; otherwise only show the difference."""
    if seen.library:
        answer = not_judged(part, "calls-library", lang, name=seen.library, evidence=seen.library)
        return replace(answer, cases=len(cases), output=seen.output)
    if seen.outcome != "pass":
        answer = not_judged(part, seen.outcome, lang, evidence=seen.detail)
        return replace(answer, cases=len(cases), output=seen.output)
    expected = [[observe(part.reference, call) for call in case.calls] for case in cases]
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
    """Whether a call ended for want of memory, or gave more than can be looked at."""
    error = seen.get("error")
    if error is None:
        return "too_large" in seen
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
        for key in dict.fromkeys(key for explanation in explanations for key in sorted(explanation)):
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
        between = "" if self.lang == "zh" else " "  # sentences
        why = between.join(filter(None, (kind, why, self.inner(numbers))))
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
                observe(self.part.reference, self.cases[i].calls[0])
            parting = first_difference(self.cases[i], notes, self.seen.notes[i])
            if parting is not None:
                key = "inner-given" if parting.given else "inner-gave"
                values = {"expected": shown(parting.difference.expected), "got": shown(parting.difference.got)}
                return say(self.lang, key, part=parting.part, nth=ordinal(parting.number, self.lang), **values)
        return ""


def with_lent_siblings(bench: Bench, cases: list[Case], used: list[str], answer: Answer) -> Answer:
    """Whose fault it is, when a part made of others fails: its own, or that of a part it is made of."""
    lent = verdict(bench.part, cases, trial(bench, cases, "lent"), bench.lang)
    if not lent.passed:
        return replace(lent, lent=answer.lent)  # what is wrong with it by itself
    alone = {name: judged_alone(bench, name) for name in used}
    broken = {name: one for name, one in alone.items() if not one.passed}
    what = say(bench.lang, "sibling", part=bench.part.name, names=", ".join(broken or used))
    evidence = answer.mistakes[0].evidence
    found = Found(None, False, what, say(bench.lang, "why-sibling"), evidence, say(bench.lang, "hint-sibling"))
    return replace(answer, mistakes=(found, *(mistake for one in broken.values() for mistake in one.mistakes)))


def judged_alone(bench: Bench, name: str) -> Answer:
    """The verdict on a sibling, with lent parts around it."""
    part, file = catalog()[name], next(path for path in bench.files if name in written_in(path))
    alone, cases = Bench(part, file, bench.files, bench.room, bench.lang), part.cases(1)
    return verdict(part, cases, trial(alone, cases, "lent"), bench.lang)


def written_twice(bench: Bench) -> list[str]:
    """A remark where a file defines the part more than once: Python takes the last, and a run would refuse both."""
    lines = [one.line for one in definitions(bench.file, read_source(bench.file)) if one.name == bench.part.name]
    return [say(bench.lang, "twice", lines=", ".join(map(str, lines)))] if len(lines) > 1 else []


def remarks(part: Part, seen: Seen, lang: str) -> list[str]:
    """What is worth saying of a part that is right."""
    said = [say(lang, "ready-made", name=name) for name in part.ready_made if name in seen.calls]
    if part.example is not None:
        usual = seconds_of(part.reference, part.example)
        if seen.seconds > max(SLOW_SECONDS, SLOWER * usual):
            size = part.example_size or shown_call(part.name, part.example)
            said.append(say(lang, "slow", times=f"{seen.seconds / usual:.0f}", size=size))
    return said
