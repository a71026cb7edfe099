"""Wrong implementations of beam_step as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    best = log_probs.argmax(axis=1)
    totals = scores + log_probs[np.arange(len(scores)), best]
    order = np.argsort(-totals)[:beams]
    return order, best[order], totals[order]
""",
        "own best token",
    ),
    (
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    flat = (scores[:, None] + log_probs).reshape(-1)
    best = np.argsort(flat)[-beams:][::-1]
    tokens, parents = np.divmod(best, log_probs.shape[1])
    return parents, tokens, flat[best]
""",
        "exchanged",
    ),
    (
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    flat = (scores + log_probs).reshape(-1)
    best = np.argsort(-flat)[:beams]
    return best // log_probs.shape[1], best % log_probs.shape[1], flat[best]
""",
        "wrong axis",
    ),
]
