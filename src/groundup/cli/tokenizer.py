"""`groundup tokenizer`: train a tokenizer, and look at what it does to a text."""

from __future__ import annotations

import sys
import time
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ConfigError, DataError, quoted
from .groups import Group
from .models import Notes
from .terminal import MOST_DIGITS, argument_text, has_colour, is_terminal, read_stdin, say, say_json, table, visible

if TYPE_CHECKING:
    from ..text.sources import Reading
    from ..text.tokenizer import Tokenizer

SECONDS_BETWEEN_LINES = 2.0
BACKGROUNDS = ((207, 226, 255), (255, 229, 204), (212, 237, 218), (248, 215, 232), (255, 243, 196))


@click.group(cls=Group)
def tokenizer() -> None:
    """Turn text into tokens: train a tokenizer, and look at what it does to a text.

    TOKENIZER is a folder with a tokenizer.json, a run directory, or gpt2. TEXT may be "-": it is then read from stdin.
    """


@tokenizer.command("train")
@click.argument("files", nargs=-1, required=True)
@click.option("--vocab-size", type=int, required=True, metavar="N", help="How many tokens: 257 or more.")
@click.option("--out", type=Path, required=True, metavar="DIR", help="The folder that tokenizer.json is written to.")
@click.option(
    "--pattern", type=click.Choice(["gpt2", "gpt4"]), default="gpt2", show_default=True, help="How words are cut."
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=None,
    metavar="N",
    help="Counting processes; one for each core unless given.",
)
@click.option("--force", is_flag=True, help="Replace a tokenizer.json that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def train(
    files: tuple[str, ...],
    *,
    vocab_size: int,
    out: Path,
    pattern: str,
    workers: int | None,
    force: bool,
    as_json: bool,
) -> int:
    """Learn a vocabulary from text files, however large.

    FILES are UTF-8 text, or JSON Lines (.jsonl) with a "text" in each line; also .gz or .zst, and folders.
    """
    from ..text.piece_counts import count_pieces
    from ..text.sources import Reading, find_sources, pieces_of
    from ..text.tokenizer import Tokenizer, require_trainable

    require_trainable(vocab_size, pattern, ["<|endoftext|>"])
    require_free(out / "tokenizer.json", force)
    sources, reading = find_sources(files), Reading()
    began = time.perf_counter()
    texts = (piece.text for source in sources for piece in pieces_of(source, reading))
    progress = Progress(reading, sum(source.n_bytes for source in sources))
    found = count_pieces(texts, pattern, workers, report=progress)
    if not found.n_bytes:
        raise DataError("the files are empty", fix="give a file with some text in it", code="DATA_EMPTY")
    made = Tokenizer.from_counts(found.counts, vocab_size, pattern)
    seconds = time.perf_counter() - began
    made.save(out)
    n_tokens = sum(len(made.encode(piece)) * n_times for piece, n_times in found.counts.items())
    if as_json:
        answer = {"vocab_size": made.vocab_size, "bytes": found.n_bytes, "tokens": n_tokens, "seconds": seconds}
        say_json({"out": str(out / "tokenizer.json"), **answer})
        return 0
    say_result(made, found.n_bytes, n_tokens, seconds)
    if made.vocab_size < vocab_size:
        say(_("there is no pair left that occurs twice: a larger text would give more"))
    say(f"{_('written to')} {out / 'tokenizer.json'}")
    return 0


def require_free(path: Path, force: bool) -> None:
    """Raise ConfigError (TOK_EXISTS) where a tokenizer lies already: a model may depend on it."""
    if path.exists() and not force:
        raise ConfigError(
            "a tokenizer is here already",
            where=quoted(str(path)),
            fix="name another folder with --out, or replace it with --force",
            code="TOK_EXISTS",
        )


class Progress(Notes):
    """Tells now and then how far the reading is, how fast it goes and how long it will take."""

    def __init__(self, reading: Reading, total: int) -> None:
        self.reading = reading
        self.total = total
        self.began = self.told = time.monotonic()

    def progress(self, name: str, done: int, total: int) -> None:
        """A line every few seconds, on stderr; short work says nothing."""
        now = time.monotonic()
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        words = _("{done} MB read, {rate} MB/s").format(
            done=f"{done / 1e6:,.0f}", rate=f"{done / 1e6 / (now - self.began):.1f}"
        )
        if self.total and self.reading.n_bytes:
            left = (now - self.began) * (self.total / self.reading.n_bytes - 1)
            words += _(", {seconds} s left").format(seconds=f"{left:.0f}")
        say(words, err=True)


