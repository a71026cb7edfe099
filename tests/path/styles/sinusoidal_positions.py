"""Right in unusual ways."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


def sinusoidal_positions_as_the_tutorial(context_length: int, d_model: int) -> Tensor:
    if d_model % 2 != 0:
        raise ValueError("odd")
    pe = torch.zeros(context_length, d_model)
    position = torch.arange(0, context_length, dtype=torch.float).unsqueeze(1)
    div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term)
    return pe


def sinusoidal_positions_in_python(context_length: int, d_model: int) -> Tensor:
    if d_model & 1:
        raise ValueError(d_model)
    rows = [
        [
            math.cos(p / 10000 ** ((j - 1) / d_model)) if j % 2 else math.sin(p / 10000 ** (j / d_model))
            for j in range(d_model)
        ]
        for p in range(context_length)
    ]
    return torch.tensor(rows)


def sinusoidal_positions_in_numpy(context_length: int, d_model: int) -> Tensor:
    class OddWidth(ValueError):
        pass

    if d_model % 2:
        raise OddWidth
    j = np.arange(d_model)
    angles = np.arange(context_length)[:, None] / np.power(10000, 2 * (j // 2) / np.float32(d_model))
    angles[:, 0::2] = np.sin(angles[:, 0::2])
    angles[:, 1::2] = np.cos(angles[:, 1::2])
    return torch.from_numpy(angles)


def sinusoidal_positions_as_rotations(context_length: int, d_model: int) -> Tensor:
    if d_model % 2 == 1:
        raise ValueError("d_model must be even")
    waves = 1.0 / (10000 ** (torch.arange(0, d_model, 2, dtype=torch.float64) / d_model))
    turns = torch.polar(
        torch.ones(context_length, d_model // 2, dtype=torch.float64),
        torch.outer(torch.arange(context_length).double(), waves),
    )
    return torch.view_as_real(turns).flip(-1).reshape(context_length, d_model).float()


def sinusoidal_positions_by_a_shifted_sine(context_length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError
    column = torch.arange(d_model)
    exponent = (column - column % 2) / d_model
    angles = torch.arange(context_length)[:, None] * torch.pow(10000.0, -exponent)
    return torch.sin(angles + math.pi / 2 * (column % 2))


def sinusoidal_positions_by_einsum(context_length: int, d_model: int) -> Tensor:
    half, rest = divmod(d_model, 2)
    if rest:
        raise ValueError(f"{d_model} is odd")
    frequencies = torch.logspace(0, -4 * (half - 1) / half, half)
    angles = torch.einsum("l,f->lf", torch.arange(context_length).float(), frequencies)
    out = torch.empty(context_length, half, 2)
    out[..., 0], out[..., 1] = angles.sin(), angles.cos()
    return out.view(context_length, -1)


def sinusoidal_positions_turned_on(context_length: int, d_model: int) -> Tensor:
    if d_model % 2:
        raise ValueError(d_model)
    step = 1e4 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    sine, cosine, rows = torch.zeros_like(step), torch.ones_like(step), []
    for _ in range(context_length):
        rows.append(torch.stack([sine, cosine], -1).flatten())
        sine, cosine = sine * step.cos() + cosine * step.sin(), cosine * step.cos() - sine * step.sin()
    return torch.stack(rows).float()
