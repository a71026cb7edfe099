"""Strategies side by side: one model, one prompt, and how the way of choosing makes the style.

Each text is measured by what the model itself thinks of it (the log-probability of its tokens, at temperature 1) and
by how varied it is. Greedy and beam search write texts that the model finds likely and that repeat themselves; a hot
sample is varied and unlikely; the filters stand between, and contrastive search is varied without dice. People's texts
are less likely than a beam's: the most probable text is not the most natural one.

Read next: the folder `weights/`: how models are kept.
Sources: Holtzman et al. 2020, section 4 (likelihood and repetition); Li et al. 2016, section 5.3 (distinct-n).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..model.transformer import Transformer
from .cache import NextLogits, evaluating
from .engine import GREEDY, generate, is_cached, parts_of
from .parts import GenerationParts
from .strategies import AnyStrategy, Beam, Contrastive, Greedy, Sample
from .stream import encode_prompt

if TYPE_CHECKING:
    from ..text.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Written:
    """What one strategy wrote, with its measures."""

    name: str
    text: str
    n_tokens: int
    log_prob: float  # of all new tokens under the model, in nats
    mean_log_prob: float  # of one
    distinct_1: float  # share of tokens that are different ones
    distinct_2: float  # the same of pairs
    repeated_4: float  # share of runs of four tokens that were there before
    tokens_per_second: float


def standard_strategies(seed: int = 0) -> dict[str, AnyStrategy]:
    """The strategies that `groundup generate --compare` shows, by name."""
    return {
        "greedy": Greedy(),
        "temperature 0.7": Sample(temperature=0.7, seed=seed),
        "temperature 1.2": Sample(temperature=1.2, seed=seed),
        "top-k 40": Sample(top_k=40, seed=seed),
        "top-p 0.9": Sample(top_p=0.9, seed=seed),
        "min-p 0.1": Sample(min_p=0.1, seed=seed),
        "typical 0.9": Sample(typical_p=0.9, seed=seed),
        "repetition penalty 1.3": Sample(repetition_penalty=1.3, seed=seed),
        "contrastive 0.6": Contrastive(),
        "beam 4": Beam(beams=4),
        "beam 4, length penalty 1": Beam(beams=4, length_penalty=1.0),
    }


def compare(
    model: Transformer,
    tokenizer: Tokenizer,
    prompt: str,
    strategies: Mapping[str, AnyStrategy] | None = None,
    *,
    max_tokens: int = 100,
    seed: int = 0,
    parts: GenerationParts | None = None,
) -> Iterator[Written]:
    """Let each strategy continue the prompt; gives each text with its measures as soon as it is written.

    Raises what `encode_prompt` and `generate` do.
    """
    ids = encode_prompt(model, tokenizer, prompt)
    chosen = standard_strategies(seed) if strategies is None else strategies
    eos_id, vocab_size = tokenizer.end_of_text, tokenizer.vocab_size

    def write(strategy: AnyStrategy, n: int) -> list[int]:
        return list(generate(model, ids, strategy, max_tokens=n, eos_id=eos_id, vocab_size=vocab_size, parts=parts))

    write(GREEDY, 1)  # the first call of all is slow, which would be held against the first strategy
    for name, strategy in chosen.items():
        began = time.perf_counter()
        new = write(strategy, max_tokens)
        seconds = time.perf_counter() - began
        log_prob = sum(log_probs_of(model, ids, new))
        yield Written(
            name=name,
            text=tokenizer.decode(token for token in new if token != eos_id),
            n_tokens=len(new),
            log_prob=log_prob,
            mean_log_prob=log_prob / max(len(new), 1),
            distinct_1=distinct(new, 1),
            distinct_2=distinct(new, 2),
            repeated_4=1 - distinct(new, 4),
            tokens_per_second=len(new) / seconds,
        )


def log_probs_of(model: Transformer, prompt: Sequence[int], new: Sequence[int]) -> list[float]:
    """The log-probability of each new token after all that stand before it, at temperature 1."""
    ids, length = [*prompt, *new], model.config.context_length
    next_logits = NextLogits(model, cached=is_cached(model, parts_of(model)))
    fitting = ids[:length]
    with torch.inference_mode(), evaluating(model):
        logits = model(torch.tensor([fitting], device=model.wte.device))[0]  # (T, V)
        log_probs = logits.double().log_softmax(dim=-1).cpu()  # (T, V)
    # The rows of one pass say what follows each of its tokens; past the context, each token needs a pass of its own.
    found = [log_probs[i - 1, ids[i]].item() for i in range(len(prompt), min(len(ids), length + 1))]
    for i in range(length + 1, len(ids)):
        found.append(next_logits(ids[:i]).double().log_softmax(dim=-1)[ids[i]].item())
    return found


def distinct(ids: Sequence[int], n: int) -> float:
    """The share of different ones among all runs of n tokens; 1 where there is no run."""
    runs = list(zip(*(ids[i:] for i in range(n)), strict=False))
    return len(set(runs)) / len(runs) if runs else 1.0
