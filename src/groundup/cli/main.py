"""The door of the command line: find the command, run it, and turn whatever happens into an exit status.

The commands stand in a table as names and addresses in text, so that `groundup --help` loads none of them, and torch
with none. A command parses its arguments, calls the library and shows the answer. Errors pass through it untouched:
here alone they become words and a status.

    0  done                     2  the request was wrong           130  interrupted
    1  the answer is "no"       3  it was right, but could not be done
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from types import FrameType

import click

from .. import __version__
from ..errors import COULD_NOT, INTERRUPTED, ConfigError, GroundupError, is_out_of_memory, out_of_memory, quoted
from .groups import Group
from .language import choose_language, taken_from, translated, use_language
from .terminal import fall_silent, indented, open_streams, say_json, say_last, styled, visible, width

# In the order in which one meets them: name, address, what it does.
COMMANDS = {
    "tokenizer": ("groundup.cli.tokenizer:tokenizer", "turn text into tokens: train a tokenizer, encode, decode, show"),
    "prepare": ("groundup.cli.prepare:prepare", "turn texts of any size into token shards to train on"),
    "train": ("groundup.cli.train:train", "train a model; with nothing given, a small one that learns Shakespeare"),
    "generate": ("groundup.cli.generate:generate", "let a trained model write"),
    "eval": ("groundup.cli.evaluate:evaluate", "measure a model on a text: bits per byte, perplexity"),
    "export": ("groundup.cli.export:export", "write a model in the form that transformers, vLLM and llama.cpp read"),
    "learn": ("groundup.cli.learn:learn", "write the parts yourself, one after the other, and know that each is right"),
    "check": ("groundup.cli.check:check", "judge your own version of a part, and say why it is wrong"),
    "doctor": ("groundup.cli.doctor:doctor", "find out what ails a run, and what to do about it"),
    "bench": ("groundup.cli.bench:bench", "measure speed: training, decoding, the tokenizer"),
}
OLDEST_PYTHON, OLDEST_TORCH = (3, 11), (2, 10)


@dataclass
class Session:
    """What is known of the command that runs, for the case that it does not come back."""

    command: str = "groundup"
    run_dir: Path | None = None
    own_parts: tuple[str, ...] = ()  # the names of somebody's own parts that are at work


class Commands(Group):
    """The group whose commands stand in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the one command that is asked for."""
        if cmd_name not in COMMANDS:
            return None
        require_versions()
        ctx.ensure_object(Session).command = f"groundup {cmd_name}"
        module, _colon, name = COMMANDS[cmd_name][0].partition(":")
        return translated(getattr(importlib.import_module(module), name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section(_("Commands")):
            formatter.write_dl([(name, _(what)) for name, (_address, what) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message="groundup %(version)s", help="Show the version and exit.")
@click.option("--lang", expose_value=False, metavar="en|zh", help="The language of this screen (also GROUNDUP_LANG).")
@click.option("--debug", is_flag=True, expose_value=False, help="Show where in the code an error came from.")
def groundup() -> None:
    """Build a large language model from the ground up.

    `groundup train` trains one in about three minutes, without a graphics card; `groundup COMMAND --help` tells more.
    """


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    if words is None:
        speak_utf8()
    open_streams()
    given = list(sys.argv[1:] if words is None else words)
    leaving = Leaving(as_json="--json" in given)
    leaving.catch()
    try:
        status = answer(given)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        fall_silent(sys.stdout)  # the reader has had enough: `groundup … | head`
        return 0
    except OSError as error:  # what was still waiting to be written could not be
        fall_silent(sys.stdout)
        told = as_told(error, Session())
        tell(told, as_json=False)
        return told.status
    finally:
        leaving.told = True
        if words is not None:  # called by a program that goes on; a process of ours ends now, as the signal says
            leaving.put_back()


def speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where the locale has another encoding: paths and texts are UTF-8 everywhere.

    What goes to the terminal stays in the encoding that the terminal is known to have.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or os.name == "nt":
        return
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


class Leaving:
    """What a signal does where there is nothing to save: the first Ctrl-C stops the work, all others the process.

    `training.signals` takes over as long as a run has something to save.
    """

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.told = False  # how the command ended: nothing more is to be said
        self._asked = False
        self._previous: dict[int, object] = {}

    def catch(self) -> None:
        """Take the signals over, where Python allows it and nobody (nohup) has switched them off."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")):
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._note)

    def put_back(self) -> None:
        """Leave the signals as they were."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType] -- what signal.signal gave us

    def _note(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and not self._asked and not self.told:
            self._asked = True
            raise KeyboardInterrupt
        if not self.told:
            last_words(GroundupError("stopped", code="INTERRUPTED", status=INTERRUPTED), self.as_json)
        os._exit(INTERRUPTED)


def last_words(error: GroundupError, as_json: bool) -> None:
    """Tell an error past all buffers: the process ends in the next moment, maybe in the middle of a line."""
    text = json.dumps({"error": error.as_json()}) if as_json else as_text(error)
    with contextlib.suppress(OSError):
        os.write(1 if as_json else 2, f"{text}\n".encode("utf-8", "backslashreplace"))


def answer(words: list[str]) -> int:
    """Run one command, and say what went wrong if something did; returns the exit status."""
    session = Session()
    try:
        asked, rest = taken_from([word for word in words if word != "--debug"])
        use_language("en")  # so that a wrong --lang is an English sentence
        use_language(choose_language(asked, os.environ))
        return run(rest, session)
    except BrokenPipeError:
        raise
    except BaseException as error:
        told = as_told(error, session)
        if "--debug" in words:
            say_last(traced(error))
        tell(told, as_json="--json" in words)
        return told.status


def tell(error: GroundupError, as_json: bool) -> None:
    """Say an error to people, or to a program; the exit status counts, whether anybody reads this or not."""
    if not as_json:
        say_last(as_text(error))
        return
    try:
        say_json({"error": error.as_json()})
    except OSError:
        fall_silent(sys.stdout)


def run(words: list[str], session: Session) -> int:
    """Find the command and run it; returns its exit status. Not by click's own main, which has a way with errors."""
    command = translated(groundup)
    try:
        with command.make_context("groundup", words, obj=session) as context:
            return command.invoke(context)
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code


