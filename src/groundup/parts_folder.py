"""A folder of somebody's own parts: plain functions in plain files.

Every top-level function that has the name of a part is taken, however the files are split, and so is a name that a
function is given (`gelu = lambda x: …`). A function that is still a stub (a docstring and nothing else) is lent. Each
file may say `from parts import softmax`: that is the folder's own softmax, or the library's for a stub.

Whatever cannot be right is said here, before a run begins, with the file and the line: text that is no Python, a part
written twice, one that takes other arguments than those it will be given. A name that is nearly that of a part is
probably meant to be it, and is spoken of.

Read next: `training/parts.py`, which joins them with the library's.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import functools
import hashlib
import importlib.util
import inspect
import sys
import types
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import files
from .errors import ConfigError, GroundupError, quoted
from .report import Sentence
from .seam import BOUND_AS, Function

MAX_SOURCE_BYTES = 4 << 20
NEARLY = 0.85  # how alike two names are that are probably meant to be one


@dataclass(frozen=True)
class Folder:
    """What a folder of parts holds. suspects: sentences about names that are nearly those of parts."""

    functions: dict[str, Function]
    stubs: set[str]
    sha256: str
    suspects: tuple[str, ...]


@dataclass(frozen=True)
class Definition:
    """A top-level name that a file gives to a function, or may give to one."""

    name: str
    path: Path
    line: int
    is_stub: bool
    is_given: bool  # by an assignment, and so perhaps to something that is no function

    @property
    def where(self) -> str:
        """As a person finds it."""
        return f"{self.path} line {self.line}"


def read_folder(folder: Path, library: Mapping[str, Function]) -> Folder:
    """Load every .py file of a folder, and take the functions that have the name of one of the library's parts.

    Raises ConfigError PARTS, with the file and the line; PATH or PATH_KIND for what is no folder of Python files.
    """
    if not folder.is_dir():
        there = folder.exists()
        raise ConfigError(
            f"{quoted(str(folder))} is no folder of parts",
            fix="name the folder that holds your .py files",
            code="PATH_KIND" if there else "PATH",
        )
    # An editor's own files (.#attention.py) and those of macOS (._attention.py) are nobody's parts.
    paths = sorted(path for path in folder.glob("*.py") if path.name != "parts.py" and not path.name.startswith("."))
    sources = {path: read_source(path) for path in paths}
    found = [definition for path in paths for definition in definitions(path, sources[path])]
    own: dict[str, Definition] = {}
    stubs = [definition for definition in found if definition.is_stub and definition.name in library]
    for definition in [*stubs, *(one for one in found if not one.is_stub)]:  # what is written stands for its stub
        if definition.name in library:
            if definition.name in own and definition.is_stub == own[definition.name].is_stub:
                raise ConfigError(
                    f"{definition.name} is written twice",
                    where=f"{own[definition.name].where} and {definition.where}",
                    fix="keep one of the two",
                    code="PARTS",
                )
            own[definition.name] = definition
    written = {name: definition for name, definition in own.items() if not definition.is_stub}
    with importable(folder, written, library) as modules:
        for path in paths:
            modules.load(path)
        for stub in stubs:  # its neighbours in the file may call it by its name
            setattr(modules.load(stub.path), stub.name, modules.part(stub.name))
    functions = {
        name: modules.function(definition)
        for name, definition in written.items()
        if not (definition.is_given and not is_function(modules.value(definition)))  # dropout = settings.dropout
    }
    for name, function in functions.items():
        require_arguments(written[name], function, library)
    sha256 = hashlib.sha256(b"".join(sources.values())).hexdigest()
    return Folder(functions, own.keys() - written.keys(), sha256, tuple(suspects(found, own, library)))


# --- what the files say -----------------------------------------------------------------------------------------------


def read_source(path: Path) -> bytes:
    """The bytes of a Python file. Raises ConfigError PATH_KIND for what is no ordinary file, PATH where one may not."""
    try:
        with files.open_regular(path) as file:
            source = bytes(files.read_whole(file, MAX_SOURCE_BYTES + 1))
    except OSError as error:
        is_file = path.is_file()
        raise ConfigError(
            f"{quoted(path.name)} {'cannot be read: ' + str(error.strerror) if is_file else 'is no ordinary file'}",
            where=str(path),
            fix="check its permissions" if is_file else "give it another name, or move it out of the folder of parts",
            code="PATH" if is_file else "PATH_KIND",
        ) from error
    if len(source) > MAX_SOURCE_BYTES:
        raise ConfigError(f"{quoted(path.name)} is larger than 4 MiB", where=str(path), fix="split it", code="PARTS")
    return source


def definitions(path: Path, source: bytes) -> Iterator[Definition]:
    """The top-level names of a file that stand, or may stand, for functions. Raises ConfigError where it is no Python.

    The parser gets bytes, and so heeds a byte-order mark and a line that names the encoding, as Python does.
    """
    try:
        tree = ast.parse(source, filename=str(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = f" line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise ConfigError(
            f"{path.name} is not valid Python: {quoted(str(error) or 'it nests too deeply')}",
            where=f"{path}{line}",
            fix="mend that line",
            code="PARTS",
        ) from error
    yield from _defined(tree.body, path)


def _defined(body: list[ast.stmt], path: Path) -> Iterator[Definition]:
    """The definitions among some statements, and in what is only run under a condition: one of each name there."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name):
                yield Definition(name, path, node.lineno, is_stub(node), is_given=False)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if isinstance(value, ast.Lambda | ast.Name | ast.Attribute | ast.Call):
                yield Definition(name, path, node.lineno, is_stub=False, is_given=True)
            case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
                pass  # what stands there runs in a script, and never where the file is loaded
            case ast.If() | ast.Try() | ast.With():
                inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
                inner += [child for handler in getattr(node, "handlers", ()) for child in handler.body]
                yield from {one.name: one for one in _defined(inner, path)}.values()
            case _:
                pass


