"""Wrong implementations of sgd_step as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def sgd_step(params, grads, lr):
    for i, (p, g) in enumerate(zip(params, grads)):
        params[i] = p - lr * g
""",
        "not in place",
    ),
]
