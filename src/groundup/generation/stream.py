"""Text instead of tokens: what a person sees while the model is writing.

Two things stand between a token and the screen. A token may be half a character (a Chinese one has three bytes, and a
token may hold two of them): the tokenizer's stream waits for the rest. And a text may have to end before a given string
("Question:"), which can arrive in several tokens: what could still become that string is held back until it is clear
that it does not. So nothing that was shown ever has to be taken away.

Read next: `compare.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..errors import ConfigError, TokenizerError
from ..model.transformer import Transformer
from ..report import SILENT, Report
from .engine import GREEDY, checked_prompt, generate
from .parts import GenerationParts
from .slots import N_SLOTS, generate_batch
from .strategies import AnyStrategy

if TYPE_CHECKING:
    from ..text.tokenizer import Tokenizer


def stream_text(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    strategy: AnyStrategy = GREEDY,
    *,
    max_tokens: int = 200,
    stop: Sequence[str] = (),
    truncate_left: bool = False,
    parts: GenerationParts | None = None,
    report: Report = SILENT,
) -> Iterator[str]:
    """Continue a text: an iterator over pieces of what follows the prompt, which hold whole characters.

    Ends after max_tokens, at the tokenizer's end of text, or before one of the strings in `stop`.
    Raises what `encode_prompt` and `generate` do, and ConfigError for an empty stop string.
    """
    if "" in stop:
        raise ConfigError("a stop string is empty", where="stream_text", fix="leave it out")
    ids = encode_prompt(model, tokenizer, prompt, truncate_left=truncate_left, report=report)
    eos_id = tokenizer.end_of_text
    tokens = generate(
        model, ids, strategy, max_tokens=max_tokens, eos_id=eos_id, vocab_size=tokenizer.vocab_size, parts=parts
    )
    return before_stop(_decoded(tokens, tokenizer, eos_id), stop)


def write_texts(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    strategy: AnyStrategy = GREEDY,
    *,
    max_tokens: int = 200,
    stop: Sequence[str] = (),
    slots: int = N_SLOTS,
    truncate_left: bool = False,
    parts: GenerationParts | None = None,
    report: Report = SILENT,
) -> list[str]:
    """Continue many texts at once: what follows each prompt, as `stream_text` gives it for that prompt alone.

    Raises as `stream_text`, naming the prompt by its number.
    """
    read: list[list[int]] = []
    for number, prompt in enumerate(prompts, start=1):
        try:
            read.append(encode_prompt(model, tokenizer, prompt, truncate_left=truncate_left, report=report))
        except ConfigError as error:
            raise ConfigError(error.what, where=f"prompt {number}", fix=error.fix, code=error.code) from error
    eos_id = tokenizer.end_of_text
    texts: list[list[int]] = [[] for _ in read]
    batch = generate_batch(
        model,
        read,
        strategy,
        max_tokens=max_tokens,
        eos_id=eos_id,
        vocab_size=tokenizer.vocab_size,
        slots=slots,
        parts=parts,
    )
    for number, token in batch:
        texts[number].append(token)
        report.progress("writing", sum(map(len, texts)), max_tokens * len(texts))
    return ["".join(before_stop(_decoded(text, tokenizer, eos_id), stop)) for text in texts]


def encode_prompt(
    model: Transformer, tokenizer: Tokenizer, prompt: str, *, truncate_left: bool = False, report: Report = SILENT
) -> list[int]:
    """The ids of a prompt; an empty one begins where documents begin, after the end of the one before.

    Raises ConfigError: CLI_PROMPT (empty without such a token; no text), CLI_LENGTH, TOK_MATCH; see `checked_prompt`.
    """
    try:
        ids = tokenizer.encode(prompt)
    except TokenizerError as error:
        raise ConfigError(error.what, where="the prompt", fix=error.fix, code="CLI_PROMPT") from error
    return checked_prompt(ids, model, start_id=tokenizer.end_of_text, truncate_left=truncate_left, report=report)


def before_stop(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    """The text up to the first stop string that is complete, however the text is cut into pieces."""
    held = ""  # not shown yet: it may be the beginning of a stop string
    for piece in pieces:
        held += piece
        # Of several, the one that was complete first counts, so that the pieces make no difference.
        found = [(at + len(text), at) for text in stop if (at := held.find(text)) >= 0]
        if found:
            held = held[: min(found)[1]]
            break
        clear = len(held) - max((_overlap(held, text) for text in stop), default=0)
        if clear:
            yield held[:clear]
        held = held[clear:]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` are the beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def _decoded(tokens: Iterable[int], tokenizer: Tokenizer, eos_id: int | None) -> Iterator[str]:
    stream = tokenizer.stream()
    for token in tokens:
        if token != eos_id:
            yield stream.feed(token)
    yield stream.finish()
