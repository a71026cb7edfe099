"""Everything that a doctor can say about a run: one entry for each ailment, with its cause and its cure.

The sentences stand here together, as a doctor's handbook does, and hold no numbers: a finding is the name of an entry
and the values that were seen. So a sentence can be translated whole, and a program can match the name.

    note    worth knowing; the run can be used and resumed as it is
    fault   something to mend; the run is sick

Read next: `evidence.py`, which reads files that may be damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..errors import quoted

Level = Literal["fault", "note"]


@dataclass(frozen=True)
class Ailment:
    """One entry of the handbook. The texts are templates: "{step}" stands for a value of the finding."""

    level: Level
    what: str
    evidence: str
    cause: str
    cure: str


@dataclass(frozen=True)
class Finding:
    """An ailment that was seen, with the values that show it. What stands after a slash only chooses the cure."""

    id: str
    values: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def level(self) -> Level:
        """Whether the run is sick of it."""
        return AILMENTS[self.id].level

    def as_json(self, translate: Callable[[str], str] = str) -> dict[str, str]:
        """The finding in words. translate: from a template in English to one in the reader's language."""
        ailment = AILMENTS[self.id]
        shown = {name: quoted(str(value), 1000) for name, value in self.values.items()}
        texts = {name: getattr(ailment, name) for name in ("what", "evidence", "cause", "cure")}
        return {
            "id": self.id.partition("/")[0],
            "level": self.level,
            **{name: translate(text).format_map(shown) for name, text in texts.items()},
        }


DAMAGED = "the disk, or a hand other than groundup's, changed it"
NEW_RUN = "begin a new run in another folder"
FROM_A_COPY = "put the file back from a copy; the weights can still be used with groundup generate"

