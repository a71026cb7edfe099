"""`groundup learn`: the path, unit by unit, in one's own files."""

from __future__ import annotations

import shlex
import sys
import time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, quoted
from .check import say_answer
from .groups import Group
from .language import language_in_use
from .sitting import open_part, show_comparison, show_hints, show_map, show_unit, sit
from .terminal import is_terminal, say, say_json, styled, table

if TYPE_CHECKING:
    from ..path.payoffs import Reversal
    from ..path.texts import Unit
    from ..training import Parts

as_json_option = click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")


class Learn(Group):
    """`learn` by itself opens the path where one is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """No arguments are no wish for help here."""
        return click.Group.parse_args(self, ctx, args)


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

    with Session(Workspace(Path()), language_in_use()) as session:
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
@as_json_option
def init(folder: Path, from_chapter: int | None, git: bool, as_json: bool) -> int:
    """Make a workspace: a file for each stage, with a stub for each part."""
    from ..path.texts import units
    from ..path.workspace import make_workspace

    start = ""
    if from_chapter is not None:
        later = (unit for unit in units().values() if chapter_of(unit) >= from_chapter)
        start = next((unit.name for unit in later), "")
    workspace = make_workspace(folder, lang=language_in_use(), start=start, git=git)
    if as_json:
        say_json({"workspace": str(folder), "files": [path.name for path in workspace.files], "start": start})
        return 0
    say(_("{folder} is your workspace:").format(folder=folder))
    for path in workspace.files:
        say(f"  {path.name}")
    say(_("Go on with: cd {folder} && groundup learn").format(folder=shlex.quote(str(folder))))
    return 0


@learn.command()
@as_json_option
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
@as_json_option
def show(unit: str, as_json: bool) -> int:
    """Show the text of a UNIT."""
    chosen = unit_named(unit)
    if as_json:
        say_json({"unit": chosen.name, "parts": chosen.parts, "text": chosen.text(language_in_use())})
    else:
        show_unit(chosen, language_in_use())
    return 0


@learn.command()
@click.argument("unit")
@as_json_option
def hint(unit: str, as_json: bool) -> int:
    """Show the next hint for a UNIT: a nudge, a pointer, then the function with blanks."""
    from ..path.session import Session
    from ..path.workspace import Workspace

    session = Session(Workspace(Path()), language_in_use())
    session.unit = unit_named(unit)
    if as_json:
        part = open_part(session)
        step, text = session.next_hint(part)
        say_json({"part": part, "step": step, "hint": text})
    else:
        show_hints(session)
    return 0


@learn.command()
@click.argument("unit")
@as_json_option
def reset(unit: str, as_json: bool) -> int:
    """Put the stubs of a UNIT back; what you have written is kept aside."""
    from ..path.workspace import Workspace

    workspace = Workspace(Path())
    kept = workspace.reset(list(unit_named(unit).parts))
    if as_json:
        say_json({"unit": unit, "kept": str(kept) if kept.name else None})
        return 0
    say(_("{unit} is as it was at the start.").format(unit=unit))
    if kept.name:
        say(_("What you had is kept in {path}").format(path=kept))
    return 0


@learn.command()
@click.argument("unit")
@as_json_option
def compare(unit: str, as_json: bool) -> int:
    """Show yours beside the library's, once a UNIT is right."""
    from ..path.catalog import catalog
    from ..path.lending import library_text
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
    if as_json:
        texts = {name: (workspace.text_of_part(name), library_text(catalog()[name])) for name in chosen.parts}
        say_json({name: {"yours": mine, "library": ours} for name, (mine, ours) in texts.items()})
    else:
        show_comparison(workspace, chosen)
    return 0


@learn.command("path")
@click.option("--book", is_flag=True, help="By the sections of the book.")
@as_json_option
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
        [unit.about["book"] if book else str(unit.stage), unit.title(language_in_use()), ", ".join(unit.parts),
         _("{n} min").format(n=unit.minutes)]
        for unit in known
    ]  # fmt: skip
    say(table([[_("book") if book else _("stage"), _("unit"), _("parts"), _("time")], *rows], n_words=3))
    return 0


@learn.command()
@click.option("--weeks", type=click.IntRange(1, 52), required=True, metavar="N", help="How many weeks you have.")
@as_json_option
def plan(weeks: int, as_json: bool) -> int:
    """Make a plan: what to do in each of N weeks."""
    from ..path.texts import units

    known = list(units().values())
    total = sum(unit.minutes for unit in known)
    week, spent = 1, 0
    weekly: list[tuple[int, Unit]] = []
    for unit in known:
        while week < weeks and spent >= total * week / weeks:
            week += 1
        spent += unit.minutes
        weekly.append((week, unit))
    if as_json:
        say_json([{"week": week, "unit": unit.name, "minutes": unit.minutes} for week, unit in weekly])
        return 0
    rows = [[str(week), unit.title(language_in_use()), _("{n} min").format(n=unit.minutes)] for week, unit in weekly]
    say(table([[_("week"), _("unit"), _("time")], *rows], n_words=2))
    say(_("{hours:.1f} hours in all, {each:.1f} a week.").format(hours=total / 60, each=total / 60 / weeks))
    return 0


@learn.command()
@as_json_option
def payoff(as_json: bool) -> int:
    """See what your parts can do: a model of one layer learns to reverse words, and its twin without a mask."""
    from ..path.payoffs import learn_to_reverse, twin_of
    from ..path.workspace import Workspace
    from ..training import Parts

    parts = Parts.from_folder(Workspace(Path()).folder)
    own = sorted(parts.own)
    if as_json:
        both = {"yours": learn_to_reverse(parts), "twin": learn_to_reverse(twin_of(parts))}
        say_json({"own": own} | {name: {"loss": one.loss, "right": one.right} for name, one in both.items()})
        return 0
    say(_("own parts: {own}; all others are lent").format(own=", ".join(own) or _("none")))
    say(_("One layer learns to reverse words of 8 letters: abcdefgh|hgfedcba"))
    for name, chosen in ((_("yours"), parts), (_("its twin without a mask"), twin_of(parts))):
        say("\n" + styled(name, sys.stdout, bold=True))
        began = time.perf_counter()
        result = learn_to_reverse(chosen, note_step)
        show_reversal(result, chosen, time.perf_counter() - began)
    say("\n" + _("The twin's loss is as good: it reads the next character where it stands. A wrong mask trains too."))
    return 0


def note_step(step: int, loss: float) -> None:
    """A line for every fiftieth step."""
    if step % 50 == 0:
        say(_("  step {step}: loss {loss:.4f}").format(step=step, loss=loss))


def show_reversal(result: Reversal, parts: Parts, seconds: float) -> None:
    """How one model did, and where it looks."""
    from ..path.payoffs import attention_map, drawn

    say(_("loss on the reversed half {loss:.4f}, {seconds:.1f} s").format(loss=result.loss, seconds=seconds))
    say(_("words that it reverses when it has to write: {right:.0%}").format(right=result.right))
    for asked, written in result.words:
        say(f"  {asked} → {written}" + ("" if written == asked[::-1] else f"   ({asked[::-1]})"))
    say(_("what each written character takes from:"))
    for line in drawn(*attention_map(result, parts)):
        say(line)


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
