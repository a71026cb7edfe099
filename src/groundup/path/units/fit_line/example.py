"""The numbers of the text on a line through points."""

from __future__ import annotations

from typing import Any

import numpy as np

from .fit_line import fit_line

X, Y, LR = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0]), 0.1


def numbers() -> dict[str, Any]:
    """Three points on 2x + 1, and the line after some steps."""
    errors = -Y
    return {
        "x": X.tolist(),
        "y": Y.tolist(),
        "lr": LR,
        "errors": errors.tolist(),
        "dw": 2 * float(np.mean(errors * X)),
        "db": 2 * float(np.mean(errors)),
        "after": {steps: fit_line(X, Y, LR, steps) for steps in (1, 2, 10, 100)},
    }


def prediction() -> float:
    """The height that nine points at 0 and one at 100 agree on."""
    return round(fit_line(np.zeros(10), np.array([0.0] * 9 + [100.0]), 0.1, 500)[1], 6)
