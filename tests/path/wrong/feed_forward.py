"""Wrong implementations of feed_forward as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch.nn.functional as F
def feed_forward(x, w_up, b_up, w_down, b_down):
    h = F.gelu(x @ w_down + b_up, approximate="tanh")
    return h @ w_up + b_down
""",
        "exchanged",
    ),
    (
        """
import torch.nn.functional as F
def feed_forward(x, w_up, b_up, w_down, b_down):
    h = F.gelu(F.linear(x, w_up), approximate="tanh") + b_up
    return F.linear(h, w_down, b_down)
""",
        "after the GELU",
    ),
]
