"""Hold shape comments to their word.

The library writes the shape of a new tensor beside the line that makes it: `# (B, H, T, D)`. Nobody checks a comment,
so this module does. A call is followed line by line; after each commented statement, the value just assigned or
returned is compared with the comment, the letters standing for the sizes of that call. The fields of a dataclass are
compared when one is made.

    follow(Call(lambda: softmax(x), softmax))  ->  what was compared, and every comment that lies

The grammar (STYLE, "Shapes"): letters, numbers, products and quotients; `…` for any leading axes; `()` for a scalar;
words may come after. One shape speaks for every value of the line; several, `(B, T), (B,)`, for one value each.
"""

from __future__ import annotations

import ast
import functools
import inspect
import io
import math
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

# All sizes differ, and so do the products and quotients that comments use: no comment is right by accident.
SIZES = {
    **{"B": 2, "G": 3, "T": 5, "H": 6, "W": 7, "D": 8, "S": 9, "L": 11, "N": 12, "K": 13, "I": 14, "O": 15, "R": 16},
    **{"E": 17, "C": 20, "F": 28, "V": 37},
}

GENERATED = "<string>"  # where Python says that the `__init__` of a dataclass was written
TRAILING_SHAPES = re.compile(r"#\s*(\([^()]*\)(?:, \([^()]*\))*)")
DIMENSION = re.compile(r"([A-Za-z]|\d+)([*/]([A-Za-z]|\d+))*")

Shape = tuple[str, ...]


class Call:
    """A call to follow: what to run, the functions and classes whose comments are compared, and sizes of its own.

    Only what is named is followed, since letters belong to a function: where attention calls `split_heads` for its
    keys, what that function calls H is G outside.
    """

    def __init__(self, run: Callable[[], object], *followed: object, **sizes: int) -> None:
        self.run = run
        self.codes = {code for item in followed for code in codes_of(item)}
        self.sizes = SIZES | sizes
        self.name = ",".join(str(getattr(item, "__qualname__", item)) for item in followed)


@dataclass
class Findings:
    """What following a call brought: the comments (file:line) that were compared, and the lies among them."""

    compared: set[str] = field(default_factory=set)
    lies: list[str] = field(default_factory=list)


