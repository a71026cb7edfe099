"""A learner's workspace: a file for each stage, with a stub for each part; and how far they have come.

    my_llm/
      attention.py, …   plain functions, to be written
      parts.py          `from parts import softmax`: the own version, or a lent one while it is a stub
      progress.toml     readable: what passed, when, and a hash of the text that did
      kept/             what `reset` has put aside

A verdict belongs to a text. The progress file holds the hash of each function as it was judged, so that a function
which has changed since is known to be unchecked, and nothing is recomputed at the start.

Read next: `check.py`.
"""

from __future__ import annotations

import ast
import hashlib
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

from .. import __version__, files
from ..config import parse_toml, tables_to_toml
from ..errors import ConfigError, quoted
from ..parts_folder import Definition, definitions, functions_in, read_source
from .answer import Answer
from .book import KEPT_AS
from .catalog import UNITS, Part, catalog, path_order

PROGRESS = "progress.toml"
VERSION = 1
MOST_BYTES = 1 << 20
SWITCH = re.compile(r",\s*(\*,\s*)?wrong: Wrong = RIGHT(?=,?\s*\))")  # what a reference takes and a stub does not

State = Literal["own", "edges", "wrong", "broken", "unchecked", "borrowed", "placed", "lent"]
DONE = ("own", "borrowed", "placed")  # for now

PARTS_FILE = '''"""`from parts import softmax` gives your own softmax, or a lent one while yours is still a stub."""

from groundup.path.lending import part_of

__getattr__ = part_of(__file__)
'''


@dataclass
class Verdict:
    """What is remembered of one part. source: a hash of the function's text as it was judged."""

    state: str  # own, edges, wrong or broken
    source: str
    checked: str  # the day
    remarks: list[str] = field(default_factory=list)


@dataclass
class Progress:
    """How far a learner has come. hints: steps shown, by part; borrowed: to come back to; placed: known before."""

    made_by: str = __version__
    lang: str = ""
    start: str = ""  # the first unit, where the book was begun in the middle
    last: str = ""  # the unit in which they were
    day: str = ""  # on which they were last here
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    hints: dict[str, int] = field(default_factory=dict)
    borrowed: dict[str, str] = field(default_factory=dict)  # the day
    placed: dict[str, str] = field(default_factory=dict)  # the day of the placement test that says so
    predictions: dict[str, float] = field(default_factory=dict)


class Workspace:
    """A folder with a learner's files. Raises ConfigError (WORKSPACE) where there is none."""

    def __init__(self, folder: Path) -> None:
        if not (folder / PROGRESS).is_file():
            raise ConfigError(
                f"{quoted(str(folder.resolve()))} is no workspace",
                fix="go into your workspace, or make one: groundup learn init my_llm",
                code="WORKSPACE",
            )
        self.folder = folder
        self.progress = read_progress(folder / PROGRESS)

    def save(self) -> None:
        """Write the progress, so that a crash leaves the old file or the new one."""
        self.progress.day = today()
        files.write_text(self.folder / PROGRESS, progress_text(self.progress))

    @property
    def files(self) -> list[Path]:
        """The files of the stages that are there, in order."""
        return files_of(self.folder)

    def home_of(self, part: Part) -> Path:
        """The file that holds a part, or the one in which it belongs."""
        found = [functions_in(path).get(part.name) for path in self.files]
        there = sorted((one for one in found if one is not None), key=lambda one: one.is_stub)
        return there[0].path if there else self.folder / part.file

    def remember(self, answer: Answer) -> None:
        """Keep a verdict, with the text that it is about."""
        if answer.outcome in ("missing", "syntax"):
            return  # there is no text to keep it with
        state = "own" if answer.passed else "edges" if answer.core else "wrong"
        if answer.outcome not in ("pass", "wrong"):
            state = "broken"
        text = self.text_of_part(answer.part)
        self.progress.verdicts[answer.part] = Verdict(state, digest(text), today(), list(answer.remarks))
        if answer.passed:
            self.progress.borrowed.pop(answer.part, None)
        self.save()

    def state_of(self, name: str) -> State:
        """Where a part stands: from its text and what is remembered of it, without running anything."""
        text = self.text_of_part(name)
        if not text and not is_python(self.home_of(catalog()[name])):
            return "broken"
        if not text and name in self.progress.borrowed:
            return "borrowed"
        if not text:
            return "placed" if name in self.progress.placed else "lent"
        verdict = self.progress.verdicts.get(name)
        if verdict is None or verdict.source != digest(text):
            return "unchecked"
        return verdict.state  # pyright: ignore[reportReturnType] -- checked when it is read

    def text_of_part(self, name: str) -> str:
        """The text of a written part; empty for a stub and for what is not there."""
        path = self.home_of(catalog()[name])
        definition = functions_in(path).get(name)
        if definition is None or definition.is_stub:
            return ""
        # A name that is given to something made elsewhere in the file says nothing by itself.
        return path.read_text(encoding="utf-8") if definition.is_given else text_of(path, definition)

    def reset(self, names: list[str]) -> Path:
        """Put the stubs of these parts back. What was there is kept, in a file that is named after the time."""
        kept = next_free(self.folder / "kept", time.strftime("%Y%m%d-%H%M%S"))
        olds = []
        for name in names:
            part = catalog()[name]
            path = self.home_of(part)
            if not is_python(path):
                raise ConfigError(
                    f"{quoted(path.name)} is not valid Python, so that nothing in it can be found",
                    where=str(path),
                    fix=f"mend the line that groundup check {name} names, or move the file away, then reset again",
                    code="PARTS",
                )
            source = path.read_text(encoding="utf-8") if path.is_file() else ""
            definition = functions_in(path).get(name) if source else None
            if definition is None:
                new = f"{source.rstrip()}\n\n\n{stub_of(part)}" if source else file_of_stage(part.stage)
            else:
                old = text_of(path, definition)
                olds.append(f"# {name}, from {path.name}\n{old}\n")
                new = source.replace(old, stub_of(part).rstrip("\n"), 1)
            if olds:
                files.make_folder(kept.parent)
                files.write_text(kept, "\n\n".join(olds))  # before anything is taken away
            files.write_text(path, new)
            self.progress.verdicts.pop(name, None)
        self.save()
        return kept if olds else Path()


