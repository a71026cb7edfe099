"""The book's own classes as parts: a reader who has them need not write them again.

    groundup check --book ch03.ipynb

The file may be a notebook or a script. Its classes, functions, imports and plain constants are taken, and nothing that
would run (a training, a download). For each class that the book has, a function of the part's name is put beside it
(`book_adapters.py`), and the file that comes out is judged like any other; in a workspace it is kept as `from_book.py`.

Read next: `workspace.py`.
"""

from __future__ import annotations

import ast
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from .. import files
from ..errors import ConfigError, quoted

MOST_BYTES = 16 << 20  # of a notebook, with its pictures
KEPT_AS = "from_book.py"

# The book's names, the later ones of a chapter first: (name, the part that it is, the function that makes it one, and
# where the book says it in its own way, the sentence about that).
NAMES = [
    ("GPTDatasetV1", "next_token_windows", "dataset", ""),
    ("MultiHeadAttention", "multi_head_attention", "several_heads", ""),
    ("CausalAttention", "single_head_attention", "causal_attention", ""),
    ("SelfAttention_v2", "scaled_dot_product_attention", "self_attention", ""),
    ("SelfAttention_v1", "scaled_dot_product_attention", "self_attention", "dialect-in-out"),
    ("LayerNorm", "layer_norm", "norm", "dialect-scale-shift"),
    ("GELU", "gelu", "activation", ""),
    ("FeedForward", "feed_forward", "widened", ""),
    ("TransformerBlock", "transformer_block", "block", "dialect-shortcut"),
    ("GPTModel", "gpt_forward", "whole_model", "dialect-untied"),
    ("generate_text_simple", "generate_tokens", "written", "dialect-greedy"),
    ("calc_loss_batch", "cross_entropy", "batch_loss", ""),
    ("calc_loss_loader", "evaluate_loss", "loader_loss", "dialect-mean-of-means"),
]
# What is a step on the way to the part, and cannot stand for it in a model or a training run.
HALF = {"self_attention", "written", "batch_loss", "loader_loss"}


@dataclass(frozen=True)
class BookFile:
    """What was found. parts: each with the class or helper that computes it; twice: those that a later one covers.

    source: a file that holds them all as parts; whole: those of them that a model can be built with. dialects: by part,
    the sentence about what the book says in its own way.
    """

    source: str
    parts: dict[str, str]
    twice: tuple[str, ...]
    whole: tuple[str, ...]
    dialects: dict[str, str]

    def source_of_whole(self) -> str:
        """The file with the whole ones alone."""
        lines = self.source.splitlines(keepends=True)
        half = tuple(f"{part} = functools.partial(" for part in self.parts if part not in self.whole)
        return "".join(line for line in lines if not half or not line.startswith(half))


def read_book(path: Path) -> BookFile:
    """The parts in a reader's script or notebook. Raises ConfigError where there is none, or no Python."""
    names, body = definitions_of(path, set())
    parts: dict[str, str] = {}
    dialects: dict[str, str] = {}
    twice, adapted, whole = list[str](), list[str](), list[str]()
    for name, part, adapter, dialect in NAMES:
        if name not in names:
            continue
        if part in parts:
            twice.append(name)
            continue
        parts[part] = name
        adapted.append(f"{part} = functools.partial({adapter}, {name})")
        whole += [part] if adapter not in HALF else []
        dialects |= {part: dialect} if dialect else {}
    if not parts:
        known = ", ".join(name for name, *_ in NAMES)
        raise ConfigError(
            f"there is none of the book's classes in {quoted(path.name)}",
            fix=f"what is looked for: {known}; for functions of your own use --file",
            code="BOOK",
        )
    adapters = Path(__file__).with_name("book_adapters.py").read_text(encoding="utf-8")
    head = "from __future__ import annotations\n\nimport functools\n"
    ours = adapters.split("from __future__ import annotations\n", 1)[1]
    source = f"{head}{ours}\n\n{body}\n\n\n" + "\n".join(adapted) + "\n"
    return BookFile(source, parts, tuple(twice), tuple(whole), dialects)


def definitions_of(path: Path, seen: set[Path]) -> tuple[set[str], str]:
    """(the names of a file's classes and functions, the text of all that only says what something is).

    Of the reader's other files in the folder (`previous_chapters.py`) the text is taken in; an import of what is not
    installed is left out, since the parts do not need it.
    """
    text = source_of(path)
    seen.add(path)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ConfigError(
            f"{path.name} is not valid Python: {quoted(str(error))}",
            where=str(path),
            fix="mend that line",
            code="PARTS",
        ) from error
    names, pieces = set[str](), list[str]()
    for node in filter(is_definition, tree.body):
        beside = path.with_name(f"{node.module}.py") if isinstance(node, ast.ImportFrom) else None
        if beside is not None and beside.is_file():
            more, piece = definitions_of(beside, seen) if beside not in seen else (set[str](), "")
            names |= more
        elif isinstance(node, ast.Import | ast.ImportFrom) and not is_installed(node):
            continue
        else:
            piece = ast.get_source_segment(text, node) or ""
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        pieces.append(piece)
    return names, "\n\n\n".join(filter(None, pieces))


def is_installed(node: ast.Import | ast.ImportFrom) -> bool:
    """Whether the packages of an import are there."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return all(name and importlib.util.find_spec(name.partition(".")[0]) is not None for name in names)


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
