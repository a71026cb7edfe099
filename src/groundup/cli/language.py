"""English or Chinese: what a learner reads on the command line.

The English texts stand in the code, as `_("learning rate")` and as the help of the commands; the Chinese ones stand
beside them in locale/zh/LC_MESSAGES/groundup.po, compiled to a .mo that the standard library's gettext reads. As click
takes its own words ("Usage", "Options") from gettext too, one catalogue translates the whole screen.

After a change of the .po:  pybabel compile -d src/groundup/locale -D groundup
"""

from __future__ import annotations

import copy
import gettext
import inspect
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from ..errors import ConfigError, quoted
from ..report import Sentence
from .terminal import width

LANGUAGES = ("en", "zh")
WORKSPACE_FILE, MOST_BYTES = "progress.toml", 1 << 20
LOCALE_FOLDER = Path(__file__).parent.parent / "locale"
# What stays together on a line: a Chinese character with the marks after it, or letters up to the next space.
WORDS = re.compile(r"[（「“]*[一-鿿][，。：；、！？）」”]*|[^\s一-鿿（「“]+ *|[（「“]+| +")


def choose_language(asked: str | None, environment: Mapping[str, str], folder: Path = Path()) -> str:
    """The language of --lang, of GROUNDUP_LANG, of the workspace in the folder, or of the locale.

    Raises ConfigError (CLI_LANG) for an unknown one.
    """
    for name, value in (("--lang", asked), ("GROUNDUP_LANG", environment.get("GROUNDUP_LANG") or None)):
        if value is not None:
            language = value.lower().replace("-", "_").partition("_")[0]  # zh-CN and zh_CN.UTF-8 are zh
            if language not in LANGUAGES:
                raise ConfigError(
                    f'there is no language "{quoted(value)}"', where=name, fix="use en or zh", code="CLI_LANG"
                )
            return language
    if (language := workspace_language(folder)) in LANGUAGES:
        return language
    locale = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    return "zh" if locale.lower().startswith("zh") else "en"


def workspace_language(folder: Path) -> str:
    """The language in which the workspace in a folder was begun; "" where there is none that can be read."""
    path = folder / WORKSPACE_FILE
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return ""
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("workspace", {}).get("lang", ""))
    except (OSError, ValueError, AttributeError):  # `learn` says what is wrong with it
        return ""


def use_language(language: str) -> None:
    """Have gettext, and click with it, speak this language from now on."""
    os.environ["LANGUAGE"] = language  # the one way to tell gettext.gettext, which click calls
    gettext.bindtextdomain("groundup", str(LOCALE_FOLDER))
    gettext.textdomain("groundup")


def language_in_use() -> str:
    """The language that gettext speaks."""
    return os.environ.get("LANGUAGE") or "en"


def taken_from(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """(the value of --lang, the other words): it may stand anywhere, and is wanted before anything is read."""
    rest: list[str] = []
    asked: str | None = None
    remaining = iter(words)
    for word in remaining:
        if word == "--":  # what follows is no option
            return asked, [*rest, word, *remaining]
        if word == "--lang":
            asked = next(remaining, "")
        elif word.startswith("--lang="):
            asked = word.removeprefix("--lang=")
        else:
            rest.append(word)
    return asked, rest


def translated(command: click.Command) -> click.Command:
    """A copy of the command whose help is in the language that is in use."""
    shown = copy.copy(command)
    if command.help:
        # A mark that keeps click from filling lines anew: it looks for spaces, and Chinese has none.
        shown.help = "\n\n".join("\b\n" + filled(gettext.gettext(text)) for text in paragraphs(command.help))
        shown.short_help = gettext.gettext(paragraphs(command.help)[0])
    shown.params = [copy.copy(parameter) for parameter in command.params]
    for parameter in shown.params:
        if isinstance(parameter, click.Option) and parameter.help:
            parameter.help = gettext.gettext(parameter.help)
    if isinstance(shown, click.Group):
        shown.commands = {name: translated(inner) for name, inner in shown.commands.items()}
    return shown


def in_words(text: str) -> str:
    """What a stage of the library has told, in the language that is in use where it can be translated."""
    return text.translated(gettext.gettext) if isinstance(text, Sentence) else text


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring, each on one line: what is translated does not depend on where lines end."""
    return [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n")]


def filled(text: str, columns: int = 76) -> str:
    """The text in lines of at most so many columns, broken at spaces and between Chinese characters."""
    lines = [""]
    for word in WORDS.findall(text):
        if width(lines[-1] + word.rstrip()) > columns:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)
