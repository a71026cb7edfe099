"""Right in unusual ways."""

from __future__ import annotations

import math
from decimal import Decimal


def bits_per_byte_by_log2_e(total_nats: float, total_bytes: int) -> float:
    return total_nats * math.log2(math.e) / total_bytes


def bits_per_byte_mean_first(total_nats: float, total_bytes: int) -> float:
    return (total_nats / total_bytes) / math.log(2)


def bits_per_byte_one_divisor(total_nats: float, total_bytes: int) -> float:
    return total_nats / (math.log(2.0) * total_bytes)


def bits_per_byte_of_perplexity(total_nats: float, total_bytes: int) -> float:
    return math.log2(math.exp(total_nats / total_bytes))


def bits_per_byte_by_decimals(total_nats: float, total_bytes: int) -> float:
    return float(Decimal(total_nats) / Decimal(2).ln() / total_bytes)


def bits_per_byte_by_constant(total_nats: float, total_bytes: int) -> float:
    return 1.442695 * total_nats / total_bytes
