"""Lending: the library's own version of a part, as text, for a learner who has not written it.

A part is lent with all that it calls, in one namespace: a name means the same everywhere in the list of parts. Text
can be sent to another process, and a part that must not be lent can be left out of it.

Read next: `child.py`.
"""

from __future__ import annotations

import ast
import functools
import re
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..parts_folder import Modules, functions_in
from ..seam import Function
from .catalog import Part, catalog

PACKAGE = Path(__file__).parents[1]


def lent_source(names: Iterable[str], without: Iterable[str] = ()) -> str:
    """The library's text of these parts and of what they use, but of none that must not be lent.

    One namespace for all: a name means the same everywhere in the list of parts.
    """
    barred, given, texts = set(without), set[str](), list[str]()

    def give(library: str, name: str) -> None:
        source = _definitions(library)
        if name in given or name in barred or name not in source:
            return
        text, mentioned, home = source[name]
        if home != library:  # imported from another chapter
            return give(home, name)
        given.add(name)
        for other in mentioned:
            known = catalog().get(other)
            give(known.library if known else library, other)
        texts.append(text)

    for name in names:
        give(catalog()[name].library, name)
    return "\n\n".join(["from __future__ import annotations", *texts])


def library_stage(number: int) -> str:
    """A stage's file with the library's own text of all its parts: what a workspace looks like in the end."""
    names = [part.name for part in catalog().values() if part.stage == number]
    others = [name for name in catalog() if name not in names]
    text = lent_source(names, others)
    used = [name for name in others if re.search(rf"\b{name}\b", text)]
    imports = f"\nfrom parts import {', '.join(used)}\n" if used else "\n"
    return text.replace("\n", imports, 1)


def library_text(part: Part) -> str:
    """The library's own version of a part, as it stands in its chapter."""
    return _definitions(part.library)[part.name][0]


@functools.cache
def _definitions(library: str) -> dict[str, tuple[str, list[str], str]]:
    """The text of each top-level function, constant and import, the names that it mentions, and the module it is of."""
    folder = PACKAGE.joinpath(*library.split("."))
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    source = file.read_text(encoding="utf-8")
    found: dict[str, tuple[str, list[str], str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= _imported(node, library)
        names = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
        if isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        text = ast.get_source_segment(source, node) or ""
        decorators = getattr(node, "decorator_list", [])  # which the segment leaves out
        text = "".join(f"@{ast.unparse(one)}\n" for one in decorators) + text
        mentioned = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
        found |= {name: (text, mentioned, library) for name in names}
    return found


def _imported(node: ast.Import | ast.ImportFrom, library: str) -> dict[str, tuple[str, list[str], str]]:
    """The names that an import statement gives: those of this package have their homes in other chapters."""
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    found: dict[str, tuple[str, list[str], str]] = {}
    for alias in node.names:
        name = alias.asname or alias.name
        if isinstance(node, ast.Import):
            found[name] = (ast.unparse(ast.Import([alias])), [], library)
        elif level == 0:
            found[name] = (ast.unparse(ast.ImportFrom(node.module, [alias], 0)), [], library)
        else:
            around = library.split(".")[:-level]
            found[name] = ("", [], ".".join([*around, *filter(None, [node.module])]))
    return found


def functions_of(source: str) -> dict[str, Function]:
    """The functions of such a text."""
    namespace: dict[str, Any] = {"__name__": "lent"}
    exec(compile(source, "<lent>", "exec"), namespace)
    return {name: value for name, value in namespace.items() if isinstance(value, types.FunctionType)}


def part_of(parts_file: str) -> Callable[[str], Any]:
    """The `__getattr__` of a workspace's parts.py."""
    folder = Path(parts_file).resolve().parent

    @functools.cache
    def modules() -> Modules:
        paths = [path for path in sorted(folder.glob("*.py")) if path.name != "parts.py"]
        own = {
            name: definition
            for path in paths
            for name, definition in functions_in(path).items()
            if name in catalog() and not definition.is_stub
        }
        namespace: dict[str, Any] = {"__name__": "lent"}
        missing = [name for name in catalog() if name not in own]
        exec(compile(lent_source(missing), "<lent>", "exec"), namespace)
        return Modules(folder, own, {name: namespace[name] for name in missing if name in namespace})

    def part(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return modules().part(name)

    return part
