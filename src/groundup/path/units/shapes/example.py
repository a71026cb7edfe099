"""The numbers of the text on shapes."""

from __future__ import annotations

import math
from typing import Any

from .broadcast_shapes import broadcast_shapes
from .matrix_multiply import matrix_multiply


def numbers() -> dict[str, Any]:
    """A product of two small matrices, and shapes side by side."""
    a, b = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]]
    one, other = (4, 1, 3), (5, 1)
    return {
        "a": a,
        "b": b,
        "c": matrix_multiply(a, b),
        "one": one,
        "other": other,
        "both": broadcast_shapes(one, other),
    }


def prediction() -> int:
    """How many differences come of 32 predictions and 32 targets in a column."""
    return math.prod(broadcast_shapes((32,), (32, 1)))
