"""Ways of choosing, as plain objects: what `strategy=` takes.

`Greedy` and `Sample` look at the scores of one token after another. `Beam` looks at whole texts, `Contrastive` at what
the model would think next. An own strategy is any
object with a method `choose(logits, ids, parts)`; an own filter is a function from scores and text so far to scores,
given as `Sample(filters=(no_digits,))`.

The draw at a place follows from the seed and the number of tokens before it alone. So a text that was cut off and given
back as a prompt goes on as it would have, and nothing depends on who else is being served.

Read next: `contrastive.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from ..config import raise_problems
from ..errors import DivergedError
from ..randomness import derived_generator
from .filters import bias_logits, typical_filter, wide
from .parts import LIBRARY, GenerationParts

Filter = Callable[[Tensor, Sequence[int]], Tensor]  # scores (V,) and the text so far -> scores (V,)

MOST_BEAMS = 1024  # each of them a row of its own in the cache
LARGEST_PENALTY = 10.0  # of the length: a power of the number of tokens
LARGEST_BIAS = 1e30  # of a score, which is a float32: larger ones add up to infinity

COLDEST = 1e-4  # below this temperature the best token has all the probability: dividing could only overflow


class Strategy(Protocol):
    """Anything that chooses the next token."""

    def choose(self, logits: Tensor, ids: Sequence[int], parts: GenerationParts = LIBRARY) -> int:
        """logits: (V,) of the next token, ids: the whole text so far -> a token id."""
        ...


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Always the best token."""

    def choose(self, logits: Tensor, ids: Sequence[int], parts: GenerationParts = LIBRARY) -> int:
        """logits: (V,), ids: the text so far -> a token id. Raises DivergedError when there is no best."""
        return int(parts.greedy(finite_logits(logits, len(ids))))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A random draw from the filtered distribution. Raises ConfigError for settings out of range, all at once."""

    temperature: float = 1.0  # 0: greedy
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float = 1.0  # 1: none
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])  # added to these tokens' scores
    seed: int = 0
    filters: tuple[Filter, ...] = ()  # own ones, in this order, before temperature and the cuts

    def choose(self, logits: Tensor, ids: Sequence[int], parts: GenerationParts = LIBRARY) -> int:
        """logits: (V,), ids: the text so far -> a token id. Raises DivergedError when there is none to choose."""
        logits = self.bent(finite_logits(logits, len(ids)), ids, parts)
        if self.temperature < COLDEST:
            return int(parts.greedy(finite_logits(logits, len(ids))))
        logits = self.cut(parts.apply_temperature(logits, self.temperature), parts)
        return int(parts.sample(logits, derived_generator("sampling", self.seed, step=len(ids))))

    def bent(self, logits: Tensor, ids: Sequence[int], parts: GenerationParts = LIBRARY) -> Tensor:
        """What looks at single tokens and the text: bias, repetition penalty, own filters. logits: (V,); its shape."""
        if self.logit_bias:
            logits = bias_logits(logits, self.logit_bias)
        if self.repetition_penalty != 1:
            logits = parts.repetition_penalty(logits, ids, self.repetition_penalty)
        for own in self.filters:
            logits = own(logits, ids)
        return logits

    def cut(self, logits: Tensor, parts: GenerationParts = LIBRARY) -> Tensor:
        """The filters that cut off the tail. logits: (V,); returns its shape, with -inf for what is gone."""
        if self.top_k is not None:
            logits = parts.top_k_filter(logits, self.top_k)
        if self.top_p is not None:
            logits = parts.top_p_filter(logits, self.top_p)
        if self.min_p is not None:
            logits = parts.min_p_filter(logits, self.min_p)
        if self.typical_p is not None:
            logits = typical_filter(logits, self.typical_p)
        return logits

    def __post_init__(self) -> None:
        raise_problems([], list(self.problems()), where="Sample")

    def problems(self) -> Iterator[str]:
        """Each setting that is out of range, with what would do. NaN is never in range."""
        if not _is_number(self.temperature) or self.temperature < 0:
            yield f"temperature is {self.temperature}: use a number from 0 (greedy) up, for example 0.8"
        if self.top_k is not None and not _is_count(self.top_k):
            yield f"top_k is {self.top_k}: use a whole number of at least 1, or leave it out"
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            yield f"top_p is {self.top_p}: use a number above 0, up to 1 (all)"
        if self.min_p is not None and not (_is_number(self.min_p) and 0 <= self.min_p <= 1):
            yield f"min_p is {self.min_p}: use a number from 0 (all) to 1 (the best alone)"
        if self.typical_p is not None and not (_is_number(self.typical_p) and 0 < self.typical_p <= 1):
            yield f"typical_p is {self.typical_p}: use a number above 0, up to 1 (all)"
        for token, bias in self.logit_bias.items():
            if not ((_is_number(bias) and abs(bias) <= LARGEST_BIAS) or bias == -math.inf):
                yield (
                    f"logit_bias of token {token} is {bias}: use a number, for example 5, of at most {LARGEST_BIAS:g}, "
                    "or -inf to rule it out"
                )
        if not _is_number(self.repetition_penalty) or self.repetition_penalty <= 0:
            yield f"repetition_penalty is {self.repetition_penalty}: use a number above 0, for example 1.1; 1 is none"


@dataclass(frozen=True, kw_only=True)
class Beam:
    """The most probable text that a beam finds. Raises ConfigError for settings out of range, all at once."""

    beams: int = 4
    length_penalty: float = 0.0  # 0: none; 1: the mean log-probability of a token; more favours longer texts
    n_best: int = 1  # how many texts `beam_decode` gives back

    def __post_init__(self) -> None:
        raise_problems([], list(self.problems()), where="Beam")

    def problems(self) -> Iterator[str]:
        """Each setting that is out of range, with what would do."""
        if not _is_count(self.beams) or self.beams > MOST_BEAMS:
            yield f"beams is {self.beams}: use a whole number from 1 to {MOST_BEAMS}"
        if not _is_number(self.length_penalty) or abs(self.length_penalty) > LARGEST_PENALTY:
            yield (
                f"length_penalty is {self.length_penalty}: "
                f"use a number from -{LARGEST_PENALTY:g} to {LARGEST_PENALTY:g}, for example 1"
            )
        if not _is_count(self.n_best) or (_is_count(self.beams) and self.n_best > self.beams):
            yield f"n_best is {self.n_best}: use a whole number from 1 to beams ({self.beams})"


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """A likely token that says something new. Raises ConfigError for settings out of range, all at once."""

    alpha: float = 0.6  # how much being new counts, beside being likely; 0: greedy
    top_k: int = 4  # among how many of the likeliest tokens to choose; 1: greedy

    def __post_init__(self) -> None:
        raise_problems([], list(self.problems()), where="Contrastive")

    def problems(self) -> Iterator[str]:
        """Each setting that is out of range, with what would do."""
        if not (_is_number(self.alpha) and 0 <= self.alpha <= 1):
            yield f"alpha is {self.alpha}: use a number from 0 (greedy) to 1 (only what is new)"
        if not _is_count(self.top_k):
            yield f"top_k is {self.top_k}: use a whole number of at least 1, for example 4"


AnyStrategy = Strategy | Beam | Contrastive  # what `strategy=` takes


def parts_called(strategy: AnyStrategy) -> frozenset[str]:
    """The parts of this chapter that a strategy calls."""
    match strategy:
        case Greedy():
            return frozenset({"generate_tokens", "greedy"})
        case Beam():
            return frozenset({"beam_search", "beam_step"})
        case Contrastive():
            return frozenset()
        case Sample():
            is_cold = strategy.temperature < COLDEST
            filters = {"top_k_filter": strategy.top_k, "top_p_filter": strategy.top_p, "min_p_filter": strategy.min_p}
            drawing = {"apply_temperature", "sample"} | {name for name, value in filters.items() if value is not None}
            penalty = {"repetition_penalty"} if strategy.repetition_penalty != 1 else set[str]()
            return frozenset({"generate_tokens"} | penalty | ({"greedy"} if is_cold else drawing))
        case _:
            return frozenset(GenerationParts.names())  # an own strategy may call any


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def finite_logits(logits: Tensor, position: int) -> Tensor:
    """The logits themselves, in float32 at least. Raises DivergedError (NUM_LOGITS) when they say nothing.

    logits: (…, V); returns its shape. -inf is a score like others, as long as one token has a finite one.
    """
    # The largest score is nan if any is nan, and infinite if any is or if all are -inf: one look finds all three.
    best = logits.amax(dim=-1)  # (…)
    if strange := best[~best.isfinite()].tolist():
        raise DivergedError(
            f"the model's scores are not finite: the best of them is {strange[0]}",
            where=f"the token at position {position}",
            fix="a weight is damaged or has diverged: use an earlier checkpoint, or train with a lower rate",
            code="NUM_LOGITS",
        )
    return wide(logits)
