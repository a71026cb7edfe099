"""The temperature of sampling, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference


@reference
def apply_temperature(logits: Tensor, temperature: float, *, wrong: Wrong = RIGHT) -> Tensor:
    """Divide the logits by the temperature.

    logits: (…, V); returns its shape and dtype. Raises ValueError unless temperature is above 0.
    """
    zero_is_fine = "apply_temperature-zero-accepted" in wrong
    below_is_fine = "apply_temperature-negative-accepted" in wrong
    if (temperature == 0 and not zero_is_fine) or (temperature < 0 and not below_is_fine):
        raise ValueError(f"temperature is {temperature}")
    if temperature > 1 and "apply_temperature-above-1-refused" in wrong:
        raise ValueError(f"temperature is {temperature}, above 1")
    if "apply_temperature-last-position" in wrong and logits.ndim > 2:
        logits = logits[..., -1, :]  # (…, V)
    if "apply_temperature-changes-input" in wrong:
        logits.copy_(logits / temperature)
        return logits
    if "apply_temperature-softmax-first" in wrong:
        logits = logits.softmax(-1)
    if "apply_temperature-log-softmax-first" in wrong:
        logits = logits.log_softmax(-1)
    if "apply_temperature-shifted" in wrong:
        logits = logits - logits.amax(-1, keepdim=True)
    out = _divided(logits, temperature, wrong)  # (…, V)
    if "apply_temperature-softmax" in wrong:
        out = out.softmax(-1)
    if "apply_temperature-log-softmax" in wrong:
        out = out.log_softmax(-1)
    if "apply_temperature-detached" in wrong:
        out = out.detach()
    return out.float() if "apply_temperature-float32" in wrong else out


def _divided(logits: Tensor, temperature: float, wrong: Wrong) -> Tensor:
    """The logits, and what is done to them by the temperature."""
    if "apply_temperature-ignored" in wrong:
        return logits
    if "apply_temperature-multiplied" in wrong:
        return logits * temperature
    if "apply_temperature-subtracted" in wrong:
        return logits - temperature
    if "apply_temperature-added" in wrong:
        return logits + temperature
    if "apply_temperature-floored" in wrong:
        return (logits / temperature).floor()
    if "apply_temperature-squared" in wrong:
        return logits / temperature**2
    if "apply_temperature-root" in wrong:
        return logits / math.sqrt(temperature)
    if "apply_temperature-negated" in wrong:
        return -logits / temperature
    return logits / temperature


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes and what a filter has cut, then temperatures that are none, gradients, dtypes."""
    sharper, flatter = "below 1 the logits move apart", "above 1 the logits move together"
    yield case(sharper, torch.tensor([1.0, 3.0, -2.0]), 0.5)
    yield case(flatter, torch.tensor([1.0, 3.0, -2.0]), 2.0)
    yield case("a temperature of 1 changes nothing", torch.tensor([1.0, 3.0, -2.0]), 1.0)
    yield case(flatter, torch.tensor([[4.0, -1.0], [0.0, 2.0]]), 4)
    for shape in ((5,), (2, 3), (3, 3), (1, 6), (2, 3, 4), (3, 3, 3)):
        for temperature in (0.7, 1.5):
            shows = sharper if temperature < 1 else flatter
            yield case(shows, draw.tensor(*shape, scale=3), temperature)
    for temperature in (0.1, 0.01):
        yield case(sharper, draw.tensor(2, 4, scale=3), temperature)
    for temperature in (10.0, 100.0, 3):
        yield case(flatter, draw.tensor(2, 4, scale=3), temperature)
    yield case("a temperature of 1 changes nothing", draw.tensor(2, 3), 1)
    for temperature in (0.0, 0):
        shows = "a temperature of 0 is a ValueError"
        yield edge(shows, torch.tensor([1.0, 3.0, -2.0]), temperature, view=_no_error)
        yield edge(shows, draw.tensor(2, 3), temperature, view=_no_error)
    for temperature in (-1.0, -0.5, -2):
        yield edge("a temperature below 0 is a ValueError", draw.tensor(2, 3), temperature, view=_no_error)
    yield edge("what a filter has cut stays cut", torch.tensor([2.0, -math.inf, 1.0]), 0.5)
    yield edge("any leading shape", draw.tensor(2, 2, 3, 5), 0.7)
    for shape, temperature in (((4,), 0.5), ((2, 3), 1.6)):
        yield edge("the gradient flows", draw.tensor(*shape), temperature, gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", draw.tensor(2, 5, dtype=dtype), 0.8)


def _no_error(_seen: list[Observation]) -> str:
    """Where an error is due, it does not matter what comes instead."""
    return "no error"
