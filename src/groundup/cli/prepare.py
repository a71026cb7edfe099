"""`groundup prepare`: from texts of any size to token shards."""

from __future__ import annotations

import importlib.util
import json
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import click

from ..errors import Interrupted, quoted
from ..report import Report, duration
from .language import in_words
from .terminal import is_terminal, say, say_json, table

SECONDS_BETWEEN_LINES = 10.0
FORMATS = ("auto", "text", "jsonl", "parquet")


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option("--tokenizer", "where", required=True, metavar="DIR", help="A tokenizer, or gpt2.")
@click.option("--out", type=Path, required=True, metavar="DIR", help="The folder for the shards.")
@click.option(
    "--workers", type=int, default=None, metavar="N", help="Encoding processes; one for each core unless given."
)
@click.option(
    "--val-fraction", type=float, default=0.01, show_default=True, help="Of the documents, so many are held out."
)
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="auto", show_default=True, help="What FILES hold."
)
@click.option(
    "--field", default="text", show_default=True, metavar="NAME", help="Where JSON and Parquet have the text."
)
@click.option(
    "--shard-tokens", type=click.IntRange(10_000, 1 << 31), default=1 << 26, show_default=True,
    help="Tokens in a shard.",
)  # fmt: skip
@click.option(
    "--bad-bytes",
    type=click.Choice(["stop", "replace"]),
    default="stop",
    show_default=True,
    help="What to do with bytes that are no UTF-8.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the result as one line of JSON; progress goes to stderr.")
def prepare(
    *,
    files: tuple[str, ...],
    where: str,
    out: Path,
    workers: int | None,
    val_fraction: float,
    kind: Literal["auto", "text", "jsonl", "parquet"],
    field: str,
    shard_tokens: int,
    bad_bytes: str,
    as_json: bool,
) -> int:
    """Turn texts into token shards, for training on more than fits into memory.

    FILES are UTF-8 text, JSON Lines (.jsonl) or Parquet, also .gz or .zst; folders, patterns such as "data/*.jsonl.gz",
    addresses such as s3://bucket/part.jsonl, or "-" for stdin.

    It can be stopped at any time: the same command goes on, and the shards will be the same.
    """
    from ..text import Tokenizer
    from ..text.prepare import PrepareOptions
    from ..text.prepare import prepare as run_prepare
    from ..text.workers import n_cores

    options = PrepareOptions(
        val_fraction=val_fraction,
        shard_tokens=shard_tokens,
        kind=None if kind == "auto" else kind,
        field=field,
        replace_bad_bytes=bad_bytes == "replace",
        workers=n_cores() if workers is None else workers,
    )
    tokenizer = Tokenizer.load(where)
    began = time.monotonic()
    with stopped_by_signals(out), view_for(as_json) as view:
        index = run_prepare(files, tokenizer, out, options, report=view)
    answer = as_json_object(index, out, time.monotonic() - began) | {
        "vocab_size": tokenizer.vocab_size,
        "replaced_bytes": int(view.counts.get("replaced", 0)),
    }
    if as_json:
        say_json(answer)
    else:
        say_result(answer)
    return 0


class stopped_by_signals:
    """While the block runs, SIGTERM and SIGHUP end it as Ctrl-C does: at once, since what is finished is saved."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                number = getattr(signal, name)
                self._previous[number] = signal.signal(number, self._stop)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        raise Interrupted(
            "stopped; the shards that are finished stay",
            where=str(self.out),
            fix="go on with the same command",
        )


def as_json_object(index: Mapping[str, Any], out: Path, seconds: float) -> dict[str, Any]:
    """The result as a program reads it."""

    def total(split: str) -> dict[str, int]:
        entries = index["splits"][split]
        return {
            "documents": sum(entry["documents"]["count"] for entry in entries),
            "tokens": sum(entry["n_tokens"] for entry in entries),
            "text_bytes": sum(entry["n_text_bytes"] for entry in entries),
            "shards": len(entries),
        }

    return {
        "out": str(out),
        "dtype": index["dtype"],
        "tokenizer_sha256": index["tokenizer_sha256"],
        "train": total("train"),
        "val": total("val"),
        "seconds": seconds,
    }


def say_result(answer: Mapping[str, Any]) -> None:
    """What came out, and what to do with it."""
    rows = [["", _("documents"), _("tokens"), _("bytes of text"), _("shards")]]
    for split, name in (("train", _("to learn from")), ("val", _("held out"))):
        counts = answer[split]
        rows.append([name, *(f"{counts[key]:,}" for key in ("documents", "tokens", "text_bytes", "shards"))])
    say(table(rows))
    say(f"{_('written to')} {quoted(answer['out'], 1000)}")
    if answer["out"].isprintable():
        rows = f"--set model.vocab_size={answer['vocab_size']}"
        say(f"\n  {_('train on it')}\n    groundup train --set {shlex.quote(setting(answer['out']))} {rows}")
    else:  # half a character, or a line end: a command that holds it cannot be read off a screen
        say(f"\n  {_('give the folder a simpler name before you train on it')}")


def setting(out: str) -> str:
    """The setting that names a folder of shards."""
    return f"data.train=[{json.dumps(out, ensure_ascii=False)}]"  # a JSON string is one of TOML too


class PrepareView(Report):
    """A line every ten seconds, for logs and pipes."""

    def __init__(self, *, err: bool) -> None:
        self.err = err
        self.counts: Mapping[str, float] = {}
        self._last = time.monotonic()

    def __enter__(self) -> PrepareView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to put back."""

    def prepared(self, counts: Mapping[str, float]) -> None:
        """One line, if the last one was some time ago, or all is done."""
        self.counts = counts
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES or counts["bytes"] == counts["total_bytes"]:
            self._last = time.monotonic()
            say(progress_line(counts), err=self.err)

    def note(self, text: str) -> None:
        """Something worth knowing."""
        say(in_words(text), err=self.err)

    def warn(self, text: str) -> None:
        """Something that went wrong."""
        say(f"{_('warning:')} {in_words(text)}", err=True)


class PrepareBar(PrepareView):
    """A bar that is redrawn in place."""

    def __init__(self) -> None:
        super().__init__(err=False)
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(BarColumn(), TextColumn("{task.description}"), transient=True)
        self._task = self._progress.add_task("…", total=None)

    def __enter__(self) -> PrepareBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def prepared(self, counts: Mapping[str, float]) -> None:
        """Move the bar."""
        self.counts = counts
        total = counts["total_bytes"] or None
        self._progress.update(self._task, completed=counts["bytes"], total=total, description=progress_line(counts))


def progress_line(counts: Mapping[str, float]) -> str:
    """What is done, how fast, and how long the rest will take."""
    seconds, total = max(counts["seconds"], 1e-9), counts["total_bytes"]
    left = duration(seconds / counts["bytes"] * (total - counts["bytes"])) if counts["bytes"] else "…"
    done = f"{counts['bytes'] / total:.0%}" if total else "…"
    return _("{done}  {documents} documents, {tokens} tokens  {rate} MB/s  time left {left}").format(
        done=done,
        documents=f"{counts['documents']:,.0f}",
        tokens=f"{counts['tokens']:,.0f}",
        rate=f"{counts['text_bytes'] / seconds / 1e6:.1f}",
        left=left if total else "…",
    )


def view_for(as_json: bool) -> PrepareView:
    """The bar on a terminal that has rich, otherwise plain lines; on stderr where stdout is for programs."""
    if as_json or not is_terminal(sys.stdout) or importlib.util.find_spec("rich") is None:
        return PrepareView(err=as_json)
    return PrepareBar()