def follow(call: Call) -> Findings:
    """Run a call and compare every shape comment that it passes in the functions it follows."""
    findings = Findings()

    def enter(frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        return FrameFollower(frame, call.sizes, findings).event if frame.f_code in call.codes else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        call.run()
    finally:
        sys.settrace(before)
    return findings


class FrameFollower:
    """Follows one frame. A line event comes before its line runs: a statement is over when another one begins."""

    def __init__(self, frame: FrameType, sizes: dict[str, int], findings: Findings) -> None:
        self.source = read_source(frame.f_code.co_filename)
        self.sizes, self.findings = sizes, findings
        self.running: ast.stmt | None = None
        self.leaving: ast.stmt | None = None  # a `return` inside `with`, whose end comes before the return

    def event(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        """What Python calls for each line, return and exception of the frame."""
        if event == "exception":  # the statement made nothing
            self.running = self.leaving = None
        elif event == "line":
            statement = self.source.statement_at.get(frame.f_lineno)
            if statement is not self.running:
                self._finish(frame)
                self.running = statement
        elif event == "return":
            self._leave(frame, argument)
        return self.event

    def _finish(self, frame: FrameType) -> None:
        if self.running in self.source.comments:
            self._compare(self.running, [(ast.unparse(t), value_of(t, frame)) for t in targets_of(self.running)])
        if isinstance(self.running, ast.Return):
            self.leaving = self.running

    def _leave(self, frame: FrameType, result: object) -> None:
        statement = self.leaving or self.running
        if frame.f_code.co_filename == GENERATED:
            self._compare_fields(frame.f_locals["self"])
        elif statement is None or not is_exit(statement):
            self._finish(frame)
        else:
            items = result if isinstance(result, tuple) else [result]
            self._compare(statement, [("the result", item) for item in items])

    def _compare_fields(self, made: object) -> None:
        self.source = read_source(inspect.getfile(type(made)))
        for name, statement in self.source.fields.get(type(made).__name__, {}).items():
            self._compare(statement, [(name, getattr(made, name))])

    def _compare(self, statement: ast.stmt, values: list[tuple[str, Any]]) -> None:
        comment = self.source.comments.get(statement)
        # None: `weight = … if has_weight else None`, which another call has to show.
        if comment is None or not values or all(value is None for _, value in values):
            return
        self.findings.compared.add(comment.place)
        promised = comment.shapes * len(values) if len(comment.shapes) == 1 else comment.shapes
        if len(promised) != len(values):
            self.findings.lies.append(f"{comment.place}: {len(promised)} shapes for {len(values)} values")
        for shape, (name, value) in zip(promised, values, strict=False):
            for actual in shapes_in(value):
                if not fits(shape, actual, self.sizes):
                    words = f"says {shown(shape)}, but {name} is {shown(actual)}"
                    self.findings.lies.append(f"{comment.place}: {words} ({self._legend(shape)})")

    def _legend(self, shape: Shape) -> str:
        letters = sorted(set(re.findall(r"[A-Za-z]", "".join(shape))))
        return ", ".join(f"{letter} = {self.sizes.get(letter, 'unknown')}" for letter in letters)


@dataclass(frozen=True)
class Comment:
    """The shapes promised beside one statement, and where (file:line)."""

    place: str
    shapes: tuple[Shape, ...]


@dataclass
class Source:
    """One file: its statements by line, the fields of its classes, its shape comments, and those nothing can check."""

    statement_at: dict[int, ast.stmt] = field(default_factory=dict)
    fields: dict[str, dict[str, ast.stmt]] = field(default_factory=dict)
    comments: dict[ast.stmt | None, Comment] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@functools.cache
def read_source(path: str) -> Source:
    """The statements and shape comments of a Python file."""
    source = Source()
    if path == GENERATED:
        return source
    text = Path(path).read_text(encoding="utf-8")
    # Outer statements first, so that the innermost one keeps the line.
    for statement in ast.walk(ast.parse(text)):
        if isinstance(statement, ast.stmt):
            source.statement_at |= dict.fromkeys(range(statement.lineno, last_line(statement) + 1), statement)
        if isinstance(statement, ast.ClassDef):
            declared = [item for item in statement.body if isinstance(item, ast.AnnAssign)]
            source.fields[statement.name] = {ast.unparse(item.target): item for item in declared}
    fields = {item for fields in source.fields.values() for item in fields.values()}
    for line, shapes in trailing_shapes(text):
        place, statement = f"{path}:{line}", source.statement_at[line]
        comment = Comment(place, tuple(parse_shape(shape) for shape in re.findall(r"\(([^()]*)\)", shapes)))
        if line not in (statement.lineno, last_line(statement)):
            source.problems.append(f"{place}: a shape belongs on the first or last line of its statement")
        elif not is_exit(statement) and statement not in fields and not targets_of(statement):
            source.problems.append(f"{place}: this line makes no value that the shape could speak of")
        elif not all(DIMENSION.fullmatch(d) or (d == "…" and i == 0) for s in comment.shapes for i, d in enumerate(s)):
            source.problems.append(f"{place}: {shapes} is no shape: letters, numbers, * and /, `…` only in front")
        else:
            source.comments[statement] = comment
    return source


def trailing_shapes(text: str) -> Iterator[tuple[int, str]]:
    """(line, "(B, T), (B,)") of each comment that follows code and opens with a parenthesis, unless words are in it."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        match = TRAILING_SHAPES.match(token.string)
        follows_code = bool(token.line[: token.start[1]].strip())
        if token.type == tokenize.COMMENT and match and follows_code and not re.search(r"\w \w", match[1]):
            yield token.start[0], match[1]


def parse_shape(text: str) -> Shape:
    """The dimensions of "B, H*D"."""
    return tuple(dimension.strip() for dimension in text.split(",") if dimension.strip())


def last_line(statement: ast.stmt) -> int:
    """The statement's last line; of a loop or a block, the last line of its head."""
    body = getattr(statement, "body", None)
    return max(body[0].lineno - 1, statement.lineno) if body else statement.end_lineno or statement.lineno


def is_exit(statement: ast.stmt) -> bool:
    """Whether the statement hands a value out of its function."""
    return isinstance(statement, ast.Return) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Yield)
    )


