"""Randomness as an argument: every use draws from a generator of its own, derived from what it is for.

A shared random state makes a run depend on the order in which its pieces happened to ask. Here each use (the order of
the data, a dropout mask, the first weights, a sampled token) gets a generator seeded with

    the first 8 bytes of sha256("groundup/1", purpose, seed, step, micro-batch, index)

so that it follows from these numbers alone. Nothing has to be saved to resume a run exactly, and neither the number
of processes nor the wall clock can change a result.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derived_seed(purpose: str, seed: int, step: int = 0, micro_batch: int = 0, index: int = 0) -> int:
    """The seed of one use: 63 bits of a hash, since torch takes signed 64-bit seeds and negative ones surprise."""
    key = "\x1f".join(["groundup/1", purpose, str(seed), str(step), str(micro_batch), str(index)])
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 1


def seeded_generator(seed: int) -> torch.Generator:
    """A fresh torch generator with exactly this seed, for who has drawn one already."""
    import torch

    return torch.Generator().manual_seed(seed)


def derived_generator(
    purpose: str, seed: int, step: int = 0, micro_batch: int = 0, index: int = 0, device: str | torch.device = "cpu"
) -> torch.Generator:
    """A fresh torch generator on `device` for one use."""
    import torch

    return torch.Generator(device).manual_seed(derived_seed(purpose, seed, step, micro_batch, index))
