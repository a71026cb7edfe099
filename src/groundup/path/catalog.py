"""The list of parts, read from the units: signature, parametrised reference, cases, mistakes and texts.

A unit is a folder in `units/`. `path.toml` there gives the order: stages, their files in a workspace, their units. In a
unit's folder there is for each of its parts a Python file of the part's name, with

    the reference     the part itself, in which every known mistake is a switch: `if "softmax-wrong-axis" in wrong`
    cases(draw)       what it is judged on

and beside it `unit.toml` (for each switch what it is, why it is one, and a hint) and the unit's text, `en.md` and
`zh.md`, with `text.toml` (minutes, book section, paper, prediction, hints). A reference that is made of other parts
hands `wrong` on to theirs, so a mistake is written once and is known in everything that is built on it.

Read next: `lending.py`.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .case import Call, Case, Draw
from .words import say_property

UNITS = Path(__file__).parent / "units"


@dataclass(frozen=True)
class Mistake:
    """A known mistake: a switch of a part's reference, and what is said of it in both languages."""

    id: str
    words: dict[str, dict[str, str]]  # language -> what, why, hint
    companion: bool = False  # easily made with others, and then shows where it would not by itself

    def say(self, lang: str, key: str) -> str:
        """what, why or hint."""
        return self.words[lang][key]


@dataclass(frozen=True)
class Part:
    """One part of the list."""

    name: str
    stage: int
    unit: str
    file: str  # of a workspace: the stage's
    library: str  # where the library's own version stands: "model.attention"
    needs: tuple[str, ...]  # the parts that the reference calls
    ready_made: tuple[str, ...]  # names of torch functions that do the whole of it
    uses_torch: bool

    @functools.cached_property
    def module(self) -> Any:
        """The part's own file, imported when it is needed: it may need torch."""
        return importlib.import_module(f"{__package__}.units.{self.unit}.{self.name}")

    @functools.cached_property
    def reference(self) -> Callable[..., Any]:
        """The part, right unless `wrong=` says otherwise."""
        return getattr(self.module, self.name)

    def with_mistakes(self, wrong: Iterable[str]) -> Callable[..., Any]:
        """The part with some mistakes in it."""
        return functools.partial(self.reference, wrong=frozenset(wrong))

    def cases(self, seed: int) -> list[Case]:
        """What it is judged on, drawn from a seed."""
        return list(self.module.cases(Draw(seed)))

    @property
    def signature(self) -> str:
        """What a stub says: the reference's, without the switch."""
        signature = inspect.signature(self.reference)
        kept = [one for one in signature.parameters.values() if one.name != "wrong"]
        return str(signature.replace(parameters=kept))

    @functools.cached_property
    def example(self) -> Call | None:
        """A larger call, for which the time is taken; None where speed says nothing."""
        example = getattr(self.module, "example", None)
        return example() if example is not None else None

    @property
    def example_size(self) -> str:
        """How large the example is, in letters: "T = 256"."""
        return getattr(self.module, "EXAMPLE_SIZE", "")

    @functools.cached_property
    def earlier(self) -> tuple[str, ...]:
        """The parts that come before it on the path."""
        names = list(catalog())
        return tuple(names[: names.index(self.name)])

    @functools.cached_property
    def all_needs(self) -> tuple[str, ...]:
        """The parts that it is made of, down to the last one, in the order of the path."""
        inner = {deeper for name in self.needs for deeper in (name, *catalog()[name].all_needs)}
        return tuple(name for name in catalog() if name in inner)

    def property_words(self, shows: str, lang: str) -> str:
        """A property that a case shows, which stands in English beside the case."""
        if lang == "en":
            return shows
        return unit(self.unit).get("properties", {}).get(shows) or say_property(shows, lang)

    @functools.cached_property
    def own_mistakes(self) -> dict[str, Mistake]:
        """The switches of this part's own reference."""
        tables = unit(self.unit).get("mistakes", {}).get(self.name, {})
        return {
            f"{self.name}-{key}": Mistake(
                f"{self.name}-{key}", {lang: table[lang] for lang in ("en", "zh")}, table.get("companion", False)
            )
            for key, table in tables.items()
        }

    @functools.cached_property
    def mistakes(self) -> dict[str, Mistake]:
        """All switches that can make it wrong: its own, then those of the parts that its reference is made of."""
        known = dict(self.own_mistakes)
        for name in self.needs:
            known |= {key: mistake for key, mistake in catalog()[name].mistakes.items() if key not in known}
        return known


@functools.cache
def unit(name: str) -> dict[str, Any]:
    """What a unit's `unit.toml` (parts and mistakes) and `text.toml` (what goes with its text) say, as one table."""
    said: dict[str, Any] = {}
    for path in sorted((UNITS / name).glob("*.toml")):
        said |= tomllib.loads(path.read_text(encoding="utf-8"))
    return said


@functools.cache
def path_order() -> list[dict[str, Any]]:
    """The stages, in order."""
    return tomllib.loads((UNITS / "path.toml").read_text(encoding="utf-8"))["stage"]


@functools.cache
def catalog() -> dict[str, Part]:
    """Every part by its name, in the order of the path."""
    parts: dict[str, Part] = {}
    for stage in path_order():
        for folder in stage["units"]:
            for name, about in unit(folder)["parts"].items():
                source = (UNITS / folder / f"{name}.py").read_text(encoding="utf-8")
                parts[name] = Part(
                    name=name,
                    stage=stage["number"],
                    unit=folder,
                    file=stage["file"],
                    library=about["library"],
                    needs=tuple(_needs(source)),
                    ready_made=tuple(about.get("ready_made", ())),
                    uses_torch=bool(re.search(r"^import torch|^from torch", source, re.MULTILINE)),
                )
    return parts


def _needs(source: str) -> Iterator[str]:
    """The parts whose references a part's file imports: `from ..softmax.softmax import softmax`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module and "." in node.module:
            own = node.module.rpartition(".")[2]
            yield from (alias.name for alias in node.names if alias.name == own)
