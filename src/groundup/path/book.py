"""The book's own classes as parts: a reader who has them need not write them again.

    groundup check --book ch03.ipynb

The file may be a notebook or a script. Its classes, functions, imports and plain constants are taken, and nothing that
would run (a training, a download). For each class that the book has, a function of the part's name is put beside it
(`book_adapters.py`), and the file that comes out is judged like any other; in a workspace it is kept as `from_book.py`.

Read next: `workspace.py`.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..errors import ConfigError, quoted

MOST_BYTES = 16 << 20  # of a notebook, with its pictures
KEPT_AS = "from_book.py"

# The book's names, the later ones of a chapter first: (class, the part that it is, the function that makes it one).
CLASSES = [
    ("MultiHeadAttention", "multi_head_attention", "several_heads"),
    ("CausalAttention", "single_head_attention", "causal_attention"),
    ("SelfAttention_v2", "scaled_dot_product_attention", "self_attention"),
    ("SelfAttention_v1", "scaled_dot_product_attention", "self_attention"),
]
HALF = {"self_attention"}  # a class without a mask is a step on the way to the part, and cannot stand for it in a model


@dataclass(frozen=True)
class BookFile:
    """What was found. parts: each with the class that computes it; twice: classes that a later one covers.

    source: a file that holds them all as parts; whole: those of them that a model can be built with.
    """

    source: str
    parts: dict[str, str]
    twice: tuple[str, ...]
    whole: tuple[str, ...]

    def source_of_whole(self) -> str:
        """The file with the whole ones alone."""
        lines = self.source.splitlines(keepends=True)
        half = tuple(f"{part} = functools.partial(" for part in self.parts if part not in self.whole)
        return "".join(line for line in lines if not half or not line.startswith(half))


def read_book(path: Path) -> BookFile:
    """The parts in a reader's script or notebook. Raises ConfigError where there is none, or no Python."""
    text = source_of(path)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(
            f"{path.name} is not valid Python: {quoted(str(error))}",
            where=str(path),
            fix="mend that line",
            code="PARTS",
        ) from error
    kept = [node for node in tree.body if is_definition(node)]
    names = {node.name for node in kept if isinstance(node, ast.ClassDef)}
    parts: dict[str, str] = {}
    twice, adapted, whole = list[str](), list[str](), list[str]()
    for name, part, adapter in CLASSES:
        if name not in names:
            continue
        if part in parts:
            twice.append(name)
            continue
        parts[part] = name
        adapted.append(f"{part} = functools.partial({adapter}, {name})")
        whole += [part] if adapter not in HALF else []
    if not parts:
        known = ", ".join(name for name, *_ in CLASSES)
        raise ConfigError(
            f"there is none of the book's classes in {quoted(path.name)}",
            fix=f"the classes that are looked for: {known}; for functions of your own use --file",
            code="BOOK",
        )
    adapters = Path(__file__).with_name("book_adapters.py").read_text(encoding="utf-8")
    body = "\n\n\n".join(ast.get_source_segment(text, node) or "" for node in kept)
    head = "from __future__ import annotations\n\nimport functools\n"
    ours = adapters.split("from __future__ import annotations\n", 1)[1]
    return BookFile(f"{head}{ours}\n\n{body}\n\n\n" + "\n".join(adapted) + "\n", parts, tuple(twice), tuple(whole))


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement only says what something is, and runs nothing."""
    match node:
        case ast.ImportFrom(module="__future__"):
            return False
        case ast.Import() | ast.ImportFrom() | ast.ClassDef() | ast.FunctionDef():
            return True
        case ast.Assign(targets=[ast.Name()], value=value):
            return not any(isinstance(inner, ast.Call | ast.Await) for inner in ast.walk(value))
        case _:
            return False


def source_of(path: Path) -> str:
    """The Python of a script, or of a notebook's cells without what only a notebook understands."""
    try:
        with files.open_regular(path) as file:
            text = bytes(files.read_whole(file, MOST_BYTES + 1)).decode("utf-8-sig")
        if path.suffix != ".ipynb":
            return text
        cells = json.loads(text)["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except OSError as error:
        raise ConfigError(
            f"{quoted(str(path))} cannot be read: {error.strerror}", fix="name a file", code="PATH"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path.name} is no notebook", where=str(path), fix="save it again, or as .py", code="BOOK"
        ) from error
    lines = [line for source in sources for line in [*source.splitlines(), ""]]
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines)
