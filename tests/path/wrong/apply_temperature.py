"""Wrong implementations of apply_temperature as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def apply_temperature(logits, temperature):
    assert temperature > 0
    return logits / temperature
""",
        "a temperature of 0 is a ValueError; it raises AssertionError",
    ),
]
