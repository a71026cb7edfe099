"""Wrong implementations of fit_line as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def fit_line(x, y, lr, steps):
    w = b = 0.0
    for _ in range(steps):
        w -= lr * 2 * ((w * x + b - y) * x).mean()
        b -= lr * 2 * (w * x + b - y).mean()
    return w, b
""",
        "sequential",
    ),
]