def as_text(error: GroundupError) -> str:
    """An error as people read it: what was wrong, where, and what to do."""
    first = f"{visible(error.what)} [{error.code}]"
    if error.status != INTERRUPTED:
        first = f"{styled(_('error:'), sys.stderr, fg='red', bold=True)} {first}"
    lines = [first]
    for label, text in ((_("where:"), error.where), (_("fix:"), error.fix)):
        if text:
            margin = max(width(_("where:")), width(_("fix:")))
            shown = indented(
                "\n".join(line.strip() for line in visible(text).splitlines()), " " * (margin + 3)
            ).lstrip()
            lines.append(f"  {styled(label, sys.stderr, bold=True)}{' ' * (margin - width(label))} {shown}")
    return "\n".join(lines)


# --- whatever may go wrong becomes a GroundupError ----------------------------------------------------------------


def as_told(error: BaseException, session: Session) -> GroundupError:
    """The error that the user is told about."""
    match error:
        case GroundupError():
            return error
        case click.UsageError():
            return usage_error(error, session)
        case KeyboardInterrupt():
            return GroundupError("stopped", code="INTERRUPTED", status=INTERRUPTED)
        case OSError(errno=errno.ENOSPC | errno.EFBIG | errno.EIO, filename=None):
            return GroundupError(
                f"standard output cannot be written: {error.strerror}",
                fix="free some space where it goes, or send it somewhere else",
                code="DISK_FULL",
            )
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EROFS | errno.EACCES | errno.EPERM):
            from ..files import storage_error

            return storage_error(error, Path(error.filename or "standard output"))
        case FileNotFoundError(filename=None) if "temporary directory" in str(error):
            return no_temporary_folder(error)
        case _ if is_out_of_memory(error):
            return out_of_memory(error)
        case _:
            return own_part_error(error, session) or bug(error, session)


