"""Opening a model for the commands that use one, with what is worth saying on stderr."""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..report import Report
from .terminal import is_terminal, say, visible

if TYPE_CHECKING:
    from ..model import ModelConfig, Transformer
    from ..text.tokenizer import Tokenizer
    from ..training import Parts


class Notes(Report):
    """A listener that writes notes, warnings and, on a terminal, progress to stderr: stdout is for the answer."""

    def note(self, text: str) -> None:
        """Something worth knowing."""
        say(visible(text), err=True)

    def warn(self, text: str) -> None:
        """Something that went wrong."""
        say(f"{_('warning:')} {visible(text)}", err=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """A percentage that is written over by the next one, and wiped out by the last."""
        if is_terminal(sys.stderr):
            say(f"\r{done / total:4.0%}" if done < total else "\r    \r", err=True, newline=False)


def open_model(where: str, folder: Path | None = None) -> tuple[Transformer, Tokenizer]:
    """The model and the tokenizer at `where`, on the best device that there is; with a folder, with its own parts."""
    from ..training import Parts
    from ..training.run import choose_device
    from ..weights import load, load_tokenizer, read_model_config

    notes = Notes()
    parts = Parts()
    if folder is not None:
        parts = Parts.from_folder(folder)
        click.get_current_context().obj.own_parts = tuple(sorted(parts.own))
        check_parts(parts, read_model_config(where), notes)
    tokenizer = load_tokenizer(where)
    return load(where, device=choose_device("auto"), parts=parts.fused(), report=notes), tokenizer


def check_parts(parts: Parts, model: ModelConfig, report: Report) -> None:
    """Raise ConfigError PARTS where an own part contradicts the model; say which there are, and what looks odd."""
    from ..training import TrainConfig
    from ..training.config import DataSection

    config = TrainConfig(model=model, data=DataSection(tokenizer="the model's own"))
    parts.check(config)
    used = parts.own - parts.not_used(config)
    report.note(f"own parts: {', '.join(sorted(used)) or 'none'}")
    if parts.lent:
        report.note(f"lent parts: {', '.join(sorted(parts.lent))}")
    for sentence in parts.suspects:
        report.note(sentence)
