"""Where to begin: seven questions say whether stage 0 is needed, and one larger task passes a whole stage.

The questions are those of the foundations, each with a number for an answer. What was answered wrong names its unit;
the others of stage 0 can be left out.

Who is experienced writes the largest part of a stage without its smaller ones: `multi_head_attention` stands for
attention. Parts of earlier stages are lent as always, those of the same stage are not: they are what is being asked.

Read next: `session.py`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .answer import Answer
from .catalog import Part, catalog, path_order
from .check import check_file
from .texts import units
from .workspace import Workspace, today

CLOSE = 0.01  # of an answer


@dataclass(frozen=True)
class Question:
    """One question, in both languages, and the units that are about what it asks."""

    name: str
    units: tuple[str, ...]
    words: dict[str, str]

    @property
    def answer(self) -> float:
        """The answer, computed."""
        return ANSWERS[self.name]

    def is_right(self, given: float) -> bool:
        """Whether a number is the answer."""
        return abs(given - self.answer) <= CLOSE


ANSWERS = {
    "matrix_entry": 3.0 * 5 + 4 * 7,
    "broadcast": 4.0 * 5 * 3,
    "slope": 3.0 * 2**2,
    "step": 1 - 0.1 * 4,
    "chain": 2.0 * (2 * 3 - 5) * 3,
    "used_twice": 2.0 * 3 + 1,
    "mean_squared": ((1 - 2) ** 2 + (3 - 5) ** 2) / 2,
}


@functools.cache
def questions() -> tuple[Question, ...]:
    """All of them, in order."""
    said = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return tuple(Question(name, tuple(one["units"]), {"en": one["en"], "zh": one["zh"]}) for name, one in said.items())


def place(workspace: Workspace, wrong: Iterable[Question]) -> list[str]:
    """Let a learner begin where these wrong answers say. Returns the units of stage 0 that they should do."""
    needed = {name for question in wrong for name in question.units}
    of_stage_0 = [unit for unit in units().values() if unit.stage == 0]
    for unit in of_stage_0:
        if unit.name not in needed:
            workspace.progress.placed |= {part: today() for part in unit.parts}
    workspace.progress.start = workspace.progress.last = ""
    workspace.save()
    return [unit.name for unit in of_stage_0 if unit.name in needed]


def task_of(stage: int) -> Part:
    """The larger task that stands for a stage."""
    return catalog()[next(one for one in path_order() if one["number"] == stage)["task"]]


def pass_stage(workspace: Workspace, stage: int, *, lang: str) -> tuple[Answer, list[str]]:
    """Judge a stage's larger task. Returns the answer, and the lent parts of the stage that it leans on.

    If it passes and leans on none, the other parts of the stage count as passed.
    """
    task = task_of(stage)
    answer = check_file(task.name, workspace.home_of(task), lang=lang)
    workspace.remember(answer)
    beside = [name for name, part in catalog().items() if part.stage == stage and name != task.name]
    leans = [name for name in answer.lent if name in beside]
    if answer.passed and not leans:
        others = {name: today() for name in beside if workspace.state_of(name) != "own"}
        workspace.progress.placed |= others
        workspace.save()
    return answer, leans