def no_temporary_folder(error: OSError) -> GroundupError:
    """The error for a machine on which no temporary file can be written."""
    return GroundupError(
        "there is no folder for temporary files",
        where=quoted(str(error)),
        fix="set TMPDIR to a folder that you may write to",
        code="TMPDIR",
    )


def usage_error(error: click.UsageError, session: Session) -> ConfigError:
    """A request that click could not read, said in our words."""
    command = error.ctx.command_path if error.ctx else session.command
    fix = f"see {command} --help"
    parameter = name_of(error.param) if isinstance(error, click.BadParameter) and error.param else ""
    match error:
        case click.MissingParameter():
            what = f"{parameter} is missing"
        case click.BadParameter():
            what = f"{parameter}: {error.message}"
        case click.NoSuchOption():
            what = f"there is no option {quoted(error.option_name)}"
            close = difflib.get_close_matches(error.option_name, error.possibilities or [], n=1)
            fix = f"did you mean {close[0]}?" if close else fix
        case _:
            what = error.message[:1].lower() + error.message[1:]
    return ConfigError(what.rstrip("."), where=command, fix=fix, code="CLI_USAGE")


def name_of(parameter: click.Parameter) -> str:
    """An option's name with its dashes, an argument's in capitals."""
    return (
        max(parameter.opts, key=len) if isinstance(parameter, click.Option) else parameter.human_readable_name.upper()
    )


def own_part_error(error: BaseException, session: Session) -> ConfigError | None:
    """The error for a fault in somebody's own part, which is theirs to mend and not a fault of the library."""
    if not session.own_parts:
        return None
    from ..training.parts import fault_of_own_parts

    told = fault_of_own_parts(error, session.own_parts)
    told.where = told.where or kept(traced(error), session.run_dir)
    return told


def bug(error: BaseException, session: Session) -> GroundupError:
    """What no other error covers is our fault; the traceback is kept, so that it can be reported."""
    text = f"groundup {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n{traced(error)}"
    first_line = next(iter(str(error).splitlines()), "")
    return GroundupError(
        f"something broke inside groundup: {type(error).__name__}: {quoted(first_line)}",
        where=kept(text, session.run_dir),
        fix="please report this, with that file",
        code="BUG",
        status=COULD_NOT,
    )


def traced(error: BaseException) -> str:
    """The traceback."""
    import traceback

    return "".join(traceback.format_exception(error))


def kept(text: str, run_dir: Path | None) -> str:
    """Keep a traceback in the run's debug folder, or in a temporary file; returns the path."""
    import tempfile
    import time

    from .. import files

    name = f"traceback-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    for is_temporary in (False, True) if run_dir else (True,):
        try:  # the place may be what is broken
            folder = Path(tempfile.gettempdir()) / "groundup" if is_temporary else Path(run_dir or "") / "debug"
            files.write_text(folder / name, text.encode("utf-8", "backslashreplace").decode())
        except (GroundupError, OSError, ValueError):
            continue
        return str(folder / name)
    return "the traceback could not be written anywhere: run again with --debug"


def require_versions() -> None:
    """Raise ConfigError VERSION for a Python or torch that is missing or too old, before anything of it is used."""
    from importlib import metadata

    if sys.version_info[:2] < OLDEST_PYTHON:
        raise ConfigError(
            f"Python {'.'.join(map(str, sys.version_info[:3]))} is too old",
            where=sys.executable,
            fix=f"use Python {'.'.join(map(str, OLDEST_PYTHON))} or newer",
            code="VERSION",
            status=COULD_NOT,
        )
    try:
        found = metadata.version("torch")
    except metadata.PackageNotFoundError:
        found = ""
    numbers = tuple(int(number) for number in found.split("+")[0].split(".")[:2] if number.isdigit())
    if numbers < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise ConfigError(
            f"torch {found} is too old" if found else "torch is not installed",
            where=sys.executable,
            fix=f"install torch {oldest} or newer: see https://pytorch.org/get-started",
            code="VERSION",
            status=COULD_NOT,
        )
