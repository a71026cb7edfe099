"""Opening a model for the commands that use one, with what is worth saying on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..report import Report
from .language import in_words
from .terminal import is_terminal, say, visible

if TYPE_CHECKING:
    from ..model import ModelConfig, Transformer
    from ..text.tokenizer import Tokenizer
    from ..training import Parts


class Notes(Report):
    """A listener that writes notes, warnings and, on a terminal, progress to stderr: stdout is for the answer."""

    def note(self, text: str) -> None:
        """Something worth knowing."""
        say(visible(in_words(text)), err=True)

    def warn(self, text: str) -> None:
        """Something that went wrong."""
        say(f"{_('warning:')} {visible(in_words(text))}", err=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """A percentage that is written over by the next one, and wiped out by the last."""
        if is_terminal(sys.stderr):
            say(f"\r{done / total:4.0%}" if done < total else "\r    \r", err=True, newline=False)


def open_model(where: str, folder: Path | None = None, called: Collection[str] = ()) -> tuple[Transformer, Tokenizer]:
    """The model and the tokenizer at `where`, on the best device that there is; with a folder, with its own parts.

    called: the parts of the chapter `generation` that the command will use.
    """
    from ..training import Parts
    from ..training.run import choose_device
    from ..weights import load, load_tokenizer, read_model_config

    notes = Notes()
    parts = Parts()
    if folder is not None:
        parts = Parts.from_folder(folder)
        click.get_current_context().obj.own_parts = tuple(sorted(parts.own))
        check_parts(parts, read_model_config(where), called, notes)
    elif trained_with_own_parts(where):
        notes.warn(
            _("this run was trained with somebody's own parts; without --parts DIR the library's run in their place")
        )
    tokenizer = load_tokenizer(where)
    return load(where, device=choose_device("auto"), parts=parts.fused(), report=notes), tokenizer


def trained_with_own_parts(where: str) -> bool:
    """Whether run.json says so of the run at `where`, or of the run that this checkpoint belongs to."""
    for folder in (Path(where), Path(where).absolute().parent.parent):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return bool(json.loads((folder / "run.json").read_bytes()).get("own_parts"))
    return False  # not a run, or a damaged one: whoever loads it will say so


def check_parts(parts: Parts, model: ModelConfig, called: Collection[str], report: Report) -> None:
    """Raise ConfigError PARTS where an own part contradicts the model, and say which will run and what looks odd."""
    from ..model import ModelParts
    from ..training import TrainConfig
    from ..training.config import DataSection

    config = TrainConfig(model=model, data=DataSection(tokenizer="the model's own"))
    parts.check(config)
    # Weights are there already, and nothing is dropped where nothing is learnt.
    in_the_model = set(ModelParts.names()) - parts.not_used(config) - {"dropout", "init_gpt"}
    used = parts.own & (in_the_model | set(called))
    report.note(_("own parts: {names}").format(names=", ".join(sorted(used)) or _("none")))
    if not_used := (parts.own | parts.elsewhere) - used:
        report.note(_("own parts that are not used here: {names}").format(names=", ".join(sorted(not_used))))
    if parts.lent:
        report.note(_("lent parts: {names}").format(names=", ".join(sorted(parts.lent))))
    for sentence in parts.suspects:
        report.note(sentence)
