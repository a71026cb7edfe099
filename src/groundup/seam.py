"""The seam: how a part gets from anybody's file into a model that runs.

A part is a plain function. One that is made of other parts names them as keyword-only arguments, with the library's
own as defaults. A record holds one function for each part; when it is made, it binds every function's keyword-only
arguments to the functions that it holds. So `ModelParts(softmax=mine)` is a model in which `attention_weights` calls
`mine`, `scaled_dot_product_attention` calls that `attention_weights`, and so on up to the whole model. Parts never look
each other up, and nothing is patched.

Beside parts a record holds a few joints: functions written with parts (`attention`, `residual_norm`, `mlp`) that
a fused kernel may replace as long as every part that the joint covers is the library's own.

The records themselves stand in their chapters: `model/parts.py`, `backprop/parts.py` and so on. What is here needs
neither torch nor NumPy, so that a chapter of NumPy functions can have its record without loading torch.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from .errors import ConfigError

Function = Callable[..., Any]

BOUND_AS = {"apply_dropout": "dropout"}  # `dropout=` is the rate, so the part goes by another name


def bound_names(function: Function) -> list[str]:
    """The keyword-only arguments of a function that has any, under their own names."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have no signature, and so no parts
        return []
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]


@dataclass(frozen=True)
class Record:
    """A frozen record of functions, each bound to the others that it asks for by name."""

    own: frozenset[str] = field(init=False, default=frozenset())  # names whose function is not the library's
    chosen: dict[str, Function] = field(init=False, repr=False, default_factory=dict)  # the functions, before binding

    def __post_init__(self) -> None:
        names = self.names()
        object.__setattr__(self, "chosen", {name: getattr(self, name) for name in names})
        own = frozenset(name for name in names if not is_library(self.chosen[name]))
        object.__setattr__(self, "own", own)
        bound: dict[str, Function | None] = {}
        for name in names:
            object.__setattr__(self, name, self._bind(name, bound))

    @classmethod
    def names(cls) -> list[str]:
        """The names of the parts and joints that the record holds."""
        return [item.name for item in dataclasses.fields(cls) if item.type == "Function"]

    def with_functions(self, **functions: Function) -> Self:
        """The same record with other functions for some names, everything bound anew."""
        return dataclasses.replace(self, **(self.chosen | functions))

    @classmethod
    def defaults(cls) -> dict[str, Function]:
        """The library's own function for each name."""
        return {name: getattr(cls, name) for name in cls.names()}  # a dataclass keeps a default in the class

    def _bind(self, name: str, bound: dict[str, Function | None]) -> Function:
        """The function called `name` with its parts bound, depth first. Raises ConfigError PARTS for a circle."""
        if name not in bound:
            function = self.chosen[name]
            bound[name] = None  # until its own parts are bound: who meets this has walked in a circle
            needed = {key: BOUND_AS.get(key, key) for key in bound_names(function)}
            arguments = {
                k: self._bind(part, bound) for k, part in needed.items() if part in self.chosen and k != "dropout"
            }
            bound[name] = functools.partial(function, **arguments) if arguments else function
        answer = bound[name]
        if answer is None:
            raise ConfigError(
                f"{name} is made of itself, through the keyword-only arguments of its parts",
                fix="break the circle: call one of the functions by its own name instead",
                code="PARTS",
            )
        return answer

    def covered(self, joint: str) -> set[str]:
        """The parts that a joint's plain form is made of, down to the last one."""
        covered: set[str] = set()
        waiting = [self.defaults()[joint]]
        while waiting:
            for key in bound_names(waiting.pop()):
                part = BOUND_AS.get(key, key)
                if part in self.chosen and part not in covered and key != "dropout":
                    covered.add(part)
                    waiting.append(self.chosen[part])
        return covered


def is_library(function: Function) -> bool:
    """Whether a function is one of the library's own, a part or a kernel."""
    while isinstance(function, functools.partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").partition(".")[0] == __name__.partition(".")[0]