def functions_in(path: Path) -> dict[str, Definition]:
    """The functions of a file, stubs too, by their names; none for a file that is not there or is no Python."""
    try:
        return {definition.name: definition for definition in definitions(path, read_source(path))}
    except ConfigError:
        return {}


def is_stub(definition: ast.FunctionDef) -> bool:
    """Whether a function still does nothing: a docstring, `...`, `pass` or `raise NotImplementedError`."""

    def is_empty(statement: ast.stmt) -> bool:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
                return name == "NotImplementedError"
            case _:
                return False

    return all(is_empty(statement) for statement in definition.body)


def suspects(found: list[Definition], own: Mapping[str, Definition], library: Mapping[str, Function]) -> Iterator[str]:
    """A sentence about each name that is nearly that of a part which the folder does not hold."""
    missing = [name for name in library if name not in own]
    for definition in found:
        if definition.name not in library and not definition.name.startswith("_") and not definition.is_given:
            close = difflib.get_close_matches(definition.name.lower(), missing, n=1, cutoff=NEARLY)
            if close:
                yield Sentence(
                    "{name} ({where}) is not the name of a part: did you mean {close}?",
                    name=definition.name,
                    where=definition.where,
                    close=close[0],
                )


# --- running them -----------------------------------------------------------------------------------------------------


class Modules:
    """The folder's modules while they are being loaded, and `parts`, through which they find each other."""

    def __init__(self, folder: Path, own: Mapping[str, Definition], library: Mapping[str, Function]) -> None:
        self.folder, self.own, self.library = folder, own, library
        self.loaded: dict[Path, types.ModuleType] = {}
        self.not_lent: Collection[str] = ()  # parts that may be named here, but not called
        self.after_load: Callable[[types.ModuleType], object] = lambda module: None

    def load(self, path: Path) -> types.ModuleType:
        """Run a file once, under its own name so that tracebacks and pickles of its names make sense."""
        if path not in self.loaded:
            spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            self.loaded[path] = module
            try:
                spec.loader.exec_module(module)
            except (GroundupError, KeyboardInterrupt):
                raise
            except BaseException as error:  # somebody's file may fail in any way: say where, and stop
                raise ConfigError(
                    f"{path.name} fails when it is loaded: {type(error).__name__}: {quoted(str(error))}",
                    where=self._place_of(error) or str(path),
                    fix="run the file by itself and mend it",
                    code="PARTS",
                ) from error
            self.after_load(module)
        return self.loaded[path]

    def _place_of(self, error: BaseException) -> str:
        """The innermost line of the folder's own files at which it happened: a neighbour's, if one was imported."""
        inside = {str(self.folder), str(self.folder.resolve())}
        place, trace = "", error.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if str(file.parent) in inside:
                place = f"{file} line {trace.tb_lineno}"
            trace = trace.tb_next
        return place

    def value(self, definition: Definition) -> object:
        """What a name stands for when its file has been run; None where it is gone again."""
        return getattr(self.load(definition.path), definition.name, None)

    def function(self, definition: Definition) -> Function:
        """The function that a definition has become. Raises ConfigError where it is none."""
        value = self.value(definition)
        if not callable(value):
            raise ConfigError(
                f"{definition.name} is the name of a part, and here it is no function",
                where=definition.where,
                fix="make it a function, or give it another name",
                code="PARTS",
            )
        return value

    def part(self, name: str) -> Function:
        """What `from parts import name` gives: own, or lent. An own one is found when it is called, not before."""
        if name in self.not_lent and name not in self.own and name not in self.library:

            def refused(*_arguments: object, **_keywords: object) -> object:
                raise NotImplementedError(f"{name} is not lent here: it is the part that is judged, or a later one")

            return refused
        if name not in self.own:
            if name not in self.library:
                raise AttributeError(name)
            return self.library[name]

        def lazily(*arguments: object, **keywords: object) -> object:
            return self.function(self.own[name])(*arguments, **keywords)

        lazily.__name__ = lazily.__qualname__ = name
        return lazily


