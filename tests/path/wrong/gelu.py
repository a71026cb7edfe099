"""Wrong implementations of gelu as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch.nn.functional as F
def gelu(x):
    return F.gelu(x)
""",
        "erf",
    ),
    (
        """
import torch, math
def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * x + 0.044715 * x**3))
""",
        "bracket",
    ),
]
