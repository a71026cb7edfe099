"""Wrong implementations of train_tiny_network as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import numpy as np
def train_tiny_network(x, y, w1, b1, w2, b2, lr, steps):
    for _ in range(steps):
        h = np.tanh(x @ w1.T + b1)
        out = (h @ w2 + b2).reshape(-1, 1)
        d = (2 * (out - y)).mean(axis=1) / len(y)
        dh = d[:, None] * w2 * (1 - h**2)
        w1, b1, w2, b2 = w1 - lr * dh.T @ x, b1 - lr * dh.sum(0), w2 - lr * h.T @ d, b2 - lr * d.sum()
    return w1, b1, w2, b2
""",
        "broadcast",
    ),
]
