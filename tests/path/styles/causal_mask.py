"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_mask_by_positions(t: int, device: torch.device | str | None = None) -> Tensor:
    at = torch.arange(t, device=device)  # (T,)
    return at[None, :] <= at[:, None]


def causal_mask_by_not_above(t: int, device: torch.device | str | None = None) -> Tensor:
    return ~torch.triu(torch.ones((t, t), device=device), diagonal=1).bool()


def causal_mask_by_loops(t: int, device: torch.device | str | None = None) -> Tensor:
    mask = torch.zeros(t, t, device=device)
    for i in range(t):
        for j in range(i + 1):
            mask[i, j] = 1
    return mask == 1


def causal_mask_of_lists(t: int, device: torch.device | str | None = None) -> Tensor:
    rows = [[j <= i for j in range(t)] for i in range(t)]
    return torch.tensor(rows, dtype=torch.bool, device=device).reshape(t, t)


def causal_mask_cut_from_a_larger_one(t: int, device: torch.device | str | None = None) -> Tensor:
    return torch.tril(torch.full((256, 256), True, device=device))[:t, :t]


def causal_mask_by_running_sum(t: int, device: torch.device | str | None = None) -> Tensor:
    return torch.eye(t, device=device).cumsum(0).gt(0)


def causal_mask_of_infinities(t: int, device: torch.device | str | None = None) -> Tensor:
    return torch.full((t, t), float("-inf"), device=device).triu(1) == 0
