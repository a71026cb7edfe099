"""Right in unusual ways."""

from __future__ import annotations

import math
from fractions import Fraction


def perplexity_of_math(total_nats: float, total_tokens: int) -> float:
    return math.exp(total_nats / total_tokens)


def perplexity_by_power(total_nats: float, total_tokens: int) -> float:
    return math.e ** (total_nats / total_tokens)


def perplexity_by_bits(total_nats: float, total_tokens: int) -> float:
    return 2 ** (total_nats * math.log2(math.e) / total_tokens)


def perplexity_of_probabilities(total_nats: float, total_tokens: int) -> float:
    return 1 / math.exp(-total_nats / total_tokens)


def perplexity_by_fractions(total_nats: float, total_tokens: int) -> float:
    return math.expm1(float(Fraction(total_nats) / total_tokens)) + 1


def perplexity_by_series(total_nats: float, total_tokens: int) -> float:
    mean, term, total = total_nats / total_tokens, 1.0, 1.0
    for n in range(1, 100):
        term *= mean / n
        total += term
    return total
