"""`groundup doctor`: what ails a run, with the evidence and the cure."""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .terminal import indented, padded, say, say_json, styled, width

if TYPE_CHECKING:
    from ..insight import Diagnosis

SICK = 1


@click.command()
@click.argument("run", type=Path)
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def doctor(run: Path, as_json: bool) -> int:
    """Find out what ails a run, with the evidence and the cure.

    RUN is a run directory in any state: in training, killed, damaged, without a checkpoint. Nothing in it is changed.
    The exit status is 0 if the run can be used as it is, and 1 if it is sick.
    """
    from ..insight import examine

    diagnosis = examine(run)
    if as_json:
        say_json(diagnosis.as_json(_))
    else:
        say_diagnosis(diagnosis)
    return SICK if diagnosis.sick else 0


def say_diagnosis(diagnosis: Diagnosis) -> None:
    """The verdict, each finding with its evidence, cause and cure, and one line for what is in order."""
    sick = diagnosis.sick
    verdict = styled(_("sick") if sick else _("healthy"), sys.stdout, fg="red" if sick else "green", bold=True)
    say(f"{diagnosis.run}: {verdict}")
    for finding in diagnosis.as_json(_)["findings"]:
        is_fault = finding["level"] == "fault"
        level = styled(_("fault:") if is_fault else _("note:"), sys.stdout, fg="red" if is_fault else "yellow")
        say(f"\n{level} {finding['what']} [{finding['id']}]")
        labels = [(_("seen:"), "evidence"), (_("cause:"), "cause"), (_("cure:"), "cure")]
        margin = max(width(label) for label, _key in labels)
        for label, key in labels:
            text = indented(finding[key], " " * (margin + 3)).lstrip()
            say(f"  {styled(padded(label, margin), sys.stdout, bold=True)} {text}")
    if diagnosis.sound:
        say(f"\n{_('in order:')} {', '.join(diagnosis.sound)}")