def say_result(made: Tokenizer, n_bytes: int, n_tokens: int, seconds: float) -> None:
    """What was learnt."""
    say(
        _("{n} tokens learnt from {bytes} bytes in {seconds} s; a token stands for {ratio} bytes on average").format(
            n=f"{made.vocab_size:,}", bytes=f"{n_bytes:,}", seconds=f"{seconds:.1f}", ratio=f"{n_bytes / n_tokens:.2f}"
        )
    )
    specials = set(made.specials.values())
    merged = [i for i in range(made.vocab_size) if i not in specials and len(made.token_bytes(i)) > 1]
    if merged:
        longest = sorted(merged, key=lambda i: (-len(made.token_bytes(i)), i))
        say(f"{_('the longest tokens:')} {'  '.join(piece(made, i) for i in longest[:8])}")


@tokenizer.command()
@click.argument("tokenizer")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def encode(tokenizer: str, text: str, as_json: bool) -> int:
    """Write the token ids of a text."""
    ids = loaded(tokenizer).encode(text_of(text))
    if as_json:
        say_json({"ids": ids})
    else:
        say(" ".join(map(str, ids)))
    return 0


@tokenizer.command()
@click.argument("tokenizer")
@click.argument("ids", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def decode(tokenizer: str, ids: tuple[str, ...], as_json: bool) -> int:
    """Write the text that token ids stand for."""
    words = read_stdin().split() if ids == ("-",) else [word for part in ids for word in part.split()]
    text = loaded(tokenizer).decode(number(word) for word in words)
    if as_json:
        say_json({"text": text})
    else:
        say(visible(text) if is_terminal(sys.stdout) else text)
    return 0


@tokenizer.command()
@click.argument("tokenizer")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Write the answer as one line of JSON.")
def show(tokenizer: str, text: str, as_json: bool) -> int:
    """Show where a text is cut, and the id of each piece."""
    chosen = loaded(tokenizer)
    text = text_of(text)
    ids = chosen.encode(text)
    if as_json:
        say_json({"pieces": [as_record(chosen, i) for i in ids]})
        return 0
    say(coloured(chosen, ids) if has_colour(sys.stdout) else "│".join(piece(chosen, i) for i in ids))
    say()
    say(table([[piece(chosen, i), str(i)] for i in ids]))
    n_bytes = len(text.encode("utf-8"))
    say()
    say(
        _("{tokens} tokens for {bytes} bytes: {ratio} bytes a token").format(
            tokens=f"{len(ids):,}", bytes=f"{n_bytes:,}", ratio=f"{n_bytes / max(len(ids), 1):.2f}"
        )
    )
    return 0


def as_record(tokenizer: Tokenizer, i: int) -> dict[str, object]:
    """A token for a program: its bytes in hex, and its text, or null where the bytes are no text by themselves."""
    token = tokenizer.token_bytes(i)
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return {"id": i, "text": text, "bytes": token.hex()}


def loaded(where: str) -> Tokenizer:
    """The tokenizer of that name."""
    from ..text import Tokenizer

    return Tokenizer.load(where)


def text_of(argument: str) -> str:
    """The text that an argument means."""
    return read_stdin() if argument == "-" else argument_text(argument, "the text")


def number(word: str) -> int:
    """One token id."""
    if not word.isdecimal() or len(word) > MOST_DIGITS:
        raise ConfigError(
            f"{quoted(word)} is no token id",
            where="groundup tokenizer decode",
            fix="give whole numbers of 0 or more, with spaces between them",
            code="CLI_USAGE",
        )
    return int(word)


def piece(tokenizer: Tokenizer, i: int) -> str:
    """A token as it can be seen: spaces as ·, line ends as ↵, bytes that are no character by themselves in hex."""
    shown = tokenizer.token_bytes(i).decode("utf-8", errors="backslashreplace")
    return visible(shown.replace(" ", "·").replace("\n", "↵").replace("\t", "⇥"))


def coloured(tokenizer: Tokenizer, ids: list[int]) -> str:
    """The text with each token on a ground of its own."""
    return "".join(
        click.style(piece(tokenizer, i).replace("·", " "), fg="black", bg=BACKGROUNDS[n % len(BACKGROUNDS)])
        + ("\n" if tokenizer.token_bytes(i).endswith(b"\n") else "")
        for n, i in enumerate(ids)
    )
