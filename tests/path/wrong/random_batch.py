"""Wrong implementations of random_batch as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def random_batch(ids, batch_size, context_length, generator):
    ix = torch.randint(len(ids) - context_length + 1, (batch_size,), generator=generator)
    x = torch.stack([ids[i : i + context_length] for i in ix])
    y = torch.stack([ids[i + 1 : i + context_length + 1] for i in ix])
    return x, y
""",
        "off by one.*beyond",
    ),
    (
        """
import random
import torch
def random_batch(ids, batch_size, context_length, generator):
    ix = [random.randrange(len(ids) - context_length) for _ in range(batch_size)]
    x = torch.stack([ids[i : i + context_length] for i in ix])
    return x, torch.stack([ids[i + 1 : i + context_length + 1] for i in ix])
""",
        "generator is ignored",
    ),
]
