"""Wrong implementations of decay_groups as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def decay_groups(named):
    decay = [name for name, p in named if p.dim() >= 2]
    return decay, [name for name, p in named if p.dim() < 2]
""",
        "embeddings decay",
    ),
    (
        """
def decay_groups(named):
    exempt = lambda name: "bias" in name or "ln" in name
    return [n for n, _ in named if not exempt(n)], [n for n, _ in named if exempt(n)]
""",
        "by the word",
    ),
]