def targets_of(statement: ast.stmt | None) -> list[ast.expr]:
    """What the statement assigns to, name by name."""
    match statement:
        case ast.Assign(targets=targets):
            found = targets
        case ast.AnnAssign(target=target, value=value) if value is not None:
            found = [target]
        case ast.AugAssign(target=target) | ast.For(target=target):
            found = [target]
        case _:
            found = []
    return [name for target in found for name in (target.elts if isinstance(target, ast.Tuple) else [target])]


def value_of(target: ast.expr, frame: FrameType) -> Any:
    """The value that a name, an attribute or an item has in a frame."""
    match target:
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name))
        case ast.Constant(value=value):
            return value
        case ast.Attribute(value=owner, attr=name):
            return getattr(value_of(owner, frame), name)
        case ast.Subscript(value=owner, slice=index):
            return value_of(owner, frame)[value_of(index, frame)]
        case _:
            raise NotImplementedError(f"cannot follow an assignment to {ast.unparse(target)}")


def shapes_in(value: Any) -> Iterator[tuple[int, ...]]:
    """The shape of a tensor, array, number or list of numbers; of a list of tensors the shape of each."""
    if hasattr(value, "shape"):
        yield tuple(value.shape)
    elif isinstance(value, list | tuple) and any(hasattr(item, "shape") for item in value):
        for item in value:
            yield from shapes_in(item)
    elif isinstance(value, list | tuple):
        inner = {shape for item in value for shape in shapes_in(item)}
        yield (len(value), *(inner.pop() if len(inner) == 1 else ()))
    elif isinstance(value, int | float):
        yield ()
    else:
        raise NotImplementedError(f"a {type(value).__name__} has no shape")


def fits(promised: Shape, actual: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Whether the comment's shape is that of the value."""
    if promised[:1] == ("…",):
        promised = promised[1:]
        actual = actual[max(len(actual) - len(promised), 0) :]
    return len(promised) == len(actual) and all(
        dimension_size(dimension, sizes) == size for dimension, size in zip(promised, actual, strict=True)
    )


def dimension_size(dimension: str, sizes: dict[str, int]) -> Fraction | float:
    """The size of "H*D" or "D/2"; NaN, which equals nothing, when a letter has no size."""
    first, *rest = re.findall(r"([*/]?)(\w+)", dimension)
    total = size_of(first[1], sizes)
    for sign, factor in rest:
        total = total * size_of(factor, sizes) if sign == "*" else total / size_of(factor, sizes)
    return total


def size_of(factor: str, sizes: dict[str, int]) -> Fraction | float:
    """The size of one letter or number."""
    return Fraction(factor) if factor.isdigit() else Fraction(sizes[factor]) if factor in sizes else math.nan


def shown(shape: Iterable[object]) -> str:
    """A shape as people write it."""
    items = [str(item) for item in shape]
    return f"({items[0]},)" if len(items) == 1 and items[0] != "…" else f"({', '.join(items)})"


def codes_of(item: Any) -> Iterator[CodeType]:
    """The code of a function, of every method of a class, and of the functions inside them."""
    if isinstance(item, type):
        for member in vars(item).values():
            if isinstance(member, property | staticmethod | classmethod) or inspect.isfunction(member):
                yield from codes_of(member)
        return
    if isinstance(item, property):
        item = item.fget
    while not isinstance(item, CodeType):
        item = inspect.unwrap(getattr(item, "func", item))  # functools.partial, or a decorated function
        item = getattr(item, "__func__", item)  # a bound, static or class method
        item = getattr(item, "__code__", item)
    yield item
    for constant in item.co_consts:
        # Comprehensions and lambdas hold no statements of their own, only pieces of the one that they stand in.
        if isinstance(constant, CodeType) and not constant.co_name.startswith("<"):
            yield from codes_of(constant)
