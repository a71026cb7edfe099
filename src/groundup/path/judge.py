"""The judge: has a learner's part answer the cases in a process of its own, and finds whose fault it is when it fails.

    text      is it Python, and is the function there? (`source.py`)
    trial     a process of its own loads the file and answers call after call (`child.py`)
    verdict   what came is compared with the reference (`verdict.py`)
    siblings  a part made of others is judged with the learner's own, and if that fails, with lent ones

Read next: `texts.py`.
"""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import quoted
from .answer import Answer, Found
from .case import Case
from .catalog import Part, catalog
from .evidence import shown_call
from .lending import lent_source
from .observe import Observation
from .reference import Note
from .sandbox import Courtroom, Lost, Trial
from .source import fault_of_text, lent_to, written_in, written_twice
from .verdict import Seen, out_of_memory, remarks, verdict
from .words import say

PACKAGE = Path(__file__).parents[1]
KEPT_FILES = ("progress.toml", "parts.py")  # of a workspace: no part has any business there
MOST_NOTES = 12  # cases whose inner values are looked at
AGAIN = 4  # cases that are asked a second time


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
    lent = tuple(lent_to(part, bench.file, written))
    seen = trial(bench, cases, "own")
    if book:
        cases, seen = asked_of_book(cases, seen)
    used = [name for name in part.all_needs if name in written]
    # With siblings of their own it may be one of those that is wrong: ask before looking for a reason.
    answer = replace(verdict(part, cases, seen, lang, search=not used), lent=lent)
    if answer.passed:
        return replace(answer, remarks=(*written_twice(part, bench.file, lang), *remarks(part, seen, lang)))
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


# --- the trial --------------------------------------------------------------------------------------------------------


def trial(bench: Bench, cases: list[Case], siblings: str) -> Seen:
    """Have a child answer all cases, with the learner's own siblings or with lent ones."""
    part, names = bench.part, list(catalog())
    lendable = [name for name in part.earlier if part.uses_torch or not catalog()[name].uses_torch]
    setting = {
        "file": str(bench.file.resolve()),
        "files": [str(path.resolve()) for path in bench.files],
        "part": part.name,
        "torch": part.uses_torch,
        "siblings": siblings,
        "names": names,
        "lent": lent_source(lendable, set(names) - set(part.earlier)),
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
                observations.append(observed(child, case))
                if any(map(out_of_memory, observations[-1])):  # it would only come again
                    return Seen([], "memory", shown_call(part.name, case.calls[0]), _text(output))
            again = {i: observed(child, cases[i]) for i in asked_again(cases)}
            if part.example is not None:
                seconds = child.ask(("seconds", part.example))
            if part.needs:
                notes = {i: child.ask(("notes", list(case.calls))) for i, case in enumerate(cases[:MOST_NOTES])}
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


def observed(child: Trial, case: Case) -> list[Observation]:
    """What the child says of the calls of a case; what has not their form is no answer. Raises Lost."""
    several = child.ask(list(case.calls))
    if not isinstance(several, list) or len(several) != len(case.calls):
        if isinstance(several, dict) and "too_large" in several:
            raise Lost("memory", several["too_large"])
        raise Lost("forbidden", "it wrote into the judge's pipe")
    return several


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
