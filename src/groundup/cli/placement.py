"""`groundup learn placement`: a few questions, or one larger task, instead of what somebody knows already."""

from __future__ import annotations

import math
import sys
from gettext import gettext as _
from typing import TYPE_CHECKING

from .check import NOT_PASSED, say_answer
from .language import language_in_use
from .sitting import asked_number, show_text
from .terminal import say, say_json, styled

if TYPE_CHECKING:
    from ..path.workspace import Workspace


def ask_questions(workspace: Workspace, as_json: bool) -> int:
    """The questions of stage 0, one after the other; then where to begin."""
    from ..path.placement import place, questions

    lang = language_in_use()
    if as_json:  # for a program that asks by itself
        say_json([{"question": one.words[lang], "answer": one.answer, "units": one.units} for one in questions()])
        return 0
    say(_("{n} short questions say which units of stage 0 you need. Enter leaves one out.").format(n=len(questions())))
    wrong = []
    for number, question in enumerate(questions(), 1):
        say("\n" + styled(f"{number}/{len(questions())}", sys.stdout, bold=True))
        show_text(question.words[lang])
        given = asked_number()
        right = not math.isnan(given) and question.is_right(given)
        say(_("Yes.") if right else _("It is {answer:.4g}.").format(answer=question.answer))
        if not right:
            wrong.append(question)
    needed = place(workspace, wrong)
    say("\n" + _("{right} of {n} are right.").format(right=len(questions()) - len(wrong), n=len(questions())))
    if needed:
        say(_("Begin with these units of stage 0: {names}").format(names=", ".join(needed)))
    else:
        say(_("You do not need stage 0."))
    say(_("Go on with: groundup learn"))
    return 0


def try_stage(workspace: Workspace, stage: int, as_json: bool) -> int:
    """One larger task that stands for a stage."""
    from ..path.placement import pass_stage, task_of

    task = task_of(stage)
    if not workspace.text_of_part(task.name) and not as_json:
        say(_("One larger task stands for stage {stage}: {part}. Write it in {file}, without the stage's other parts.")
            .format(stage=stage, part=task.name, file=workspace.home_of(task).name))  # fmt: skip
        say(_("What it is asked to do: groundup learn show {part}. Then run this again.").format(part=task.name))
        return NOT_PASSED
    answer, leans = pass_stage(workspace, stage, lang=language_in_use())
    passed = answer.passed and not leans
    if as_json:
        say_json({"stage": stage, "passed": passed, "leans_on": leans, "answer": answer.as_json()})
        return 0 if passed else NOT_PASSED
    say_answer(answer)
    if leans:
        say(_("It leans on {names}, which is lent: write that yourself too, or do without it.").format(
            names=", ".join(leans)))  # fmt: skip
    elif passed:
        say(_("Stage {stage} counts as passed. Go on with: groundup learn").format(stage=stage))
    return 0 if passed else NOT_PASSED
