"""A sitting at the path: a unit's text, single keys, and a verdict whenever a file is saved."""

from __future__ import annotations

import math
import sys
import time
from gettext import gettext as _
from typing import TYPE_CHECKING

from .check import say_answer
from .keys import single_keys, whole_lines
from .language import language_in_use
from .terminal import is_terminal, n_columns, say, say_markdown, styled

if TYPE_CHECKING:
    from ..path.answer import Answer
    from ..path.session import Session
    from ..path.texts import Unit
    from ..path.workspace import Workspace

SECONDS_BETWEEN_LOOKS = 0.2
NARROW = 100  # columns below which two texts do not fit side by side

SYMBOLS = {
    "own": "●",
    "edges": "◐",
    "wrong": "✗",
    "broken": "!",
    "unchecked": "?",
    "borrowed": "↺",
    "placed": "»",
    "lent": "·",
}
COLOURS = {"own": "green", "edges": "yellow", "wrong": "red", "broken": "red", "borrowed": "blue", "placed": "cyan"}


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
                    continue
                case "n":
                    go_on(session)
                    continue
                case _:
                    continue
            show_keys(session)


def open_unit(session: Session) -> None:
    """Show the unit, ask its prediction, and judge what is there already."""
    show_unit(session.unit, session.lang)
    if session.unit.name not in session.workspace.progress.predictions:
        ask_prediction(session, session.unit)
    names = ", ".join(session.unit.parts)
    say(_("Write {names} in {file}. It is checked whenever you save.").format(names=names, file=file_of(session)))
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
        say(_("See what your parts can do: groundup learn payoff"))
        show_keys(session)
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


def open_part(session: Session) -> str:
    """The first part of the unit that is not right; the first of all when all are."""
    parts = session.unit.parts
    return next((name for name in parts if session.workspace.state_of(name) != "own"), parts[0])


def show_hints(session: Session, *, at_keys: bool = True) -> None:
    """The next hint for the part that is open. at_keys: whether `b` can be pressed."""
    part = open_part(session)
    step, text = session.next_hint(part)
    say("\n" + styled(_("hint {step} of 3 for {part}").format(step=step, part=part), sys.stdout, bold=True))
    show_text(f"```python\n{text}```" if step == 3 else text)
    if step == 3 and at_keys:
        say(_("`b` borrows it: go on now, and come back later."))


def ask_prediction(session: Session, unit: Unit) -> None:
    """A question with a number for an answer; Enter leaves it out."""
    say("\n" + styled(_("Before you begin, predict:"), sys.stdout, bold=True))
    show_text(unit.question(session.lang))
    answer, guess = unit.answer(), asked_number()
    near = abs(guess - answer) <= 0.1 * max(abs(answer), 1e-9)
    verdict = _("Yes.") if near else _("It is {answer:.4g}.").format(answer=answer)
    show_text(f"{verdict} {unit.explanation(session.lang)}")
    session.workspace.progress.predictions[unit.name] = answer if math.isnan(guess) else guess
    session.workspace.save()


def asked_number() -> float:
    """A number from the keyboard, asked for until it is one; NaN for an empty line and where the input ends."""
    while True:
        try:
            with whole_lines():
                text = input(_("your number (Enter: skip) > ")).strip()
        except EOFError:
            say()
            return math.nan
        if not text:
            return math.nan
        try:
            return float(text)
        except ValueError:
            say(_("That is not a number: write it like 1000 or 0.25."))


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
        say("\n" + styled(f"{stage['number']} · {stage[language_in_use()]}", sys.stdout, bold=True))
        for name in stage["units"]:
            of_unit = {part: workspace.state_of(part) for part in units()[name].parts}
            marks = "  ".join(
                styled(SYMBOLS[state], sys.stdout, fg=COLOURS.get(state)) + f" {part}"
                for part, state in of_unit.items()
            )
            say(f"  {marks}")
    states = {name: workspace.state_of(name) for name in catalog()}
    counts = list(states.values())
    say("\n" + _("{own} of {all} parts are your own.").format(own=counts.count("own"), all=len(counts)))
    if debts := [name for name, state in states.items() if state == "borrowed"]:
        say(_("{n} borrowed, to come back to when you like: {names}").format(n=len(debts), names=", ".join(debts)))
    meanings = {
        "own": _("own"), "edges": _("edges left"), "wrong": _("not right yet"), "broken": _("broken"),
        "unchecked": _("changed, not checked"), "borrowed": _("borrowed, to come back to"),
        "placed": _("known before"), "lent": _("lent: a stub"),
    }  # fmt: skip
    say("  ".join(f"{SYMBOLS[state]} {meaning}" for state, meaning in meanings.items() if state in counts))
    for name, verdict in workspace.progress.verdicts.items():
        for remark in verdict.remarks:
            say(f"  {name}: {remark}")
