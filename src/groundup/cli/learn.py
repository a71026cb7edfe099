"""`groundup learn`: the path, unit by unit, in one's own files."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, quoted
from .check import say_answer
from .groups import Group
from .keys import single_keys
from .terminal import is_terminal, n_columns, say, say_json, say_markdown, styled, table

if TYPE_CHECKING:
    from ..path.answer import Answer
    from ..path.session import Session
    from ..path.texts import Unit
    from ..path.workspace import Workspace

SECONDS_BETWEEN_LOOKS = 0.2
NARROW = 100  # columns below which two texts do not fit side by side

SYMBOLS = {"own": "●", "edges": "◐", "wrong": "✗", "broken": "!", "unchecked": "?", "borrowed": "↺", "lent": "·"}
COLOURS = {"own": "green", "edges": "yellow", "wrong": "red", "broken": "red", "borrowed": "blue"}


class Learn(Group):
    """`learn` by itself opens the path where one is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """No arguments are no wish for help here."""
        return click.Group.parse_args(self, ctx, args)


def language() -> str:
    """The language of the screen."""
    return os.environ.get("LANGUAGE", "en")


@click.group(cls=Learn, invoke_without_command=True)
@click.pass_context
def learn(ctx: click.Context) -> int | None:
    """Write the parts yourself, one after the other, and know that each is right.

    `groundup learn init my_llm` makes a workspace. In it, `groundup learn` opens the unit where you are, and checks
    your file whenever you save it.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from ..path.session import Session
    from ..path.workspace import Workspace

    with Session(Workspace(Path()), language()) as session:
        if is_terminal(sys.stdout) and is_terminal(sys.stdin):
            return sit(session)
        show_unit(session.unit, session.lang)
        for answer in session.check():
            say_answer(answer)
    return 0


@learn.command()
@click.argument("folder", type=Path, default=Path("my_llm"))
@click.option("--from-chapter", type=click.IntRange(2, 7), metavar="N", help="Begin where the book's chapter N begins.")
@click.option("--git", is_flag=True, help="Make it a git repository of its own.")
def init(folder: Path, from_chapter: int | None, git: bool) -> int:
    """Make a workspace: a file for each stage, with a stub for each part."""
    from ..path.texts import units
    from ..path.workspace import make_workspace

    start = ""
    if from_chapter is not None:
        later = (unit for unit in units().values() if chapter_of(unit) >= from_chapter)
        start = next((unit.name for unit in later), "")
    workspace = make_workspace(folder, lang=language(), start=start, git=git)
    say(_("{folder} is your workspace:").format(folder=folder))
    for path in workspace.files:
        say(f"  {path.name}")
    say(_("Go on with: cd {folder} && groundup learn").format(folder=folder))
    return 0


@learn.command()
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def status(as_json: bool) -> int:
    """Show the map: what is your own, what is lent, and what is left."""
    from ..path.catalog import catalog
    from ..path.workspace import Workspace

    workspace = Workspace(Path())
    if as_json:
        say_json({name: workspace.state_of(name) for name in catalog()})
    else:
        show_map(workspace)
    return 0


@learn.command()
@click.argument("unit")
def show(unit: str) -> int:
    """Show the text of a UNIT."""
    show_unit(unit_named(unit), language())
    return 0


@learn.command()
@click.argument("unit")
def hint(unit: str) -> int:
    """Show the next hint for a UNIT: a nudge, a pointer, then the function with blanks."""
    from ..path.session import Session
    from ..path.workspace import Workspace

    session = Session(Workspace(Path()), language())
    session.unit = unit_named(unit)
    show_hints(session)
    return 0


@learn.command()
@click.argument("unit")
def reset(unit: str) -> int:
    """Put the stubs of a UNIT back; what you have written is kept aside."""
    from ..path.workspace import Workspace

    workspace = Workspace(Path())
    kept = workspace.reset(list(unit_named(unit).parts))
    say(_("{unit} is as it was at the start.").format(unit=unit))
    if kept.name:
        say(_("What you had is kept in {path}").format(path=kept))
    return 0


@learn.command()
@click.argument("unit")
def compare(unit: str) -> int:
    """Show yours beside the library's, once a UNIT is right."""
    from ..path.workspace import Workspace

    workspace = Workspace(Path())
    chosen = unit_named(unit)
    open_parts = [name for name in chosen.parts if workspace.state_of(name) != "own"]
    if open_parts:
        raise ConfigError(
            f"{', '.join(open_parts)} is not right yet",
            fix=f"groundup check {open_parts[0]}; the comparison comes when it passes",
            code="NOT_PASSED",
        )
    show_comparison(workspace, chosen)
    return 0


