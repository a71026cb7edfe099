"""Wrong implementations of clip_gradients as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def clip_gradients(grads, max_norm):
    for g in grads:
        norm = g.norm().item()
        if norm > max_norm:
            g.mul_(max_norm / norm)
    return norm
""",
        "own norm",
    ),
    (
        """
def clip_gradients(grads, max_norm):
    total = sum(g.double().pow(2).sum().item() for g in grads if g is not None) ** 0.5
    factor = min(1.0, max_norm / (total + 1e-6))
    for i, g in enumerate(grads):
        if g is not None:
            grads[i] = g * factor
    return total
""",
        "put into the list",
    ),
]
