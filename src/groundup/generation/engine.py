"""The decoder: a model, a prompt and a strategy become a stream of tokens.

Everything that writes text in this library (the command line, a server, the samples of a training run, evaluation)
calls `generate`. It is the loop of `decode.py`, handing out each token as soon as it is chosen, with a model whose past
is cached; for a beam it is `beam_search` with the same cache, and `contrastive.py` has a search of its own. Its tokens
are those of `generate_tokens` on a model without a cache, also after the context is full.

A learner's own `generate_tokens`, `gpt_forward`, `transformer_block` or `multi_head_attention` knows no cache: they run
as they are, on the whole text each time.

Read next: `slots.py`, for several texts at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import numpy as np
from torch import Tensor

from ..errors import ConfigError
from ..model.transformer import Transformer
from ..report import SILENT, Report, Sentence
from .beam import Floats, Scored
from .cache import NextLogits
from .contrastive import contrastive_search
from .parts import LIBRARY, GenerationParts
from .strategies import AnyStrategy, Beam, Contrastive, Greedy, Strategy, finite_logits

GREEDY = Greedy()
UNCACHED = frozenset({"generate_tokens", "gpt_forward", "transformer_block", "multi_head_attention"})


def generate(
    model: Transformer,
    ids: Iterable[int],
    strategy: AnyStrategy = GREEDY,
    *,
    max_tokens: int = 200,
    eos_id: int | None = None,
    stop: Collection[int] = (),
    vocab_size: int | None = None,
    parts: GenerationParts | None = None,
) -> Iterator[int]:
    """Continue a prompt: an iterator over the new tokens, each given as soon as it is chosen.

    Ends after max_tokens, after eos_id or after one of `stop` (other ids that end a text, such as the end of a turn);
    that id is given too. vocab_size: of the tokenizer, where the model has more rows; ids above are never chosen.
    parts: those of the model, unless given.
    Raises ConfigError at once for a prompt that cannot be (CLI_PROMPT, CLI_LENGTH), DivergedError on the way.
    """
    prompt = checked_prompt(ids, model)
    if max_tokens < 0:
        raise ConfigError(f"max_tokens is {max_tokens}", where="generate", fix="use 0 or more")
    parts = parts_of(model) if parts is None else parts
    ends = {*stop} if eos_id is None else {eos_id, *stop}
    next_logits = NextLogits(model, vocab_size=vocab_size, cached=is_cached(model, parts))
    if isinstance(strategy, Beam):
        tokens = _best_of_beam(next_logits, prompt, strategy, max_tokens, eos_id=eos_id, parts=parts)
    elif isinstance(strategy, Contrastive):
        tokens = contrastive_search(model, prompt, strategy, max_tokens, vocab_size=vocab_size)
    elif "generate_tokens" in parts.own:
        tokens = _own_loop(next_logits, prompt, strategy, max_tokens, eos_id=eos_id, parts=parts)
    else:
        tokens = _loop(next_logits, prompt, strategy, max_tokens, parts)
    return _up_to(tokens, ends)


def beam_decode(
    model: Transformer,
    ids: Iterable[int],
    strategy: Beam,
    *,
    max_tokens: int = 200,
    eos_id: int | None = None,
    vocab_size: int | None = None,
    parts: GenerationParts | None = None,
) -> list[Scored]:
    """The strategy's `n_best` texts, best first: the new tokens of each, and its score as in `beam_search`."""
    prompt = checked_prompt(ids, model)
    parts = parts_of(model) if parts is None else parts
    next_logits = NextLogits(model, vocab_size=vocab_size, cached=is_cached(model, parts))
    return _beams(next_logits, prompt, strategy, max_tokens, eos_id=eos_id, parts=parts)


