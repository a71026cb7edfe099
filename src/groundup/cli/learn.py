"""`groundup learn`: the path, unit by unit, in one's own files."""

from __future__ import annotations

import shlex
import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, quoted
from .check import say_answer
from .groups import Group
from .language import language_in_use
from .sitting import open_part, show_comparison, show_hints, show_map, show_unit, sit
from .terminal import is_terminal, say, say_json, table

if TYPE_CHECKING:
    from ..path.texts import Unit

as_json_option = click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")


class Learn(Group):
    """`learn` by itself opens the path where one is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """No arguments are no wish for help here."""
        return click.Group.parse_args(self, ctx, args)


@click.group(cls=Learn, invoke_without_command=True)
@click.option("--unit", metavar="UNIT", help="Open this unit, or that of this part, whatever comes before it.")
@click.pass_context
def learn(ctx: click.Context, unit: str | None) -> int | None:
    """Write the parts yourself, one after the other, and know that each is right.

    `groundup learn init my_llm` makes a workspace. In it, `groundup learn` opens the unit where you are, and checks
    your file whenever you save it.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from ..path.session import Session
    from ..path.workspace import Workspace

    with Session(Workspace(Path()), language_in_use()) as session:
        if unit is not None:
            session.go_to(unit_named(unit))
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
        show_hints(session, at_keys=False)
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
        known.sort(key=lambda unit: (not unit.about["book"], numbers_of(unit.about["book"])))
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
@click.option("--stage", type=click.IntRange(0, 5), metavar="N", help="Pass stage N by its largest part alone.")
@as_json_option
def placement(stage: int | None, as_json: bool) -> int:
    """Find out where to begin: a few questions about stage 0, or one larger task that stands for a stage."""
    from ..path.workspace import Workspace
    from .placement import ask_questions, try_stage

    workspace = Workspace(Path())
    return ask_questions(workspace, as_json) if stage is None else try_stage(workspace, stage, as_json)


@learn.command()
@click.argument("stage", type=click.IntRange(1, 5), required=False)
@click.option(
    "--text", type=click.Path(path_type=Path), metavar="FILE", help="Stage 1: let your tokenizer learn from this too."
)
@as_json_option
@click.pass_context
def payoff(ctx: click.Context, stage: int | None, text: Path | None, as_json: bool) -> int:
    """See what your parts can do after a STAGE; after your last one when none is given.

    1: your tokenizer cuts English and Chinese. 2: one layer learns to reverse words, and its twin without a mask. 3:
    GPT-2 at its real size writes noise. 4: first-gpt trains, its curve over the library's. 5: every way of choosing
    side by side, and the tree of a beam.
    """
    from ..path.workspace import Workspace
    from .main import Session
    from .payoff import last_stage, show_payoff

    workspace = Workspace(Path())
    return show_payoff(stage or last_stage(workspace), workspace, text, ctx.ensure_object(Session), as_json)


@learn.command()
@click.argument("prompt", default="ROMEO:")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random draws.")
@as_json_option
@click.pass_context
def talk(ctx: click.Context, prompt: str, seed: int, as_json: bool) -> int:
    """Hear a small trained model go on with a PROMPT, with the parts of yours that have passed standing in."""
    from ..path.workspace import Workspace
    from .main import Session
    from .payoff import show_talk

    return show_talk(Workspace(Path()), prompt, seed, ctx.ensure_object(Session), as_json)


def unit_named(name: str) -> Unit:
    """A unit, by its name or by that of one of its parts. Raises ConfigError (UNIT)."""
    from ..path.catalog import catalog
    from ..path.texts import units

    if name in catalog():
        name = catalog()[name].unit
    if name not in units():
        raise ConfigError(f"there is no unit {quoted(name)}", fix="see them all: groundup learn path", code="UNIT")
    return units()[name]


def numbers_of(section: str) -> list[int]:
    """3.4.1 as [3, 4, 1]."""
    return [int(number) for number in section.split(".") if number]


def chapter_of(unit: Unit) -> int:
    """The book's chapter to which a unit belongs."""
    return int(unit.about["book"].partition(".")[0] or 0)
