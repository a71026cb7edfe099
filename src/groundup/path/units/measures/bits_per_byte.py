"""Bits per byte, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def bits_per_byte(total_nats: float, total_bytes: int, *, wrong: Wrong = RIGHT) -> float:
    """The surprise at a whole text, in bits, for each of its bytes.

    total_nats: the sum of the losses of all tokens of a text of total_bytes bytes.
    """
    if "bits_per_byte-logarithm-of-nats" in wrong:
        return math.log2(total_nats) / total_bytes
    if "bits_per_byte-logarithm-of-mean" in wrong:
        return math.log2(total_nats / total_bytes)
    if "bits_per_byte-perplexity" in wrong:
        return math.exp(total_nats / total_bytes)
    if "bits_per_byte-two-to-the" in wrong:
        return 2.0 ** (total_nats / total_bytes)
    bits = _bits(total_nats, wrong)
    if "bits_per_byte-not-divided" in wrong:
        return bits
    if "bits_per_byte-upside-down" in wrong:
        return total_bytes / bits
    if "bits_per_byte-whole-numbers" in wrong:
        return bits // total_bytes
    if "bits_per_byte-multiplied" in wrong:
        return bits * total_bytes
    if "bits_per_byte-per-bit" in wrong:
        return bits / (8 * total_bytes)
    if "bits_per_byte-times-8" in wrong:
        return bits * 8 / total_bytes
    if "bits_per_byte-negated" in wrong:
        return -bits / total_bytes
    if "bits_per_byte-one-fewer" in wrong:
        return bits / (total_bytes - 1)
    return bits / total_bytes


def _bits(total_nats: float, wrong: Wrong) -> float:
    if "bits_per_byte-in-nats" in wrong:
        return total_nats
    if "bits_per_byte-times-ln-2" in wrong:
        return total_nats * math.log(2)
    if "bits_per_byte-ln-10" in wrong:
        return total_nats / math.log(10)
    if "bits_per_byte-decimal-logarithm" in wrong:
        return total_nats / math.log10(2)
    if "bits_per_byte-divided-by-2" in wrong:
        return total_nats / 2
    return total_nats / math.log(2)


def cases(draw: Draw) -> Iterator[Case]:
    """A bit, a byte of noise, one byte, then texts of any length."""
    known = "nats become bits: ln 2 nats are one bit"
    yield case(known, math.log(2), 1)
    yield case(known, 6 * math.log(2), 2)
    yield case(known, 5 * math.log(256), 5)
    yield case("one byte: the bits of its text", 1.5, 1)
    yield case("one byte: the bits of its text", draw.uniform(2, 6), 1)
    for n_bytes in (2, 3, 10, 37, 512):
        for share in (draw.uniform(0.2, 0.6), draw.uniform(0.8, 1.5), draw.uniform(2.0, 5.5)):
            yield case("bits for each byte of the whole text", n_bytes * share, n_bytes)
    for n_bytes in (100_000, 1_115_394):
        yield case("a long text, whose total is large", n_bytes * draw.uniform(0.6, 1.2), n_bytes)
    yield edge("a text without surprise takes no bits", 0.0, 5)
