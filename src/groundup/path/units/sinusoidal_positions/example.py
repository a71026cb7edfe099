"""The numbers of the text on sinusoidal positions."""

from __future__ import annotations

import math
from typing import Any

from .sinusoidal_positions import sinusoidal_positions


def numbers() -> dict[str, Any]:
    """The first rows of a narrow table, and how alike rows at some distances are."""
    table = sinusoidal_positions(3, 4)
    wide = sinusoidal_positions(200, 64)
    return {
        "table": table.tolist(),
        "slow": 10000 ** (2 / 4),
        "shortest": 2 * math.pi,
        "near": float(wide[3] @ wide[5]),
        "near_again": float(wide[103] @ wide[105]),
        "far": float(wide[3] @ wide[103]),
    }


def prediction() -> float:
    """The sum of the squares of a row."""
    return round(float((sinusoidal_positions(1001, 64)[1000] ** 2).sum()), 3)
