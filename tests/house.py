"""The rules of the house: four floors, imports that run downwards, no circles, one reading order (DESIGN, "The house").

Each rule is a function from the modules of a package, name by name, to what breaks it, so that a small crooked house
can show that the rule bites.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

FLOORS = [
    [
        "errors",
        "config",
        "report",
        "files",
        "strict_json",
        "canonical_json",
        "randomness",
        "seam",
        "parts_folder",
        "processes",
    ],
    ["text", "model", "backprop", "kernels"],
    ["generation", "weights", "evaluation", "training", "finetuning", "insight", "path"],
    ["cli", "serve"],
]
FACES = FLOORS[-1]
ROOT = "groundup"


@dataclass(frozen=True)
class Import:
    """One import of one name: `from .norm import layer_norm` in model.block points to model.norm."""

    importer: str
    target: str  # without "groundup.": "model.norm"; "" is the package itself; of other packages the full name
    name: str  # "layer_norm"; empty when what is imported is the module itself
    line: int
    is_own: bool
    is_typing: bool  # under TYPE_CHECKING: never runs
    is_lazy: bool  # inside a function: runs when called

    def __str__(self) -> str:
        return f"{self.importer or ROOT}:{self.line} imports {self.target or ROOT}"


class House:
    """The modules of a package: {"model.norm": source, "model": source of its __init__, …}."""

    def __init__(self, sources: dict[str, str], packages: set[str]) -> None:
        self.sources, self.packages = sources, packages
        self.imports = [item for name in sorted(sources) for item in self._imports(name)]

    @classmethod
    def read(cls, folder: Path) -> House:
        """All Python files below a folder."""
        sources: dict[str, str] = {}
        packages: set[str] = set()
        for path in folder.rglob("*.py"):
            *parents, stem = path.relative_to(folder).with_suffix("").parts
            name = ".".join(parents if stem == "__init__" else [*parents, stem])
            sources[name] = path.read_text(encoding="utf-8")
            packages |= {name} if stem == "__init__" else set()
        return cls(sources, packages)

    def _imports(self, importer: str) -> Iterator[Import]:
        for node, is_typing, is_lazy in import_statements(ast.parse(self.sources[importer])):
            for alias in node.names:
                target, name, is_own = self._resolve(importer, node, alias.name)
                yield Import(importer, target, name, node.lineno, is_own, is_typing, is_lazy)

    def _resolve(self, importer: str, node: ast.Import | ast.ImportFrom, name: str) -> tuple[str, str, bool]:
        """(the module that the statement means, the name taken from it, whether the module is one of ours)."""
        if isinstance(node, ast.Import):
            is_own = chapter(name) == ROOT
            return name.removeprefix(ROOT).removeprefix(".") if is_own else name, "", is_own
        module = node.module or ""
        if node.level == 0 and chapter(module) != ROOT:
            return module, name, False
        if node.level == 0:
            base = module.removeprefix(ROOT).removeprefix(".")
        else:
            up = node.level - 1 if importer in self.packages else node.level
            parents = importer.split(".") if importer else []
            base = ".".join([*parents[: len(parents) - up], *module.split(".")]).strip(".")
        inner = f"{base}.{name}".strip(".")
        # `from .weights import load` means the function, where the package takes it from its module of that name.
        is_module = inner in self.sources and name not in reexports(self.sources.get(base, ""))
        return (inner, "", True) if is_module else (base, name, True)


def import_statements(tree: ast.Module) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    """(statement, whether under TYPE_CHECKING, whether inside a function) of every import."""

    def walk(node: ast.AST, is_typing: bool, is_lazy: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, is_typing, is_lazy
        is_lazy = is_lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = node.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) else []
        for child in ast.iter_child_nodes(node):
            yield from walk(child, is_typing or child in guarded, is_lazy)

    return walk(tree, is_typing=False, is_lazy=False)


@functools.cache
def reexports(source: str) -> set[str]:
    """The names that a package's __init__ takes from its modules: `from .load import load`."""
    nodes = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name for node in nodes for alias in node.names}


def chapter(module: str) -> str:
    """The chapter that a module belongs to: the part of its name before the first dot."""
    return module.partition(".")[0]


def place(module: str) -> tuple[int, int]:
    """(floor, place on the floor) of a module's chapter; the package itself stands above all."""
    if module in ("", "__main__"):
        return len(FLOORS), 0
    floor = next(i for i, chapters in enumerate(FLOORS) if chapter(module) in chapters)
    return floor, FLOORS[floor].index(chapter(module))


def homeless(house: House) -> list[str]:
    """Chapters that stand on no floor."""
    known = {name for floor in FLOORS for name in floor} | {"", "__main__"}
    return sorted({chapter(module) for module in house.sources} - known)


