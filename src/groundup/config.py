"""Settings: TOML files and `--set key=value` become frozen dataclasses, checked once, at the edge.

One dataclass is one TOML section; each section lives in the chapter that it configures, and this file knows how to read
any of them. Everything wrong with a request is reported together: a misspelt key with the name that was probably meant,
a value of the wrong type with the type that would do, and whatever a section's own `problems()` finds. After that a
config is true and never changes.

    presets/first-gpt.toml  <  --set training.max_lr=1e-3  ->  TrainConfig(model=ModelConfig(...), training=...)
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
import tomllib
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from .errors import ConfigError, quoted

MAX_BYTES = 1 << 20
MAX_DEPTH = 16
MAX_UNKNOWN = 20

# An unclosed string ends with its line or the file: a search for its end from every quote would never be done.
STRING_OR_COMMENT = re.compile(
    r'''"""[\s\S]*?(?:"""|\Z)|\'{3}[\s\S]*?(?:\'{3}|\Z)|"(?:\\.|[^"\\\n])*"?|'[^'\n]*'?|#[^\n]*'''
)
DOTTED_KEY = re.compile(r"(?<![\w-])[\w-]+(?:[ \t]*\.[ \t]*[\w-]+)+")

Table = dict[str, object]
T = TypeVar("T")


class Section:
    """Base of the frozen dataclasses that hold one TOML section: it checks itself when it is made."""

    def __post_init__(self) -> None:
        raise_problems([], list(self._wrong_kinds()) or list(self.problems()), where=type(self).__name__)

    def _wrong_kinds(self) -> Iterator[str]:
        # `build` has seen to this for a file; in Python, position="rotary" would quietly be no position at all.
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(typing.cast(typing.Any, self)):
            value = getattr(self, field.name)
            _, fault = convert(value, hints[field.name])
            if fault:
                yield f"{field.name} is {_shown(value)}: {fault}"

    def problems(self) -> Iterator[str]:
        """Each fault as a sentence: "section.key is value: what would do"."""
        yield from ()


def read_toml(path: Path) -> Table:
    """The tables of a TOML file of at most 1 MiB and 16 levels. Raises ConfigError (CFG_PARSE, PATH)."""
    try:
        if not path.is_file():
            kind = "is a folder" if path.is_dir() else "is no ordinary file" if path.exists() else "does not exist"
            code = "PATH_KIND" if path.exists() else "PATH"
            raise ConfigError(f"{quoted(str(path))} {kind}", fix="name a TOML file or a preset", code=code)
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("the config is larger than 1 MiB", where=str(path), code="CFG_PARSE", status=3)
        return parse_toml(path.read_bytes().decode("utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"the config is not UTF-8 text: byte {error.start}", where=str(path), code="CFG_PARSE", status=3
        ) from error
    except OSError as error:
        raise ConfigError(f"cannot read the config: {error.strerror}", where=str(path), code="PATH") from error


def parse_toml(text: str, where: str) -> Table:
    """Parse TOML, with nesting bounded before the parser sees it (it recurses)."""
    if _depth(text) > MAX_DEPTH:
        raise ConfigError(f"the config nests deeper than {MAX_DEPTH} levels", where=where, code="CFG_PARSE", status=3)
    try:
        return tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise ConfigError(
            f"the config is not valid TOML: {error}",
            where=where,
            fix="mend the line; a text to train on is given with --set data.train=FILE",
            code="CFG_PARSE",
            status=3,
        ) from error


def _depth(text: str) -> int:
    """How deep the brackets of a TOML text nest, or the names in one of its keys: a.b.c is three deep."""
    bare = STRING_OR_COMMENT.sub("_", text)
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return max([deepest, *(key.count(".") + 1 for key in DOTTED_KEY.findall(bare))])


def apply_settings(tables: Table, settings: Iterable[str]) -> Table:
    """A copy of `tables` with each "section.key=value" put in. A value is read as TOML, or else as a plain string."""
    merged: Table = {name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()}
    for setting in settings:
        key, equals, text = setting.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section and name):
            raise ConfigError(
                f"cannot read --set {quoted(setting)}",
                fix="write --set section.key=value, for example --set training.steps=500",
                code="CFG_KEY",
            )
        table = merged.setdefault(section, {})
        if isinstance(table, dict):
            typing.cast(Table, table)[name] = _value(text.strip())
    return merged


def _value(text: str) -> object:
    if text == "none":  # TOML has no null; "none" on the command line switches a setting off
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"] if "\n" not in text and _depth(text) <= MAX_DEPTH else text
    except ValueError:
        return text


def build(kind: type[T], tables: Mapping[str, object], where: str) -> T:
    """The config dataclass `kind` from its tables. Raises one ConfigError that lists every problem."""
    unknown: list[str] = []
    faults: list[str] = []
    sections: dict[str, object] = {}
    fields = {field.name: field for field in dataclasses.fields(typing.cast(typing.Any, kind))}
    hints = typing.get_type_hints(kind)
    known = [f"{name}.{key.name}" for name in fields for key in dataclasses.fields(hints[name])]
    unknown += [section for section in tables if section not in fields]
    for section in fields:
        table = tables.get(section, {})
        if not isinstance(table, Mapping):
            faults.append(f"{section} is {_shown(table)}: write it as a table, [{section}] with its keys below")
            continue
        values, wrong = _section_values(hints[section], section, typing.cast(Mapping[str, object], table), unknown)
        faults += wrong.values()
        made: Table = {}
        if not wrong.keys() - table.keys():  # with a required key missing nothing can be made
            # The other values of a section with a wrong one are looked at all the same, but for what depends on it.
            found: list[str] = []
            _make(hints[section], values, made, section, found)
            faults += [fault for fault in found if not any(f"{section}.{key}" in fault for key in wrong)]
        if not wrong:
            sections |= made
    whole: dict[str, object] = {}
    if len(sections) == len(fields):
        _make(kind, sections, whole, "config", faults)
    raise_problems(_unknown(unknown, [*fields, *known]), faults, where)
    return typing.cast(T, whole["config"])


def _make(kind: typing.Any, values: Table, into: dict[str, object], name: str, faults: list[str]) -> None:
    """Make `kind(**values)` and put it into `into`, or collect what it finds wrong with itself."""
    try:
        into[name] = kind(**values)
    except ConfigError as error:
        faults += error.problems


def _section_values(
    kind: typing.Any, section: str, table: Mapping[str, object], unknown: list[str]
) -> tuple[Table, dict[str, str]]:
    """(the section's keyword arguments, what is wrong with each key that has a value of a wrong type or none)."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    values: Table = {}
    wrong: dict[str, str] = {}
    for key, value in table.items():
        if key not in fields:
            unknown.append(f"{section}.{key}")
            continue
        converted, fault = convert(value, hints[key])
        if fault:
            wrong[key] = f"{section}.{key} is {_shown(value)}: {fault}"
        else:
            values[key] = converted
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in table:
            wrong[key] = f"{section}.{key} is missing: set it in the TOML file or with --set {section}.{key}=…"
    return values, wrong


def convert(value: object, hint: object) -> tuple[object, str]:
    """(value as the type that `hint` asks for, "") or (value, what would do instead)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None, ""
        return convert(value, next(kind for kind in arguments if kind is not type(None)))
    if origin is typing.Literal:
        choices = [str(choice) for choice in arguments]
        return value, "" if value in arguments else f"use one of {quoted_choices(str(value), choices)}"
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        converted = [convert(item, arguments[0]) for item in typing.cast(Sequence[object], items)]
        return tuple(item for item, _ in converted), next((fault for _, fault in converted if fault), "")
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        is_finite = abs(value) <= sys.float_info.max  # also for an int that no float can hold; false for NaN
        return (float(value), "") if is_finite else (value, "use a finite number")
    if hint is int and isinstance(value, float) and value.is_integer():  # 1e4 is how people write ten thousand
        return int(value), ""
    if hint is str and isinstance(value, str) and not _is_unicode(value):
        return value, "use text in UTF-8: a config file can hold nothing else"
    wanted = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    right = type(value) is hint
    return value, "" if right else f"use {wanted.get(typing.cast(type, hint), str(hint))}"


def _is_unicode(text: str) -> bool:
    """Whether a text has no half characters, as a path has whose bytes are no UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def raise_problems(unknown: Sequence[str], faults: Sequence[str], where: str) -> None:
    """Raise one ConfigError for all problems together, if there are any."""
    problems = [*unknown, *faults]
    if not problems:
        return
    code = "CFG_KEY" if unknown else "CFG_VALUE"
    if len(problems) == 1:
        what, _, fix = problems[0].partition(": ")
    else:
        what, fix = f"{len(problems)} settings are wrong", "\n         ".join(problems)
    error = ConfigError(what, where=where, fix=fix, code=code)
    error.problems = tuple(problems)
    raise error


def _unknown(keys: Sequence[str], known: Sequence[str]) -> list[str]:
    # Each guess compares with every setting: a file of a hundred thousand keys gets only so many.
    sentences = [
        f"there is no setting {quoted(key)}: {_guess(key, known).strip(' ;') or 'see the keys in the documentation'}"
        for key in keys[:MAX_UNKNOWN]
    ]
    n_more = len(keys) - len(sentences)
    return sentences + ([f"{n_more} more settings do not exist either"] if n_more else [])


def _guess(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def quoted_choices(name: str, choices: Sequence[str]) -> str:
    """The choices in a row, with the one that `name` was probably meant to be."""
    return ", ".join(choices) + _guess(name, choices)


def _shown(value: object) -> str:
    return quoted(json.dumps(value, ensure_ascii=False, default=str))  # a lone surrogate is shown by its number


def as_tables(config: object) -> dict[str, Table]:
    """The config as plain tables, every setting written out; those that are None are left out."""
    nested = dataclasses.asdict(typing.cast(typing.Any, config))
    return {name: {key: value for key, value in table.items() if value is not None} for name, table in nested.items()}


def to_toml(config: object) -> str:
    """The config as TOML text, which `read_toml` and `build` turn into the same config again."""
    return tables_to_toml(as_tables(config))


def tables_to_toml(tables: Mapping[str, Table]) -> str:
    """Tables of texts, numbers, yes and no, and lists of them, as TOML text."""
    lines: list[str] = []
    for name, table in tables.items():
        lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in typing.cast(Sequence[object], value)) + "]"
    if isinstance(value, str):  # a JSON string is a TOML string, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
