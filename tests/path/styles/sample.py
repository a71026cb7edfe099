"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

Generator = torch.Generator


def sample_by_multinomial(logits: Tensor, generator: Generator) -> Tensor:
    probabilities = F.softmax(logits, dim=-1)
    flat = probabilities.view(-1, probabilities.size(-1))
    return torch.multinomial(flat, num_samples=1, generator=generator).view(probabilities.shape[:-1])


def sample_by_the_cumulative_sum(logits: Tensor, generator: Generator) -> Tensor:
    sums = torch.softmax(logits.double(), -1).cumsum(-1)
    dice = torch.rand(logits.shape[:-1], generator=generator, dtype=torch.float64).unsqueeze(-1)
    return (sums <= dice * sums[..., -1:]).sum(-1)


def sample_by_searchsorted(logits: Tensor, generator: Generator) -> Tensor:
    weights = (logits.float() - logits.float().amax(-1, keepdim=True)).exp()
    sums = weights.cumsum(-1)
    dice = torch.rand(*logits.shape[:-1], 1, generator=generator) * sums[..., -1:]
    return torch.searchsorted(sums, dice, right=True).squeeze(-1)


def sample_by_gumbel_noise(logits: Tensor, generator: Generator) -> Tensor:
    dice = torch.rand(logits.shape, generator=generator, dtype=torch.float64).clamp_min(1e-300)
    return (logits.double() - torch.log(-torch.log(dice))).argmax(dim=-1)


def sample_by_an_exponential_race(logits: Tensor, generator: Generator) -> Tensor:
    noise = torch.empty(logits.shape, dtype=torch.float32).exponential_(1, generator=generator)
    return torch.argmax(logits.float().softmax(-1) / noise, -1).to(torch.int32)


def sample_row_by_row(logits: Tensor, generator: Generator) -> Tensor:
    if logits.ndim == 1:
        return torch.multinomial(torch.softmax(logits, 0), 1, generator=generator)[0]
    return torch.stack([sample_row_by_row(row, generator) for row in logits])


def sample_in_plain_python(logits: Tensor, generator: Generator) -> Tensor:
    rows = logits.reshape(-1, logits.shape[-1]).tolist()
    dice = torch.rand(len(rows), generator=generator, dtype=torch.float64).tolist()
    drawn = []
    for row, die in zip(rows, dice, strict=True):
        best = max(row)
        weights = [math.exp(score - best) for score in row]
        left, token = die * sum(weights), 0
        while weights[token] <= left:
            left -= weights[token]
            token += 1
        drawn.append(token)
    return torch.tensor(drawn).reshape(logits.shape[:-1])
