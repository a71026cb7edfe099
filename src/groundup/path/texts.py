"""The text of a unit: Markdown with places for numbers, which are computed when the text is built.

A unit's `en.md` and `zh.md` hold `{{weights[0]:.2f}}` where a number belongs; `example.py` beside them computes it in
`numbers()`. So no number in a text can be wrong, and both languages show the same.

    text.toml   [prediction]    en, zh: a question with a numeric answer;  en-after, zh-after: why it is so
                [try]           en, zh: something to try once the unit is right
                [hints.PART]    en, zh: [nudge, pointer];  skeleton: with blanks `____`;  blanks: their answers
                zh-of           which English text the Chinese one says: the beginning of its SHA-256
    example.py  numbers()       what the text's places are filled with
                prediction()    the answer

Read next: `book_adapters.py`.
"""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass
from typing import Any

from .catalog import UNITS, catalog, path_order, unit

PLACE = re.compile(r"\{\{(.+?)\}\}")


@dataclass(frozen=True)
class Hints:
    """Three steps of help for one part: a nudge, a pointer, the function with blanks. blanks: what fills them."""

    nudge: str
    pointer: str
    skeleton: str
    blanks: tuple[str, ...]

    @property
    def solution(self) -> str:
        """The skeleton with its blanks filled."""
        pieces = self.skeleton.split("____")
        return "".join(piece + blank for piece, blank in zip(pieces, (*self.blanks, ""), strict=True))


@dataclass(frozen=True)
class Unit:
    """What one sitting is about: one to three parts."""

    name: str
    stage: int

    @property
    def about(self) -> dict[str, Any]:
        """What `unit.toml` and `text.toml` say."""
        return unit(self.name)

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of its parts."""
        return tuple(self.about["parts"])

    @property
    def minutes(self) -> int:
        """How long it takes, about."""
        return self.about["minutes"]

    @property
    def needs(self) -> tuple[str, ...]:
        """The units that it builds on."""
        parts = {need for part in self.parts for need in catalog()[part].needs}
        return tuple(dict.fromkeys(catalog()[need].unit for need in catalog() if need in parts - set(self.parts)))

    def title(self, lang: str) -> str:
        """The first heading of its text."""
        return self._source(lang).split("\n", 1)[0].lstrip("# ").strip()

    def text(self, lang: str) -> str:
        """Its text, in Markdown, with the numbers in place."""
        return filled(self._source(lang), self._example.numbers())

    def question(self, lang: str) -> str:
        """Something to predict: a question with a number for an answer."""
        return filled(self.about["prediction"][lang], self._example.numbers())

    def explanation(self, lang: str) -> str:
        """Why the answer is what it is."""
        return filled(self.about["prediction"][f"{lang}-after"], self._example.numbers() | {"answer": self.answer()})

    def answer(self) -> float:
        """The answer, computed."""
        return float(self._example.prediction())

    def to_try(self, lang: str) -> str:
        """Something to try once it is right."""
        return self.about["try"][lang]

    def hints(self, part: str, lang: str) -> Hints:
        """The help for one of its parts."""
        table = self.about["hints"][part]
        nudge, pointer = table[lang]
        return Hints(nudge, pointer, table["skeleton"].strip("\n") + "\n", tuple(table["blanks"]))

    def _source(self, lang: str) -> str:
        return (UNITS / self.name / f"{lang}.md").read_text(encoding="utf-8")

    @property
    def _example(self) -> Any:
        return importlib.import_module(f"{__package__}.units.{self.name}.example")


def filled(text: str, numbers: dict[str, Any]) -> str:
    """The text with each `{{name:format}}` replaced by the number, as str.format writes it."""
    return PLACE.sub(lambda place: f"{{{place[1].strip()}}}".format_map(numbers), text)


def stage_text(number: int, lang: str) -> str:
    """What a stage gives, in Markdown."""
    return (UNITS / f"stage{number}.{lang}.md").read_text(encoding="utf-8")


@functools.cache
def units() -> dict[str, Unit]:
    """Every unit by its name, in the order of the path."""
    return {name: Unit(name, stage["number"]) for stage in path_order() for name in stage["units"]}