AILMENTS: dict[str, Ailment] = {
    # How the run ended.
    "killed": Ailment(
        "note",
        what="the run was killed",
        evidence="status.json says that it is running after step {step}, and no process holds its lock; "
        "the newest whole checkpoint is {newest}",
        cause="the process was ended from outside: kill -9, a power cut, or memory that ran out",
        cure="go on with: {resume}",
    ),
    "interrupted": Ailment(
        "note",
        what="the run was interrupted, and its state was saved",
        evidence="status.json: stopped after step {step}",
        cause="somebody asked it to stop: Ctrl-C, or a signal",
        cure="go on with: {resume}",
    ),
    "interrupted-unsaved": Ailment(
        "note",
        what="the run was interrupted, and its last steps were not saved",
        evidence="status.json: stopped after step {step}; the newest whole checkpoint is {newest}",
        cause="it was stopped before the first step, twice in a row, or while the disk refused",
        cure="go on from the newest checkpoint with: {resume}",
    ),
    "failed": Ailment(
        "fault",
        what="the run failed after step {step}: {error}",
        evidence="status.json: {code}; {where}",
        cause="the error above ended it",
        cure="{fix}",
    ),
    "failed-outside": Ailment(
        "note",
        what="something outside the run ended it after step {step}: {error}",
        evidence="status.json: {code}; {where}",
        cause="the machine or its disk, not the run itself",
        cure="when that is mended, go on with: {resume}",
    ),
    "not-begun": Ailment(
        "note",
        what="the run has not begun",
        evidence="there is no run.json and no checkpoint",
        cause="it was stopped while it was being prepared",
        cure="give the same groundup train command again",
    ),
    "busy": Ailment(
        "note",
        what="the run is being trained right now",
        evidence="its lock is held by {holder}",
        cause="a groundup train is at work in this folder",
        cure="nothing needs to be done",
    ),
    # The files of the run.
    "status-damaged": Ailment(
        "fault",
        what="status.json cannot be read",
        evidence="{why}",
        cause=DAMAGED,
        cure="remove it: the next groundup train --resume writes it anew",
    ),
    "status-missing": Ailment(
        "note",
        what="status.json is missing",
        evidence="there is a run.json, and no status.json",
        cause="somebody removed it, or copied the run without it",
        cure="nothing needs to be done: the next groundup train --resume writes it anew",
    ),
    "identity-damaged": Ailment(
        "fault",
        what="run.json is not as it was written",
        evidence="{why}",
        cause=DAMAGED,
        cure=FROM_A_COPY,
    ),
    "identity-missing": Ailment(
        "fault",
        what="run.json is missing, and there are checkpoints",
        evidence="checkpoints: {checkpoints}",
        cause="somebody removed it, or copied the run without it",
        cure=FROM_A_COPY,
    ),
    "config-damaged": Ailment(
        "fault",
        what="config.toml cannot be used",
        evidence="{why}",
        cause=DAMAGED,
        cure="put the file back from a copy: without it nobody knows the shape of the model",
    ),
    "config-changed": Ailment(
        "fault",
        what="config.toml is not the one that the run was begun with",
        evidence="its settings have sha256 {found}; run.json says {expected}",
        cause="somebody changed a setting in it after the run was begun",
        cure="put the old settings back, or begin a new run in another folder",
    ),
    "tokenizer-damaged": Ailment(
        "fault",
        what="the tokenizer cannot be used",
        evidence="{why}",
        cause="the disk, or a hand other than groundup's, changed it or took it away",
        cure="put tokenizer/tokenizer.json back from a copy",
    ),
    "tokenizer-changed": Ailment(
        "fault",
        what="the tokenizer is not the one that the run was begun with",
        evidence="it has sha256 {found}; run.json says {expected}",
        cause="somebody put another one in its place",
        cure="put the old tokenizer/tokenizer.json back: with another one the model reads other words",
    ),
    "metrics-damaged": Ailment(
        "note",
        what="metrics.jsonl has lines that cannot be read",
        evidence="{n} of {lines} lines, the first of them line {line}",
        cause=DAMAGED,
        cure="remove those lines; the weights do not depend on them",
    ),
    "metrics-unreadable": Ailment(
        "fault",
        what="metrics.jsonl cannot be read",
        evidence="{why}",
        cause="another thing stands in its place, or its permissions changed",
        cure="remove it or mend its permissions; the weights do not depend on it",
    ),
    "metrics-missing": Ailment(
        "note",
        what="metrics.jsonl is missing",
        evidence="the run has come to step {step}",
        cause="somebody removed it, or copied the run without it",
        cure="nothing needs to be done: only the curve so far is lost",
    ),
    "metrics-torn": Ailment(
        "note",
        what="the last line of metrics.jsonl is torn",
        evidence="line {line} has no end",
        cause="a kill, or a full disk, in the middle of writing it",
        cure="nothing needs to be done: --resume cuts it off",
    ),
    # Checkpoints.
    "checkpoint-damaged": Ailment(
        "fault",
        what="{name} is damaged",
        evidence="{why}",
        cause=DAMAGED,
        cure="step {newest} is whole: go on from there with: {resume}; it sets the damaged one aside",
    ),
    "checkpoint-damaged/older": Ailment(
        "fault",
        what="{name} is damaged",
        evidence="{why}",
        cause=DAMAGED,
        cure="nothing is lost: step {newest} is newer and whole; remove the damaged one, and have an eye on the disk",
    ),
    "checkpoint-damaged/last": Ailment(
        "fault",
        what="{name} is damaged",
        evidence="{why}",
        cause=DAMAGED,
        cure="bring it back from a copy: no other checkpoint of this run is whole",
    ),
    "checkpoint-unreadable": Ailment(
        "fault",
        what="{name} cannot be read",
        evidence="{why}",
        cause="its permissions, or the disk",
        cure="mend the permissions, or check the disk; this is no damage yet",
    ),
    "checkpoint-newer": Ailment(
        "fault",
        what="{name} was written by a newer groundup",
        evidence="{why}",
        cause="the run went on with a newer version somewhere else",
        cure="update groundup",
    ),
    "checkpoint-foreign": Ailment(
        "fault",
        what="{name} belongs to another run",
        evidence="it says run {found}; run.json says {expected}",
        cause="somebody copied it here",
        cure="move it back to the run that wrote it",
    ),
    "checkpoint-lost": Ailment(
        "fault",
        what="the state after step {saved} was saved, and is not here",
        evidence="status.json says so; the newest whole checkpoint is {newest}",
        cause="somebody removed it, or the disk lost it",
        cure="bring it back from a copy, or go on from an older one with: {resume}",
    ),
    "no-checkpoint": Ailment(
        "fault",
        what="no checkpoint of this run can be used",
        evidence="{damaged} damaged, {aside} set aside in bad",
        cause="the disk damaged them, or they were removed",
        cure=NEW_RUN,
    ),
    "weights-nonfinite": Ailment(
        "fault",
        what="the weights hold numbers that are not finite",
        evidence="{name}: {n} of {of} numbers in {tensor}",
        cause="they were changed after they were saved: groundup saves none such",
        cure="remove that checkpoint and go on from an older one, or begin a new run in another folder",
    ),
    "weights-unchecked": Ailment(
        "note",
        what="the numbers of {name} were not looked at",
        evidence="it needs {needed} bytes of memory, and {free} are free",
        cause="other programs use the memory, or the model is large for this machine",
        cure="ask again when more memory is free; the hashes were checked all the same",
    ),
    "set-aside": Ailment(
        "note",
        what="damaged checkpoints were set aside",
        evidence="bad holds {names}",
        cause="they failed their check when they were about to be used",
        cure="nothing needs to be done; remove the folder bad when you have seen enough of it",
    ),
    "leftovers": Ailment(
        "note",
        what="a save or a deletion was cut short",
        evidence="checkpoints holds {names}",
        cause="a kill or a power cut",
        cure="nothing needs to be done: the next groundup train --resume removes them",
    ),
    "disk-full": Ailment(
        "note",
        what="the disk is nearly full",
        evidence="{free} bytes are free, and the next checkpoint needs {needed}",
        cause="something else fills it, or checkpoint.keep is high",
        cure="free some space before the run goes on",
    ),
    # The curve.
    "loss-nonfinite": Ailment(
        "fault",
        what="the loss is no longer a number",
        evidence="metrics.jsonl: loss {loss} at step {step}",
        cause="the steps were too large, and the weights grew without bound",
        cure="begin a new run with a lower training.max_lr or a longer training.warmup_steps",
    ),
    "diverging": Ailment(
        "fault",
        what="the loss is rising: the run diverges",
        evidence="the mean over {n} steps was {best} at step {step} and is {last} now",
        cause="the steps are too large for what has been learnt, most often training.max_lr",
        cure="begin a new run with a lower training.max_lr or a longer training.warmup_steps",
    ),
    "not-learning": Ailment(
        "note",
        what="the loss has not fallen",
        evidence="the mean over {n} steps was {first} at the beginning and is {last} now, after {steps} steps",
        cause="training.max_lr is far too low or too high, or a part of your own passes no gradient on",
        cure="try ten times the training.max_lr, and a tenth; with own parts, leave them out one by one",
    ),
    "always-clipped": Ailment(
        "note",
        what="every gradient is clipped",
        evidence="the gradient norm was above training.max_norm = {max_norm} in each of the last {n} steps",
        cause="max_norm is low for this model, so that the rate alone decides how large a step is",
        cure="raise training.max_norm, or lower training.max_lr if the loss is restless",
    ),
    "overfitting": Ailment(
        "note",
        what="the model learns its text by heart",
        evidence="held-out bits per byte: {best} at step {step}, {last} now, while the training loss went on falling",
        cause="the text is small for the model, or was read too often",
        cure="take the checkpoint of step {step} if it is kept; train on more text, for fewer steps, or with dropout",
    ),
}
