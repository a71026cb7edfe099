r"""What a terminal can show, and what it must not be shown.

A model's text is a stranger's text: it may hold the characters with which a program moves the cursor, renames the
window or colours the screen. On a terminal these are written out (`\x1b`), so that they do nothing; a pipe gets the
bytes as they are.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import textwrap
import unicodedata
from typing import Any, TextIO

import click

from ..errors import ConfigError, DataError

MOST_DIGITS = 18  # of a token id in an argument: Python reads no number of more than 4,300

MOST_COLUMNS = 100  # of running text

# rich ends lines at white space alone, and Chinese has none. This control character has no width and counts as white
# space; it is taken out again before anything is shown.
JOINT = "\x1f"
# The curved quotes and the dots, which stand last, are English marks too: by themselves they make no joint.
OPENING, CLOSING = "（《【“", "，。：；！？）、》】”…"
BETWEEN = re.compile(rf"(?<=[一-鿿{CLOSING[:-2]}])(?=[^\s{CLOSING}])|(?<=[^\s{OPENING}])(?=[一-鿿{OPENING[:-1]}])")

# Marks that turn the direction of writing: they can make a text read as another one.
DIRECTION = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F}


def is_terminal(stream: TextIO) -> bool:
    """Whether a person sits at the other end."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether to colour what goes there; see no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """The text in a style of click's (fg, bold, dim, …) where there is colour, otherwise as it is."""
    return click.style(text, **style) if has_colour(stream) else text


def say(text: str = "", *, err: bool = False, newline: bool = True) -> None:
    """Write to stdout, or to stderr, at once."""
    stream = sys.stderr if err else sys.stdout
    click.echo(text, file=stream, nl=newline, color=has_colour(stream))


def fall_silent(stream: TextIO) -> None:
    """Nobody reads this stream, or its disk is full: what is written to it, and waits to be, is lost from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say_last(text: str) -> None:
    """Write to stderr what there is to say at the end; the exit status counts, whether anybody reads this or not."""
    try:
        say(text, err=True)
    except OSError:
        fall_silent(sys.stderr)


def say_json(value: object) -> None:
    """One line of JSON on stdout, in ASCII: every program can read it, whatever the locale."""
    click.echo(json.dumps(value))


def visible(text: str) -> str:
    """The text with control characters written out, all but the end of a line and the tab."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _acts(c) else c.encode("unicode_escape").decode() for c in text)


def _acts(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) in DIRECTION


def width(text: str) -> int:
    """How many columns the text takes: a Chinese character takes two, a combining mark none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def padded(text: str, columns: int, right: bool = False) -> str:
    """The text filled with spaces to so many columns; with right, before it."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def table(rows: list[list[str]], n_words: int = 1) -> str:
    """Rows of words as columns under each other: the first n_words to the left, numbers to the right."""
    columns = [max(width(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(padded(cell, n, right=i >= n_words) for i, (cell, n) in enumerate(zip(row, columns, strict=True)))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def n_columns() -> int:
    """How wide the terminal is."""
    import shutil

    return shutil.get_terminal_size((80, 24)).columns


def say_markdown(text: str) -> None:
    """Show Markdown, no wider than can be read."""
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console(width=min(n_columns(), MOST_COLUMNS))
    with console.capture() as shown:
        console.print(Markdown(breakable(text)))
    say(shown.get().replace(JOINT, ""), newline=False)


def breakable(text: str) -> str:
    """The text with a joint wherever a line of Chinese may end: before no closing mark, after no opening one."""
    return BETWEEN.sub(JOINT, text)


def indented(text: str, by: str = "  ") -> str:
    """The text with each line moved to the right, for what a model wrote."""
    return textwrap.indent(text, by, lambda line: True)


def argument_text(text: str, what: str) -> str:
    """An argument as the text that was typed. Raises ConfigError (CLI_PROMPT) where its bytes are no UTF-8."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    try:
        # Python could not read these bytes in the locale's encoding and kept them: they may be UTF-8 all the same.
        return os.fsencode(text).decode("utf-8")
    except UnicodeError as error:
        raise ConfigError(
            f"{what} is not UTF-8",
            where="the command line",
            fix='write it in UTF-8, or give "-" and pass it on stdin',
            code="CLI_PROMPT",
        ) from error


def read_stdin() -> str:
    """All of stdin as UTF-8, whatever the locale; one line end at its end is not part of it."""
    data = sys.stdin.buffer.read()
    try:
        return data.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"stdin is not UTF-8 text: byte {error.start:,} is 0x{data[error.start]:02x}",
            where="stdin",
            fix="convert it first, for example with iconv -t UTF-8",
            code="DATA_UTF8",
        ) from error


def open_streams() -> None:
    """Have all three standard streams open: where the caller closed one (`>&-`), what goes there is lost.

    Otherwise the next file that is opened would take its number, and a library's message would land in that file. A
    terminal whose locale lacks a character shows its number instead of ending the program.
    """
    names = ("stdin", "stdout", "stderr")
    while (free := os.open(os.devnull, os.O_RDWR)) < len(names):  # the lowest number that is not in use
        if getattr(sys, names[free]) is None:
            setattr(sys, names[free], os.fdopen(free, "w" if free else "r", encoding="utf-8", closefd=False))
    os.close(free)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
