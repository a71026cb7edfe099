"""Torch, put off until something of it is used: a part of plain Python is judged without waiting a second for it.

A stage's file may hold parts with tensors beside parts without, and then begins with `import torch`. While a part
without tensors is judged, that import gives a stand-in. Its names stand for torch's; whoever calls one, or derives a
class from it, gets the real one, and has waited for it.

Read next: `wire.py`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

PACKAGE = "torch"


def torch_if_there() -> Any:
    """Torch, if somebody has really imported it: who has a tensor has. None otherwise."""
    return sys.modules[PACKAGE] if f"{PACKAGE}._C" in sys.modules else None


def put_off() -> None:
    """From here on, whoever imports torch in this process gets the stand-in, unless torch is there already."""
    if PACKAGE not in sys.modules:
        sys.meta_path.insert(0, Finder())


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds torch and its modules, without reading them."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """Importlib's question."""
        if fullname.partition(".")[0] != PACKAGE:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        """A module in which every name is put off."""
        module = types.ModuleType(spec.name)

        def named(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return Name(f"{spec.name}.{name}")

        module.__getattr__ = named  # pyright: ignore[reportAttributeAccessIssue] -- PEP 562, set from outside
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


class Name:
    """Something of torch's, by its address, until it is used."""

    def __init__(self, address: str) -> None:
        self.address = address

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self.address}.{name}")

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the real one."""
        given = {key: real(value) for key, value in keywords.items()}
        return real(self)(*map(real, arguments), **given)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (real(self),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, real(self))

    def __getitem__(self, item: Any) -> Any:
        return real(self)[item]

    def __or__(self, other: Any) -> Any:  # in an annotation: Tensor | None
        return self

    __ror__ = __or__

    def __eq__(self, other: object) -> bool:
        return real(self) == real(other)

    def __hash__(self) -> int:
        return hash(self.address)


def real(value: Any) -> Any:
    """What a name stands for; anything else as it is."""
    if not isinstance(value, Name):
        return value
    finders = [one for one in sys.meta_path if isinstance(one, Finder)]
    for finder in finders:
        sys.meta_path.remove(finder)
    if finders:
        for module in [module for module in sys.modules if module.partition(".")[0] == PACKAGE]:
            del sys.modules[module]
    head, *rest = value.address.split(".")
    found: Any = importlib.import_module(head)
    for depth, name in enumerate(rest):
        if not hasattr(found, name):  # a module that `import torch` alone does not bring
            importlib.import_module(".".join([head, *rest[: depth + 1]]))
        found = getattr(found, name)
    return found