@learn.command("path")
@click.option("--book", is_flag=True, help="By the sections of the book.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def path_(book: bool, as_json: bool) -> int:
    """List the whole path: stages, units, parts, minutes."""
    from ..path.texts import units

    known = list(units().values())
    if as_json:
        say_json([{"unit": unit.name, "stage": unit.stage, "parts": unit.parts, "minutes": unit.minutes,
                   "needs": unit.needs, "book": unit.about["book"]} for unit in known])  # fmt: skip
        return 0
    if book:
        known.sort(key=lambda unit: [int(number) for number in unit.about["book"].split(".") if number])
    rows = [
        [unit.about["book"] if book else str(unit.stage), unit.title(language()), ", ".join(unit.parts),
         _("{n} min").format(n=unit.minutes)]
        for unit in known
    ]  # fmt: skip
    say(table([[_("book") if book else _("stage"), _("unit"), _("parts"), _("time")], *rows], n_words=3))
    return 0


@learn.command()
@click.option("--weeks", type=click.IntRange(1, 52), required=True, metavar="N", help="How many weeks you have.")
def plan(weeks: int) -> int:
    """Make a plan: what to do in each of N weeks."""
    from ..path.texts import units

    known = list(units().values())
    total = sum(unit.minutes for unit in known)
    week, spent, rows = 1, 0, list[list[str]]()
    for unit in known:
        while week < weeks and spent >= total * week / weeks:
            week += 1
        spent += unit.minutes
        rows.append([str(week), unit.title(language()), _("{n} min").format(n=unit.minutes)])
    say(table([[_("week"), _("unit"), _("time")], *rows], n_words=2))
    say(_("{hours:.1f} hours in all, {each:.1f} a week.").format(hours=total / 60, each=total / 60 / weeks))
    return 0


@learn.command()
def payoff() -> int:
    """See what your parts can do: a model of one layer learns to reverse words, and its twin without a mask."""
    from ..path.payoffs import attention_map, drawn, learn_to_reverse, twin_of
    from ..path.workspace import Workspace
    from ..training import Parts

    folder = Workspace(Path()).folder
    parts = Parts.from_folder(folder)
    own = sorted(parts.own)
    say(_("own parts: {own}; all others are lent").format(own=", ".join(own) or _("none")))
    say(_("One layer learns to reverse words of 8 letters: abcdefgh|hgfedcba"))
    for name, chosen in ((_("yours"), parts), (_("its twin without a mask"), twin_of(parts))):
        began = time.perf_counter()
        result = learn_to_reverse(chosen, note_step)
        seconds = time.perf_counter() - began
        say(
            "\n"
            + styled(name, sys.stdout, bold=True)
            + _(": loss on the reversed half {loss:.4f}, {seconds:.1f} s").format(loss=result.loss, seconds=seconds)
        )
        say(_("words that it reverses when it has to write: {right:.0%}").format(right=result.right))
        for asked, written in result.words:
            say(f"  {asked} → {written}" + ("" if written == asked[::-1] else f"   ({asked[::-1]})"))
        say(_("what each written character takes from:"))
        for line in drawn(*attention_map(result, chosen)):
            say(line)
    say("\n" + _("The twin's loss is as good: it reads the next character where it stands. A wrong mask trains too."))
    return 0


def note_step(step: int, loss: float) -> None:
    """A line for every fiftieth step."""
    if step % 50 == 0:
        say(_("  step {step}: loss {loss:.4f}").format(step=step, loss=loss))


def unit_named(name: str) -> Unit:
    """A unit, by its name or by that of one of its parts. Raises ConfigError (UNIT)."""
    from ..path.catalog import catalog
    from ..path.texts import units

    if name in catalog():
        name = catalog()[name].unit
    if name not in units():
        raise ConfigError(f"there is no unit {quoted(name)}", fix="see them all: groundup learn path", code="UNIT")
    return units()[name]


def chapter_of(unit: Unit) -> int:
    """The book's chapter to which a unit belongs."""
    return int(unit.about["book"].partition(".")[0] or 0)


# --- a sitting --------------------------------------------------------------------------------------------------------


def sit(session: Session) -> int:
    """The unit, then single keys and every change of a file, until q."""
    if review := session.review():
        ask_again(session, *review)
    open_unit(session)
    with single_keys() as key:
        seen = ""
        while True:
            changed = session.changed()
            if changed:
                seen = time.strftime("%H:%M:%S")
                say(
                    "\n"
                    + _("change seen at {time}: {files}").format(time=seen, files=", ".join(p.name for p in changed))
                )
                show_verdicts(session, list(session.check()))
                show_keys(session)
            match key(SECONDS_BETWEEN_LOOKS).lower():
                case "q" | "\x04":
                    return 0
                case "r":
                    show_verdicts(session, list(session.check()))
                case "h":
                    show_hints(session)
                case "t":
                    show_unit(session.unit, session.lang)
                case "l":
                    show_map(session.workspace)
                case "c" if session.is_right(session.unit):
                    show_comparison(session.workspace, session.unit)
                case "b":
                    names = session.borrow()
                    say(
                        _("borrowed for now: {names}. `groundup learn status` keeps count.").format(
                            names=", ".join(names)
                        )
                    )
                    go_on(session)
                case "n":
                    go_on(session)
                case _:
                    continue
            show_keys(session)


def open_unit(session: Session) -> None:
    """Show the unit, ask its prediction, and judge what is there already."""
    show_unit(session.unit, session.lang)
    if session.unit.name not in session.workspace.progress.predictions:
        ask_prediction(session, session.unit)
    say(_("Write it in {file}. It is checked whenever you save.").format(file=file_of(session)))
    answers = list(session.check())
    if answers:
        show_verdicts(session, answers)
    show_keys(session)


def go_on(session: Session) -> None:
    """To the next unit that is open."""
    from ..path.texts import units

    names = list(units())
    rest = names[names.index(session.unit.name) + 1 :] + names
    following = next((units()[name] for name in rest if not session.is_right(units()[name])), None)
    if following is None:
        say(_("Everything on the path is yours."))
        return
    session.go_to(following)
    open_unit(session)


def file_of(session: Session) -> str:
    """The file in which the unit's first part is, or belongs."""
    from ..path.catalog import catalog

    return session.workspace.home_of(catalog()[session.unit.parts[0]]).name


def show_keys(session: Session) -> None:
    """One line: what the keys do."""
    words = [_("[h]int"), _("[r]un the check"), _("[t]ext"), _("[l]ist"), _("[b]orrow"), _("[n]ext"), _("[q]uit")]
    if session.is_right(session.unit):
        words[0] = _("[c]ompare")
    say("\n" + styled(" ".join(words), sys.stdout, dim=True))


def show_verdicts(session: Session, answers: list[Answer]) -> None:
    """The verdicts on the unit's parts; when all are right, what to do with that."""
    for answer in answers:
        say_answer(answer)
    if not answers:
        say(_("Nothing is written yet: {names}").format(names=", ".join(session.unit.parts)))
    elif session.is_right(session.unit):
        say()
        show_text(_("Something to try: {text}").format(text=session.unit.to_try(session.lang)))
        say(_("`n` goes on; `c` shows yours beside the library's."))


def show_unit(unit: Unit, lang: str) -> None:
    """A unit's text, after that of its stage where it is the first."""
    from ..path.texts import stage_text, units

    if unit == next(other for other in units().values() if other.stage == unit.stage):
        show_text(stage_text(unit.stage, lang))
    show_text(unit.text(lang))


def show_text(text: str) -> None:
    """Markdown: set for a terminal, as it is elsewhere."""
    if is_terminal(sys.stdout):
        say_markdown(text)
    else:
        say(text)


def show_hints(session: Session) -> None:
    """The next hint for the first part of the unit that is not right."""
    names = [name for name in session.unit.parts if session.workspace.state_of(name) != "own"] or session.unit.parts
    step, text = session.next_hint(names[0])
    say("\n" + styled(_("hint {step} of 3 for {part}").format(step=step, part=names[0]), sys.stdout, bold=True))
    show_text(f"```python\n{text}```" if step == 3 else text)
    if step == 3:
        say(_("`b` borrows it: go on now, and come back later."))


def ask_prediction(session: Session, unit: Unit) -> None:
    """A question with a number for an answer; Enter leaves it out."""
    say("\n" + styled(_("Before you begin, predict:"), sys.stdout, bold=True))
    show_text(unit.question(session.lang))
    answer, guess = unit.answer(), math.nan
    with contextlib.suppress(ValueError):
        guess = float(input(_("your number (Enter: skip) > ")))
    near = abs(guess - answer) <= 0.1 * max(abs(answer), 1e-9)
    verdict = _("Yes.") if near else _("It is {answer:.4g}.").format(answer=answer)
    show_text(f"{verdict} {unit.explanation(session.lang)}")
    session.workspace.progress.predictions[unit.name] = answer if math.isnan(guess) else guess
    session.workspace.save()


def ask_again(session: Session, unit: Unit, part: str) -> None:
    """After a pause: one prediction, and one part judged again."""
    say(_("Welcome back, after {days} days. One thing again first.").format(days=session.days_away))
    ask_prediction(session, unit)
    for answer in session.check_part(part):
        say_answer(answer)


def show_comparison(workspace: Workspace, unit: Unit) -> None:
    """Yours and the library's: side by side where there is room."""
    from rich.console import Console
    from rich.syntax import Syntax
    from rich.table import Table

    from ..path.catalog import catalog
    from ..path.lending import library_text

    for name in unit.parts:
        mine, ours = workspace.text_of_part(name), library_text(catalog()[name])
        if n_columns() < NARROW or not is_terminal(sys.stdout):
            say(f"{_('yours:')}\n{mine}\n\n{_('the library:')}\n{ours}\n")
            continue
        columns = Table(_("yours"), _("the library"), width=n_columns())
        columns.add_row(Syntax(mine, "python", word_wrap=True), Syntax(ours, "python", word_wrap=True))
        Console(width=n_columns()).print(columns)


def show_map(workspace: Workspace) -> None:
    """Every unit with the state of its parts, and what the signs mean."""
    from ..path.catalog import catalog, path_order
    from ..path.texts import units

    for stage in path_order():
        say("\n" + styled(f"{stage['number']} · {stage[language()]}", sys.stdout, bold=True))
        for name in stage["units"]:
            states = {part: workspace.state_of(part) for part in units()[name].parts}
            marks = "  ".join(
                styled(SYMBOLS[state], sys.stdout, fg=COLOURS.get(state)) + f" {part}" for part, state in states.items()
            )
            say(f"  {marks}")
    counts = [workspace.state_of(name) for name in catalog()]
    say("\n" + _("{own} of {all} parts are your own.").format(own=counts.count("own"), all=len(counts)))
    meanings = {
        "own": _("own"), "edges": _("edges left"), "wrong": _("not right yet"), "broken": _("broken"),
        "unchecked": _("changed, not checked"), "borrowed": _("borrowed, to come back to"), "lent": _("lent: a stub"),
    }  # fmt: skip
    say("  ".join(f"{SYMBOLS[state]} {meaning}" for state, meaning in meanings.items() if state in counts))
    for name, verdict in workspace.progress.verdicts.items():
        for remark in verdict.remarks:
            say(f"  {name}: {remark}")
