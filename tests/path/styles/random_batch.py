"""Right in unusual ways."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

Pair = tuple[Tensor, Tensor]


def random_batch_of_slices(ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator) -> Pair:
    starts = torch.randint(len(ids) - context_length, (batch_size,), generator=generator)
    inputs = torch.stack([ids[i : i + context_length] for i in starts])
    targets = torch.stack([ids[i + 1 : i + 1 + context_length] for i in starts])
    return inputs, targets


def random_batch_of_uniform_numbers(
    ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator
) -> Pair:
    n = len(ids) - context_length
    rows = []
    for _ in range(batch_size):
        start = int(torch.rand((), generator=generator, dtype=torch.float64).item() * n)
        rows.append(ids[start : start + context_length + 1])
    windows = torch.stack(rows)
    return windows[:, :-1], windows[:, 1:]


def random_batch_without_repeats(ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator) -> Pair:
    starts = torch.randperm(len(ids) - context_length, generator=generator)[:batch_size]
    at = torch.arange(context_length)[None] + starts[:, None]
    return torch.take(ids, at), torch.take(ids, at + 1)


def random_batch_by_unfold(
    ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator
) -> list[Tensor]:
    windows = ids.unfold(0, context_length + 1, 1)
    chosen = windows[torch.randint(0, windows.shape[0], (batch_size,), generator=generator)]
    return [chosen[:, :context_length].contiguous(), chosen[:, 1:].contiguous()]


def random_batch_by_multinomial(ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator) -> Pair:
    weights = torch.ones(ids.numel() - context_length)
    starts = torch.multinomial(weights, batch_size, replacement=True, generator=generator).tolist()
    rows = [ids.tolist()[i : i + context_length + 1] for i in starts]
    return torch.tensor([row[:-1] for row in rows]), torch.tensor([row[1:] for row in rows])


def random_batch_by_python(ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator) -> Tensor:
    import random

    dice = random.Random(int(torch.randint(2**60, (), generator=generator)))
    starts = [dice.randrange(len(ids) - context_length) for _ in range(batch_size)]
    inputs = torch.cat([ids[s : s + context_length] for s in starts]).view(batch_size, context_length)
    targets = torch.cat([ids[s + 1 : s + context_length + 1] for s in starts]).view(batch_size, context_length)
    return torch.stack([inputs, targets])


class Batch(NamedTuple):
    inputs: Tensor
    targets: Tensor


def random_batch_named(ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator) -> Batch:
    rows = ids.unfold(0, context_length + 1, 1)
    pairs = TensorDataset(rows[:, :-1], rows[:, 1:])
    sampler = RandomSampler(pairs, replacement=True, num_samples=batch_size, generator=generator)
    return Batch(*next(iter(DataLoader(pairs, batch_size=batch_size, sampler=sampler))))