def upward_imports(house: House) -> list[str]:
    """Imports that run upwards, to a later chapter of the same floor, or from one face to the other."""
    own = [item for item in house.imports if item.is_own and chapter(item.importer) != chapter(item.target)]
    # A version number is no chapter: everyone may ask the package for its own.
    own = [item for item in own if (item.target, item.name) != ("", "__version__")]
    between_faces = [item for item in own if chapter(item.importer) in FACES and chapter(item.target) in FACES]
    return [str(item) for item in own if place(item.target) > place(item.importer) or item in between_faces]


def circle(house: House) -> list[str]:
    """The modules of a circle of imports at import time; empty when there is none."""
    graph: dict[str, set[str]] = {name: set() for name in house.sources}
    for item in house.imports:
        if item.is_own and not item.is_typing and not item.is_lazy:
            graph[item.importer] |= {item.target, *packages_entered(item, house)} - {item.importer}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [name or ROOT for name in error.args[1]]
    return []


def packages_entered(item: Import, house: House) -> set[str]:
    """The packages whose __init__ runs for an import: those above the target that the importer is not inside of."""
    parts = item.target.split(".")
    above = {".".join(parts[:i]) for i in range(1, len(parts))} & house.packages
    return {package for package in above if not f"{item.importer}.".startswith(f"{package}.")}


def reading_order(docstring: str) -> list[str]:
    """The modules that the docstring lists: lines of four spaces, a name, and, after two spaces or more, words."""
    return re.findall(r"^    ([a-z_][\w.]*)(?:  +\S.*)?$", inspect.cleandoc(docstring), flags=re.MULTILINE)


def order_faults(house: House, order: list[str]) -> list[str]:
    """Modules missing from the reading order, names in it that are no module, and imports that point forward.

    A package may be listed; otherwise it stands with the last module that its __init__ imports.
    """
    modules = set(house.sources) - house.packages - {"__main__"}
    modules = {name for name in modules if not name.startswith("path.units.")}  # their order is that of path.toml
    faults = [f"{name} is not in the reading order" for name in sorted(modules - set(order))]
    faults += [f"{name} is in the reading order, but no module" for name in order if name not in house.sources]
    faults += [f"{name} is in the reading order twice" for name in sorted(set(order)) if order.count(name) > 1]
    runs = [item for item in house.imports if item.is_own and not item.is_typing and not item.is_lazy]
    at = {name: i for i, name in enumerate(order)}
    for package in house.packages - set(order):
        at[package] = max((at.get(item.target, -1) for item in runs if item.importer == package), default=-1)
    forward = [item for item in runs if item.importer in order and at.get(item.target, -1) > at[item.importer]]
    return faults + [f"{item}, which comes later" for item in forward]


def exports(house: House, package: str) -> set[str]:
    """The public names that a package's __init__ makes, or takes from its own modules."""
    own = [i for i in house.imports if i.importer == package and i.is_own and not i.is_lazy]
    names = {i.name for i in own if i.name and i.target.startswith(f"{package}.".lstrip("."))}
    for node in ast.parse(house.sources[package]).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            names |= {ast.unparse(target) for target in node.targets}
    return {name for name in names if not name.startswith("_")}


def foreign_imports(house: House) -> list[str]:
    """What the ground floor imports from outside the standard library; randomness may import torch when called."""
    outside = [
        item
        for item in house.imports
        if chapter(item.importer) in FLOORS[0] and not item.is_own and not item.is_typing
        if chapter(item.target) not in sys.stdlib_module_names
    ]
    return [str(i) for i in outside if not (i.is_lazy and (i.importer, i.target) == ("randomness", "torch"))]


FORBIDDEN_CALLS = {"print", "eval", "exec", "compile", "torch.load", "torch.save", "random.seed", "np.random.seed"}
ALLOWED_CALLS = {("path.lending", "exec"), ("path.lending", "compile")}  # the library's own text
SEEDING = {"manual_seed", "manual_seed_all", "seed_all"}
PICKLES = {"pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}


def forbidden(house: House) -> list[str]:
    """Calls and imports that the library does without, and words that put work off."""
    faults = [str(item) for item in house.imports if not item.is_own and chapter(item.target) in PICKLES]
    for module, source in sorted(house.sources.items()):
        for node in ast.walk(ast.parse(source)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            is_seeding = name.rpartition(".")[2] in SEEDING and module != "randomness"
            if (
                name in FORBIDDEN_CALLS and (module, name) not in ALLOWED_CALLS
            ) or is_seeding:  # whole names: `model.eval()` and `re.compile()` are others
                faults.append(f"{module}:{node.lineno} calls {name}")
        faults += [f"{module} says {word}" for word in re.findall(r"\b(?:TODO|FIXME|XXX)\b", source)]
    return faults
