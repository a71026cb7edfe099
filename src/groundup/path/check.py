"""Am I right? The checker as commands, notebooks and `learn` ask it.

Read next: the folder `payoffs/`.
"""

from __future__ import annotations

import contextlib
import difflib
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import randbelow
from typing import Any

from ..errors import ConfigError, quoted
from ..processes import one_core
from .answer import Answer
from .book import KEPT_AS, BookFile, read_book
from .catalog import Part, catalog
from .judge import Bench, asked_again, judge
from .observe import observe
from .sandbox import Courtroom
from .source import written_in
from .verdict import Seen, verdict
from .words import say
from .workspace import Workspace, files_of, is_python

LARGEST_SEED = 1 << 31
BOOK_ROUNDS = 5  # seeds: a class of the book's is not meant for every case


def check(name: str, what: Callable[..., Any] | str | Path, *, lang: str = "en", seed: int | None = None) -> Answer:
    """Judge an implementation of a part: a file that holds it, or a function.

    A file is judged in a process of its own; a function object in this one (isolation "none"): nothing ends a loop
    without end. seed: of the inputs that are drawn; a new one each time unless given. Raises ConfigError for a part or
    a file that is not there.
    """
    if callable(what):
        return check_function(name, what, lang=lang, seed=seed)
    return check_file(name, Path(what), lang=lang, seed=seed)


def check_file(
    name: str, file: Path, *, lang: str = "en", seed: int | None = None, courtroom: Courtroom | None = None
) -> Answer:
    """Judge the function `name` of a file. courtroom: one that is warm already."""
    started = time.monotonic()
    part = part_named(name)
    seed = randbelow(LARGEST_SEED) if seed is None else seed
    if not file.is_file():
        raise ConfigError(
            f"there is no file {quoted(str(file))}",
            fix=f"name the file that holds the function; in a workspace, groundup learn reset {name}",
            code="PATH",
        )
    with contextlib.nullcontext(courtroom) if courtroom else opened(part.uses_torch) as room:
        room.warm_up()  # it imports torch while we do
        bench = Bench(part, file, files_of(file.parent) or [file], room, lang)
        cases = part.cases(seed)
        with one_core() if part.uses_torch else contextlib.nullcontext():  # for operations as small as these
            answer = judge(bench, cases)
    return replace(answer, seed=seed, seconds=round(time.monotonic() - started, 3))


def check_function(name: str, function: Callable[..., Any], *, lang: str = "en", seed: int | None = None) -> Answer:
    """Judge a function object, in this process."""
    started = time.monotonic()
    part = part_named(name)
    seed = randbelow(LARGEST_SEED) if seed is None else seed
    cases = part.cases(seed)
    observations = [observe(function, case.calls) for case in cases]
    again = {i: observe(function, cases[i].calls) for i in asked_again(cases)}
    answer = verdict(part, cases, Seen(observations, again=again), lang)
    return replace(answer, seed=seed, isolation="none", seconds=round(time.monotonic() - started, 3))


def check_book(file: Path, *, lang: str = "en", seed: int | None = None) -> tuple[BookFile, list[Answer]]:
    """Judge the book's classes and helpers in a script or a notebook, each as the part that it is."""
    book = read_book(file)
    seed = randbelow(LARGEST_SEED) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="groundup-") as folder, opened(torch=True) as room:
        source = Path(folder) / KEPT_AS
        source.write_text(book.source, encoding="utf-8")
        answers: list[Answer] = []
        for name in sorted(book.parts, key=list(catalog()).index):
            started = time.monotonic()
            bench = Bench(catalog()[name], source, [source], room, lang)
            cases = [case for i in range(BOOK_ROUNDS) for case in catalog()[name].cases(seed + i)]
            answer = judge(bench, cases, book=True)
            if name in book.dialects:
                answer = replace(answer, remarks=(say(lang, book.dialects[name]), *answer.remarks))
            answers.append(replace(answer, seed=seed, seconds=round(time.monotonic() - started, 3)))
    return book, answers


@contextlib.contextmanager
def opened(torch: bool) -> Generator[Courtroom]:
    """A courtroom for the time of the block."""
    room = Courtroom(("torch", "torch.overrides") if torch else ())
    try:
        yield room
    finally:
        room.close()


def part_named(name: str) -> Part:
    """The part. Raises ConfigError (PART) with the nearest name."""
    if name not in catalog():
        close = difflib.get_close_matches(name, catalog(), n=1)
        fix = f"did you mean {close[0]}?" if close else "see `groundup learn path` for the parts"
        raise ConfigError(f"there is no part {quoted(name)}", fix=fix, code="PART")
    return catalog()[name]


def check_workspace(workspace: Workspace, *, lang: str = "en", seed: int | None = None) -> Iterator[Answer]:
    """Judge everything in a workspace that is no stub, in the order of the path."""
    with opened(torch=True) as room:
        unreadable = set[Path]()
        for name, part in catalog().items():
            file = workspace.home_of(part)
            if not file.is_file() or file in unreadable:
                continue
            if not is_python(file):
                unreadable.add(file)  # that is said once, for the first of its parts
            if name in written_in(file) or file in unreadable:
                yield check_file(name, file, lang=lang, seed=seed, courtroom=room)
