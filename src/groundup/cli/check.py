"""`groundup check`: judges somebody's own version of a part."""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import GroundupError
from .language import language_in_use
from .terminal import indented, padded, say, say_json, styled, width

if TYPE_CHECKING:
    from ..path import Answer
    from ..path.workspace import Workspace

NOT_PASSED = 1


@click.command()
@click.argument("part", required=False)
@click.option("--file", type=Path, help="The file that holds your version; the workspace's when not given.")
@click.option("--book", type=Path, metavar="FILE", help="Judge the book's own classes in a script or a notebook.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Draw the inputs of an earlier check again.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def check(part: str | None, file: Path | None, book: Path | None, seed: int | None, as_json: bool) -> int:
    """Judge your own version of a part, and say why it is wrong.

    PART is a name from the list of parts. Without it, everything in the workspace is judged. The exit status is 0 if it
    passes, and 1 if it does not.
    """
    from ..path.catalog import catalog
    from ..path.check import check_file, check_workspace, part_named
    from ..path.workspace import Workspace

    lang = language_in_use()
    if book is not None:
        return judge_book(book, lang, seed, as_json)
    if part is not None:
        known = part_named(part)
        if file is not None:
            answer = check_file(part, file, lang=lang, seed=seed)
        else:
            workspace = Workspace(Path())
            answer = check_file(part, workspace.home_of(known), lang=lang, seed=seed)
        if as_json:
            say_json(answer.as_json())
        else:
            say_answer(answer)
        if file is None:
            remember(Workspace(Path()), answer)
        return 0 if answer.passed else NOT_PASSED
    answers: list[Answer] = []
    workspace = Workspace(file or Path())
    for answer in check_workspace(workspace, lang=lang, seed=seed):
        answers.append(answer)
        if not as_json:
            say_answer(answer, brief=True)
        remember(workspace, answer)
    if as_json:
        say_json({"workspace": str((file or Path()).resolve()), "parts": [answer.as_json() for answer in answers]})
    elif not answers:
        say(_("Nothing is written yet: {names}").format(names=", ".join(catalog())))
    elif failed := next((answer.part for answer in answers if not answer.passed), ""):
        say("\n" + _("Why, with a hint: groundup check {part}").format(part=failed))
    return 0 if answers and all(answer.passed for answer in answers) else NOT_PASSED


def remember(workspace: Workspace, answer: Answer) -> None:
    """Keep a verdict that has been told; where it cannot be kept, say so, since it stands all the same."""
    try:
        workspace.remember(answer)
    except GroundupError as error:
        say(_("not remembered: {why}").format(why=error.what), err=True)


def judge_book(file: Path, lang: str, seed: int | None, as_json: bool) -> int:
    """The book's classes; in a workspace, those that are right for the book are taken as the reader's own."""
    from ..files import write_text
    from ..path.book import KEPT_AS
    from ..path.check import check_book
    from ..path.workspace import PROGRESS, Workspace

    book, answers = check_book(file, lang=lang, seed=seed)
    if as_json:
        say_json({"book": str(file), "classes": book.parts, "parts": [answer.as_json() for answer in answers]})
    else:
        for answer in answers:
            say(_("{name} is judged as {part}").format(name=book.parts[answer.part], part=answer.part))
            say_answer(answer)
            say()
        for name in book.twice:
            say(_("{name} is left out: a later class is the same part").format(name=name))
    if Path(PROGRESS).is_file() and book.whole and all(answer.core for answer in answers):
        workspace = Workspace(Path())
        write_text(Path(KEPT_AS), book.source_of_whole())
        for answer in answers:
            if answer.part in book.whole:
                remember(workspace, answer)
        if not as_json:
            say(_("taken as your own: {path}").format(path=KEPT_AS))
    return 0 if all(answer.passed for answer in answers) else NOT_PASSED


def say_answer(answer: Answer, *, brief: bool = False) -> None:
    """The verdict; then each mistake with its reason, its evidence and a hint."""
    n_right = answer.cases - answer.failed
    if answer.passed:
        verdict = styled(_("right"), sys.stdout, fg="green", bold=True)
        counts = _("{n} of {n} cases").format(n=answer.cases)
    elif answer.core:
        verdict = styled(_("right for the book"), sys.stdout, fg="yellow", bold=True)
        counts = _("{right} of {n} cases; edges left:").format(right=n_right, n=answer.cases)
    else:
        verdict = styled(_("not yet"), sys.stdout, fg="red", bold=True)
        counts = _("{right} of {n} cases").format(right=n_right, n=answer.cases) if answer.failed else ""
    told = _("{verdict} ({counts})").format(verdict=verdict, counts=counts) if counts else verdict
    say(f"{answer.part}: {told}")
    for remark in answer.remarks:
        say(f"  {remark}")
    if answer.lent:
        say(f"  {_('lent:')} {', '.join(answer.lent)}")
    for number, mistake in enumerate(answer.mistakes):
        if mistake.id is not None and not mistake.sure and (number == 0 or answer.mistakes[number - 1].sure):
            say("\n  " + _("Not all of this: what your code gives leaves open which of these it is."))
        say(f"\n  {styled(mistake.what, sys.stdout, bold=True)}" + ("" if mistake.id is None else f" [{mistake.id}]"))
        if brief:
            continue
        labels = [(_("why:"), mistake.why), (_("seen:"), mistake.evidence), (_("hint:"), mistake.hint)]
        margin = max(width(label) for label, _text in labels)
        for label, text in labels:
            if text:
                shown = indented(text, " " * (margin + 5)).lstrip()
                say(f"    {styled(padded(label, margin), sys.stdout, bold=True)} {shown}")
    if answer.output and not answer.passed and not brief:
        say(f"\n  {_('your code wrote:')}\n{indented(answer.output, '    ')}")
