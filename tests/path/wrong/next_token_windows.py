"""Wrong implementations of next_token_windows as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def next_token_windows(ids, context_length, stride):
    n = (len(ids) - 1) // context_length
    inputs = ids[: n * context_length].view(n, context_length)
    return inputs, ids[1 : n * context_length + 1].view(n, context_length)
""",
        "stride is ignored",
    ),
    (
        """
import torch
def next_token_windows(ids, context_length, stride):
    starts = range(0, len(ids) - context_length - 1, stride)
    inputs = torch.stack([ids[i : i + context_length] for i in starts])
    return inputs, torch.stack([ids[i + 1 : i + context_length + 1] for i in starts])
""",
        "off by one.*last window",
    ),
]
