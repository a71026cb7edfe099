"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def apply_temperature_by_the_inverse(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError("the temperature must be above 0")
    return logits * (1 / temperature)


def apply_temperature_by_its_own_error(logits: Tensor, temperature: float) -> Tensor:
    class NoTemperatureError(ValueError):
        pass

    if not temperature > 0:
        raise NoTemperatureError
    return torch.div(logits, temperature)


def apply_temperature_in_place_on_a_copy(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0.0:
        raise ValueError(temperature)
    out = logits.clone()
    out /= temperature
    return out


def apply_temperature_left_alone_at_1(logits: Tensor, temperature: float) -> Tensor:
    if temperature == 1:
        return logits
    if temperature <= 0:
        raise ValueError
    return logits.true_divide(torch.tensor(temperature, dtype=logits.dtype))


def apply_temperature_wide(logits: Tensor, temperature: float) -> Tensor:
    if temperature < 1e-9:
        raise ValueError("too cold")
    return (logits.double() / float(temperature)).to(logits.dtype)


def apply_temperature_row_by_row(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError
    if logits.ndim == 1:
        return torch.stack([score / temperature for score in logits])
    return torch.stack([apply_temperature_row_by_row(row, temperature) for row in logits])