def checked_prompt(
    ids: Iterable[int],
    model: Transformer,
    *,
    start_id: int | None = None,
    truncate_left: bool = False,
    report: Report = SILENT,
) -> list[int]:
    """The prompt as a list of ids that the model can take.

    An empty prompt becomes [start_id], or ConfigError (CLI_PROMPT) where there is none. One that is longer than the
    context is ConfigError (CLI_LENGTH); with truncate_left its last tokens are taken, which the report is told.
    """
    prompt, config = [int(i) for i in ids], model.config
    if not prompt and start_id is None:
        raise ConfigError(
            "the prompt is empty", where="the prompt", fix="give it a word to begin with", code="CLI_PROMPT"
        )
    prompt = prompt or [int(start_id or 0)]
    strange = next((i for i in prompt if not 0 <= i < config.vocab_size), None)
    if strange is not None:
        raise ConfigError(
            f"the prompt holds token {strange}, and the model knows 0 to {config.vocab_size - 1}",
            where="the prompt",
            fix="use the tokenizer that the model was trained with",
            code="TOK_MATCH",
        )
    if len(prompt) > config.context_length and not truncate_left:
        raise ConfigError(
            f"the prompt has {len(prompt)} tokens, and the model's context holds {config.context_length}",
            where="the prompt",
            fix="shorten it, or let its beginning be cut off (--truncate-left)",
            code="CLI_LENGTH",
        )
    if len(prompt) > config.context_length:
        report.note(
            Sentence(
                "the prompt has {n} tokens: only the last {most} are read", n=len(prompt), most=config.context_length
            )
        )
    return prompt[-config.context_length :]


def parts_of(model: Transformer) -> GenerationParts:
    """The model's own record where it holds these parts too (`groundup.Parts` does), otherwise the library's."""
    return model.parts if isinstance(model.parts, GenerationParts) else LIBRARY


def is_cached(model: Transformer, parts: GenerationParts) -> bool:
    """Whether everything that runs knows a cache."""
    return not UNCACHED & (model.parts.own | parts.own)


def _loop(
    next_logits: NextLogits, prompt: list[int], strategy: Strategy, max_tokens: int, parts: GenerationParts
) -> Iterator[int]:
    """The loop of `generate_tokens`, as a stream."""
    ids = list(prompt)
    for _ in range(max_tokens):
        token = strategy.choose(next_logits(ids), ids, parts)
        ids.append(token)
        yield token


def _own_loop(
    next_logits: NextLogits,
    prompt: list[int],
    strategy: Strategy,
    max_tokens: int,
    *,
    eos_id: int | None,
    parts: GenerationParts,
) -> Iterator[int]:
    """A learner's `generate_tokens`, which gives the whole text at its end."""
    ids = list(prompt)

    def choose(logits: Tensor) -> int:
        token = strategy.choose(logits, ids, parts)
        ids.append(token)
        return token

    context_length = next_logits.model.config.context_length
    text = parts.generate_tokens(next_logits, list(prompt), max_tokens, choose, eos_id, context_length)
    yield from (int(token) for token in text[len(prompt) :])


def _beams(
    next_logits: NextLogits,
    prompt: list[int],
    strategy: Beam,
    max_tokens: int,
    *,
    eos_id: int | None,
    parts: GenerationParts,
) -> list[Scored]:
    """`beam_search` on a model: all texts of a step in one batch, from one cache."""

    def next_log_probs(texts: list[list[int]]) -> Floats:
        if len({len(text) for text in texts}) > 1:  # an own beam search may ask for texts of several lengths
            return np.concatenate([next_log_probs([text]) for text in texts])
        logits = finite_logits(next_logits.of_each(texts), len(texts[0]))  # (…, V)
        return logits.double().log_softmax(dim=-1).cpu().numpy()  # (…, V)

    found = parts.beam_search(next_log_probs, prompt, strategy.beams, max_tokens, eos_id, strategy.length_penalty)
    return [(text[len(prompt) :], score) for text, score in found[: strategy.n_best]]


def _best_of_beam(
    next_logits: NextLogits,
    prompt: list[int],
    strategy: Beam,
    max_tokens: int,
    *,
    eos_id: int | None,
    parts: GenerationParts,
) -> Iterator[int]:
    for text, _ in _beams(next_logits, prompt, strategy, max_tokens, eos_id=eos_id, parts=parts)[:1]:
        yield from text


def _up_to(tokens: Iterator[int], ends: Collection[int]) -> Iterator[int]:
    for token in tokens:
        yield token
        if token in ends:
            return
