"""What a learner's file says before any of it runs: whether it is Python, holds the part, and speaks of others.

Read next: `verdict.py`.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ..errors import ConfigError
from ..parts_folder import definitions, functions_in, read_source
from .answer import Answer, Found
from .catalog import Part
from .words import say


def written_in(path: Path) -> list[str]:
    """The names of the functions of a file that are no stubs."""
    return [name for name, definition in functions_in(path).items() if not definition.is_stub]


def fault_of_text(part: Part, file: Path, lang: str) -> Answer | None:
    """The answer for a file that is no Python, or in which the function is not there or still a stub."""
    try:
        list(definitions(file, read_source(file)))
    except ConfigError as error:
        if error.code != "PARTS":
            raise
        return not_judged(part, "syntax", lang, evidence=f"{error.what} ({error.where})")
    found = functions_in(file)
    if part.name in found:
        is_stub = found[part.name].is_stub
        return not_judged(part, "missing", lang, key="stub", evidence=found[part.name].where) if is_stub else None
    if part.name in imported_in(file):
        return None
    if kind := other_kind(part.name, file):
        return not_judged(part, "missing", lang, key=kind, evidence=str(file))
    plain = part.name.replace("_", "")
    near = next((name for name in found if name.lower().replace("_", "") == plain), "")
    return not_judged(part, "missing", lang, key="misnamed" if near else "missing", near=near, evidence=str(file))


def other_kind(name: str, file: Path) -> str:
    """What else of this name a file defines: is-class, is-async, or "" for nothing."""
    for node in ast.parse(read_source(file)).body:
        match node:
            case ast.ClassDef(name=found) if found == name:
                return "is-class"
            case ast.AsyncFunctionDef(name=found) if found == name:
                return "is-async"
            case _:
                pass
    return ""


def not_judged(part: Part, outcome: str, lang: str, *, key: str = "", evidence: str = "", **values: str) -> Answer:
    """An answer without a comparison: what kept the part from being judged."""
    what = say(lang, key or outcome, part=part.name, **values)
    told = key if key == "stub" else outcome
    found = Found(None, False, what, say(lang, f"why-{told}"), evidence, say(lang, f"hint-{told}"))
    return Answer(part.name, False, False, outcome, (found,))


def lent_to(part: Part, file: Path, written: set[str]) -> list[str]:
    """The parts that the file calls and that are lent to it, since nobody has written them."""
    called = names_in(file)
    return [name for name in part.all_needs if name in called and name not in written]


def imported_in(path: Path) -> set[str]:
    """The names that a file imports from a neighbour; what comes from `parts` is not its own."""
    return {
        alias.asname or alias.name
        for node in ast.parse(read_source(path)).body
        if isinstance(node, ast.ImportFrom) and node.module != "parts"
        for alias in node.names
    }


def names_in(path: Path) -> set[str]:
    """The names that a file uses by themselves, imports, or takes from `parts`; arguments are no such names."""

    def of(node: ast.AST, arguments: set[str]) -> set[str]:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return {name} - arguments
            case ast.Attribute(value=ast.Name(id="parts"), attr=name):
                return {name}
            case ast.ImportFrom(module="parts", names=imported):
                return {alias.name for alias in imported}
            case ast.FunctionDef(args=args) | ast.Lambda(args=args):  # whose defaults are outside of it
                own = {inner.arg for inner in ast.walk(args) if isinstance(inner, ast.arg)}
                return inside(args, arguments) | inside(node, arguments | own)
            case _:
                return inside(node, arguments)

    def inside(node: ast.AST, arguments: set[str]) -> set[str]:
        return {name for inner in ast.iter_child_nodes(node) for name in of(inner, arguments)}

    return inside(ast.parse(read_source(path)), set())


def written_twice(part: Part, file: Path, lang: str) -> list[str]:
    """A remark where a file defines the part more than once: Python takes the last, and a run would refuse both."""
    lines = [one.line for one in definitions(file, read_source(file)) if one.name == part.name]
    return [say(lang, "twice", lines=", ".join(map(str, lines)))] if len(lines) > 1 else []
