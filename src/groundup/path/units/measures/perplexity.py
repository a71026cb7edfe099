"""Perplexity, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def perplexity(total_nats: float, total_tokens: int, *, wrong: Wrong = RIGHT) -> float:
    """The number of equally likely tokens that would surprise as much as the average token did.

    total_nats: the sum of the losses of total_tokens tokens.
    """
    mean = _mean(total_nats, total_tokens, wrong)
    if "perplexity-no-exponential" in wrong:
        return mean
    if "perplexity-divided-afterwards" in wrong:
        return math.exp(total_nats) / total_tokens
    if "perplexity-logarithm" in wrong:
        return math.log(mean)
    if "perplexity-base-2" in wrong:
        return 2.0**mean
    if "perplexity-base-10" in wrong:
        return 10.0**mean
    if "perplexity-e-to-the-bits" in wrong:
        return math.exp(mean / math.log(2))
    if "perplexity-bits" in wrong:
        return mean / math.log(2)
    if "perplexity-divided-again" in wrong:
        return math.exp(mean) / total_tokens
    if "perplexity-times-ln-2" in wrong:
        return 2.0 ** (mean * math.log(2))
    if "perplexity-negated" in wrong:
        return math.exp(-mean)
    return math.exp(mean)


def _mean(total_nats: float, total_tokens: int, wrong: Wrong) -> float:
    """Nats for each token."""
    if "perplexity-not-divided" in wrong:
        return total_nats
    if "perplexity-upside-down" in wrong:
        return total_tokens / total_nats
    if "perplexity-whole-numbers" in wrong:
        return total_nats // total_tokens
    if "perplexity-multiplied" in wrong:
        return total_nats * total_tokens
    if "perplexity-one-fewer" in wrong:
        return total_nats / (total_tokens - 1)
    if "perplexity-one-more" in wrong:
        return total_nats / (total_tokens + 1)
    if "perplexity-square-root" in wrong:
        return total_nats / math.sqrt(total_tokens)
    return total_nats / total_tokens


def cases(draw: Draw) -> Iterator[Case]:
    """Fair dice of 2, 6 and 50257 sides, one token, then texts of any length."""
    fair = "as surprised as by a fair die of so many sides"
    for sides, tokens in ((2, 3), (6, 2), (8, 4), (50257, 10)):
        yield case(fair, tokens * math.log(sides), tokens)
    yield case("one token: e to its loss", 1.5, 1)
    yield case("one token: e to its loss", draw.uniform(1, 6), 1)
    for tokens in (2, 3, 10, 37, 512):
        for mean in (draw.uniform(0.2, 1.0), draw.uniform(1.2, 4.0), draw.uniform(4.0, 10.0)):
            yield case("e to the mean loss in nats", tokens * mean, tokens)
    for tokens in (100_000, 287_113):
        yield case("a long text, whose total is large", tokens * draw.uniform(2.0, 4.0), tokens)
    yield edge("a text without surprise has a perplexity of 1", 0.0, 5)
