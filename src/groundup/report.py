"""What a stage has to tell while it works, and who listens.

The library never prints. A stage that takes long gets a `Report` and tells it the news; the command line draws a live
view from it, a server streams it, a notebook ignores it. This base class listens to nothing, so it is also the default.

What it tells in words is English. Words that are a `Sentence` can be said in another language by whoever shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

    from .errors import GroundupError


class Sentence(str):
    """English text that remembers what it was made from: a template, in which "{step}" stands for one of its values."""

    __slots__ = ("template", "values")
    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        """The template filled in."""
        sentence = super().__new__(cls, template.format_map(values))
        sentence.template, sentence.values = template, values
        return sentence

    def translated(self, translate: Callable[[str], str]) -> str:
        """The same in another language. translate: from a template in English to one in that language."""
        return translate(self.template).format_map(self.values)


class Report:
    """A listener that ignores everything: override what you want to hear."""

    def phase(self, name: str) -> None:
        """A new phase of the work begins: "tokenizer", "ids", "model", "training", "evaluation", "saving"."""

    def started(self, facts: Mapping[str, object]) -> None:
        """Training is about to begin (or go on): run_dir, step, steps, parameters, device, and so on."""

    def step(self, row: Mapping[str, float]) -> None:
        """One optimizer step is done: the row that also goes to metrics.jsonl."""

    def validation(self, step: int, bits_per_byte: float) -> None:
        """The held-out text was measured."""

    def progress(self, name: str, done: int, total: int) -> None:
        """A long piece of work inside a phase has come this far."""

    def prepared(self, counts: Mapping[str, float]) -> None:
        """So much text is prepared: documents, text_bytes, tokens, replaced, seconds; bytes of total_bytes."""

    def sample(self, step: int, text: str) -> None:
        """The model wrote something."""

    def saved(self, step: int, path: Path) -> None:
        """A checkpoint is on the disk."""

    def cut_short(self, error: GroundupError) -> None:
        """The process ends at once, without a way back: the last chance to say so. May be called at any moment."""

    def note(self, text: str) -> None:
        """Something worth knowing that is no error."""

    def warn(self, text: str) -> None:
        """Something went wrong, and the work goes on."""


SILENT = Report()


def duration(seconds: float) -> str:
    """Seconds as a person reads them: 0:07, 3:00, 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
