"""The numbers of the text on measuring."""

from __future__ import annotations

from typing import Any

from .bits_per_byte import bits_per_byte
from .perplexity import perplexity

N_BYTES = 400
A, B = (300.0, 90), (320.0, 130)  # nats and tokens
NATS, COARSE, FINE = 300.0, 100, 200  # of the prediction: one total, two ways to cut the text


def numbers() -> dict[str, Any]:
    """Two models with tokenizers of their own, on one text."""
    found: dict[str, Any] = {"n_bytes": N_BYTES, "all": NATS, "coarse": COARSE, "fine": FINE}
    for name, (nats, tokens) in (("a", A), ("b", B)):
        found |= {
            f"nats_{name}": nats,
            f"tokens_{name}": tokens,
            f"loss_{name}": nats / tokens,
            f"ppl_{name}": perplexity(nats, tokens),
            f"bpb_{name}": bits_per_byte(nats, N_BYTES),
        }
    return found | {"ppl_coarse": perplexity(NATS, COARSE)}


def prediction() -> float:
    """The perplexity of the model whose tokens are twice as many."""
    return perplexity(NATS, FINE)