def next_free(folder: Path, stem: str) -> Path:
    """A .py file that is not there yet."""
    names = (f"{stem}{suffix}.py" for suffix in ("", *(f"-{i}" for i in range(2, 1000))))
    return next(folder / name for name in names if not (folder / name).exists())


def files_of(folder: Path) -> list[Path]:
    """The files of the stages and what was taken from the book, if the folder is a workspace; otherwise none."""
    if not (folder / PROGRESS).is_file():
        return []
    return [folder / name for name in (*stage_files(), KEPT_AS) if (folder / name).is_file()]


def is_python(path: Path) -> bool:
    """Whether Python can read a file; also where there is none."""
    try:
        if path.is_file():
            list(definitions(path, read_source(path)))
    except ConfigError:
        return False
    return True


def stage_files() -> list[str]:
    """The names of the stages' files, in order."""
    return list(dict.fromkeys(stage["file"] for stage in path_order()))


def text_of(path: Path, definition: Definition) -> str:
    """The text of a top-level function or assignment, as it stands in the file."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    tree = ast.parse("\n".join(lines))
    for node in tree.body:
        if node.lineno == definition.line and node.end_lineno is not None:
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
            return "\n".join(lines[first - 1 : node.end_lineno])
    return ""


def digest(text: str) -> str:
    """A short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def today() -> str:
    """The day, as 2026-12-01."""
    return time.strftime("%Y-%m-%d")


# --- a new one --------------------------------------------------------------------------------------------------------


def make_workspace(folder: Path, *, lang: str = "", start: str = "", git: bool = False) -> Workspace:
    """Make a workspace. Nothing that is there is overwritten. Raises ConfigError where one is there already."""
    if (folder / PROGRESS).exists():
        raise ConfigError(
            f"{quoted(str(folder))} is a workspace already",
            fix=f"go on in it: cd {folder} && groundup learn",
            code="WORKSPACE",
        )
    taken = [name for name in (*stage_files(), "parts.py") if (folder / name).exists()]
    if taken:
        raise ConfigError(
            f"{quoted(str(folder))} holds {', '.join(taken)} already",
            fix="choose another folder, or move those files away",
            code="WORKSPACE",
        )
    files.make_folder(folder)
    for stage in path_order():
        files.write_text(folder / stage["file"], file_of_stage(stage["number"]))
    files.write_text(folder / "parts.py", PARTS_FILE)
    files.write_text(folder / ".gitignore", "__pycache__/\nruns/\n")
    progress = Progress(lang=lang, start=start, last=start, day=today())
    files.write_text(folder / PROGRESS, progress_text(progress))
    if git:
        subprocess.run(["git", "init", "-q", str(folder)], check=False, capture_output=True)
    return Workspace(folder)