def is_function(value: object) -> bool:
    """Whether a value is a function, written in Python or not, perhaps with some arguments given beforehand."""
    return inspect.isroutine(value) or isinstance(value, functools.partial)


@contextlib.contextmanager
def importable(folder: Path, own: Mapping[str, Definition], library: Mapping[str, Function]) -> Generator[Modules]:
    """While the block runs, files may `from parts import …` and import their neighbours; afterwards nobody can.

    A neighbour is forgotten again, since the next folder may hold another file of that name.
    """
    modules = Modules(folder, own, library)
    stand_in = types.ModuleType("parts", "The parts of this folder: own where written, otherwise lent.")
    stand_in.__getattr__ = modules.part  # pyright: ignore[reportAttributeAccessIssue] -- PEP 562, set from outside
    before, place = dict(sys.modules), str(folder.resolve())
    sys.modules["parts"] = stand_in
    sys.path.append(place)  # last: a file named like a package never hides it
    try:
        yield modules
    finally:
        sys.path.remove(place)
        sys.path_importer_cache.pop(place, None)
        del sys.modules["parts"]
        for name in [name for name in sys.modules if name not in before and _lies_in(sys.modules[name], place)]:
            del sys.modules[name]
        if "parts" in before:
            sys.modules["parts"] = before["parts"]


def _lies_in(module: types.ModuleType, place: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and Path(place) in Path(file).parents


# --- what they take ---------------------------------------------------------------------------------------------------


def require_arguments(definition: Definition, function: Function, library: Mapping[str, Function]) -> None:
    """Raise ConfigError where a part cannot be called with the arguments that the list of parts gives it."""
    expected = expected_signature(library[definition.name], library)
    given = list(expected.parameters.values())
    positional = [one for one in given if one.kind is one.POSITIONAL_OR_KEYWORD]
    n_needed = sum(one.default is one.empty for one in positional)
    keywords = {one.name: None for one in given if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
    try:
        taken = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have no signature
        return
    asked = [one.name for one in taken.parameters.values() if one.kind is one.KEYWORD_ONLY]
    lent = {name: None for name in asked if BOUND_AS.get(name, name) in library}
    # What has a default in the library may be needed here, or not be there: one of these calls will do.
    faults = [unfit(taken, n, lent | keywords) for n in range(n_needed, len(positional) + 1)]
    if all(faults):
        raise ConfigError(
            f"your {definition.name} takes {quoted(str(taken))}: {faults[0]}",
            where=definition.where,
            fix=f"let it take {definition.name}{expected}",
            code="PARTS",
        )


def unfit(taken: inspect.Signature, n_positional: int, keywords: Mapping[str, None]) -> str:
    """Why a function cannot be called with so many arguments in a row and these by name; empty where it can."""
    try:
        taken.bind(*[None] * n_positional, **keywords)
    except TypeError as error:
        return str(error)
    return ""


def expected_signature(function: Function, library: Mapping[str, Function]) -> inspect.Signature:
    """What a part is given: its arguments without types, and without the parts that it is made of."""
    parameters = [
        one.replace(annotation=one.empty)
        for one in inspect.signature(function).parameters.values()
        if not (one.kind is one.KEYWORD_ONLY and BOUND_AS.get(one.name, one.name) in library and callable(one.default))
    ]
    return inspect.Signature(parameters)