def file_of_stage(number: int) -> str:
    """A stage's file, with a stub for each of its parts."""
    stage = next(stage for stage in path_order() if stage["number"] == number)
    parts = [part for part in catalog().values() if part.stage == number]
    stubs = "\n\n".join(map(stub_of, parts))
    head = f'"""{stage["en"]}: stage {number} of the path. `groundup learn` says what to do."""\n'
    return f"{head}\nfrom __future__ import annotations\n\n{imports_for(parts, stubs)}\n\n{stubs}"


def imports_for(parts: list[Part], stubs: str) -> str:
    """What the signatures of the stubs mention, and torch or NumPy wherever a part is made of them."""
    plain, named = dict[str, str](), dict[str, set[str]]()  # by module
    for part in parts:
        source = (UNITS / part.unit / f"{part.name}.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.Import) and node.names[0].name in ("torch", "numpy"):
                plain[node.names[0].name] = ast.unparse(node)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module != "__future__":
                used = {alias.name for alias in node.names if re.search(rf"\b{alias.name}\b", stubs)}
                if node.module and used:
                    named.setdefault(node.module, set()).update(used)
    modules = sorted({*plain, *named}, key=lambda module: (module in plain, module))  # the standard library first
    lines = (
        [plain.get(module, "") for module in modules],
        [f"from {module} import {', '.join(sorted(named[module]))}" if module in named else "" for module in modules],
    )
    return "".join(f"{line}\n" for pair in zip(*lines, strict=True) for line in pair if line)


def stub_of(part: Part) -> str:
    """The part's signature and docstring, without a body."""
    source = (UNITS / part.unit / f"{part.name}.py").read_text(encoding="utf-8")
    node = next(node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == part.name)
    signature = "\n".join(source.splitlines()[node.lineno - 1 : node.body[0].lineno - 1])
    signature = SWITCH.sub("", signature)
    docstring = ast.get_docstring(node, clean=False) or ""
    return f'{signature}\n    """{docstring}"""\n    raise NotImplementedError("{part.name}")\n'


# --- the progress file ------------------------------------------------------------------------------------------------


def progress_text(progress: Progress) -> str:
    """The progress as TOML that a person can read."""
    tables: dict[str, dict[str, Any]] = {
        "workspace": {
            "version": VERSION, "made_by": progress.made_by, "lang": progress.lang,
            "start": progress.start, "last": progress.last, "day": progress.day,
        },
        "hints": dict(progress.hints),
        "borrowed": dict(progress.borrowed),
        "placed": dict(progress.placed),
        "predictions": dict(progress.predictions),
    }  # fmt: skip
    for name, verdict in progress.verdicts.items():
        tables[f"parts.{name}"] = vars(verdict)
    return tables_to_toml(tables)


def read_progress(path: Path) -> Progress:
    """The progress of a file, whoever wrote it. Raises ConfigError for what is none; the file is left as it is."""
    try:
        with files.open_regular(path) as file:
            text = bytes(files.read_whole(file, MOST_BYTES)).decode("utf-8")
        tables = parse_toml(text, str(path))
        about: Any = tables.get("workspace", {})
        if about.get("version", 0) > VERSION:
            raise ConfigError(
                f"the workspace was made by groundup {about.get('made_by')}, which is newer than this one",
                where=str(path),
                fix="update groundup: pip install --upgrade groundup",
                code="WORKSPACE",
            )
        verdicts: Any = tables.get("parts", {})
        hints, borrowed, placed, predictions = (
            cast(Any, tables.get(name, {})) for name in ("hints", "borrowed", "placed", "predictions")
        )
        return Progress(
            made_by=str(about.get("made_by", "")),
            lang=str(about.get("lang", "")),
            start=str(about.get("start", "")),
            last=str(about.get("last", "")),
            day=str(about.get("day", "")),
            verdicts={name: verdict_of(one) for name, one in verdicts.items() if name in catalog()},
            hints={name: max(0, int(n)) for name, n in hints.items()},
            borrowed={name: str(day) for name, day in borrowed.items()},
            placed={name: str(day) for name, day in placed.items()},
            predictions={name: float(x) for name, x in predictions.items()},
        )
    except (ConfigError, UnicodeDecodeError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ConfigError) and error.code == "WORKSPACE":
            raise
        raise ConfigError(
            f"the progress file cannot be read: {quoted(str(error).splitlines()[0])}",
            where=str(path),
            fix="mend it, or make a new workspace and copy your .py files into it: your code is in them, not in here",
            code="WORKSPACE",
        ) from error


def verdict_of(table: dict[str, Any]) -> Verdict:
    """A verdict of the file. Raises ValueError or TypeError for what is none."""
    if table.get("state") not in get_args(State) or not isinstance(table.get("remarks", []), list):
        raise ValueError(f"no verdict: {table}")
    return Verdict(**table)
