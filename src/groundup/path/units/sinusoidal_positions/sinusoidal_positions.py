"""The sinusoidal positions, right or with one of their known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

ROUNDED = 1e-4  # angles of some hundred radians in float32, however the powers are computed


@reference
def sinusoidal_positions(context_length: int, d_model: int, *, wrong: Wrong = RIGHT) -> Tensor:
    """A table of waves: sine in the even columns, cosine in the odd ones, base 10000.

    Returns (L, C). Raises ValueError when d_model is odd.
    """
    if "sinusoidal_positions-arguments-exchanged" in wrong:
        context_length, d_model = d_model, context_length
    if d_model % 2:
        if "sinusoidal_positions-odd-accepted" in wrong:
            return torch.zeros(context_length, d_model)  # what it holds is not looked at
        if "sinusoidal_positions-odd-unchecked" in wrong:
            raise RuntimeError("the sizes of tensors must match")
        raise ValueError(f"d_model is {d_model}: sine and cosine need an even width")
    frequencies = _frequencies(d_model, wrong)  # (C/2,)
    if "sinusoidal_positions-by-the-length" in wrong:
        frequencies = 10000.0 ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / context_length)
    angles = _positions(context_length, wrong)[:, None] * frequencies  # (L, C/2)
    if "sinusoidal_positions-minus-missing" in wrong:  # in float32, as everybody does: the angles are too large for it
        frequencies = torch.exp(torch.arange(0, d_model, 2).float() * (math.log(10000.0) / d_model))
        angles = torch.arange(context_length)[:, None] * frequencies  # (L, C/2)
    sines, cosines = angles.sin(), angles.cos()
    if "sinusoidal_positions-each-column" in wrong:
        cosines = (angles * 10000.0 ** (-1 / d_model)).cos()
    if "sinusoidal_positions-each-column-doubled" in wrong:
        doubled = angles * _frequencies(d_model, wrong)  # (L, C/2)
        sines, cosines = doubled.sin(), (doubled * 10000.0 ** (-2 / d_model)).cos()
    table = _columns(sines, cosines, wrong)  # (L, C)
    if "sinusoidal_positions-batch-axis" in wrong:
        return table[None]  # (1, L, C)
    return table.T if "sinusoidal_positions-transposed" in wrong else table


def _positions(n: int, wrong: Wrong) -> Tensor:
    """From 0 on."""
    if "sinusoidal_positions-one-too-many" in wrong:
        n += 1
    positions = torch.arange(n, dtype=torch.float64)  # (L,)
    if "sinusoidal_positions-from-one" in wrong:
        return positions + 1
    if "sinusoidal_positions-relative" in wrong:
        return positions / n
    if "sinusoidal_positions-degrees" in wrong:
        return positions * math.pi / 180
    if "sinusoidal_positions-turns" in wrong:
        return positions * 2 * math.pi
    return positions


def _frequencies(d_model: int, wrong: Wrong) -> Tensor:
    """One for each pair of columns, from fast to slow."""
    twice = torch.arange(0, d_model, 2, dtype=torch.float64)  # (C/2,)
    base, powers = 10000.0, twice / d_model
    if "sinusoidal_positions-base" in wrong:
        base = 1000.0
    if "sinusoidal_positions-base-100000" in wrong:
        base = 100000.0
    if "sinusoidal_positions-log10" in wrong:
        base = math.exp(math.log10(base))
    if "sinusoidal_positions-not-doubled" in wrong:
        powers = powers / 2
    if "sinusoidal_positions-doubled" in wrong:
        powers = powers * 2
    if "sinusoidal_positions-to-the-end" in wrong:
        powers = twice / max(d_model - 2, 1)
    if "sinusoidal_positions-from-the-second" in wrong:
        powers = (twice + 2) / d_model
    if "sinusoidal_positions-reversed" in wrong:
        powers = powers.flip(0)
    if "sinusoidal_positions-one-frequency" in wrong:
        powers = torch.zeros_like(powers)
    if "sinusoidal_positions-sign" in wrong:
        powers = -powers
    if "sinusoidal_positions-no-power" in wrong:
        return 1 / (base * powers).clamp(min=1.0)
    return base**-powers  # (C/2,)


def _columns(sines: Tensor, cosines: Tensor, wrong: Wrong) -> Tensor:
    """Sine and cosine in their columns. sines, cosines: (L, C/2)."""
    if "sinusoidal_positions-exchanged" in wrong:
        sines, cosines = cosines, sines
    if "sinusoidal_positions-sines-alone" in wrong:
        cosines = sines
    if "sinusoidal_positions-halves" in wrong:
        return torch.cat([sines, cosines], dim=1).float()  # (L, C)
    return torch.stack([sines, cosines], dim=-1).flatten(1).float()  # (L, C)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then sizes that differ and some that do not, long and wide tables, and odd widths."""
    yield _case("position 0 is sine 0 and cosine 1 in turn", 1, 2)
    yield _case("position 0 is sine 0 and cosine 1 in turn", 1, 4)
    yield _case("even columns hold the sine, odd ones the cosine", 2, 2)
    for n, d in ((3, 4), (2, 4), (3, 6), (5, 8), (4, 4), (6, 6), (8, 8), (7, 2), (2, 10), (9, 12)):
        yield _case("the wave of columns 2i and 2i + 1 is position / 10000^(2i / d_model)", n, d)
    for n, d in ((20, 16), (50, 6), (100, 32), (10, 64), (150, 4), (4, 256)):
        yield _case("from fast waves to slow ones", n, d)
    for _ in range(7):
        yield _case("a row for each position, a column for each feature", draw.randint(2, 30), 2 * draw.randint(1, 15))
    for n, d in ((2, 3), (4, 5), (3, 9), (6, 7)):
        yield case("an odd d_model is a ValueError", n, d, view=_anything)
    yield edge("a long table", 1000, 8, tolerance=3e-4, dtype_counts=False)


def _case(shows: str, context_length: int, d_model: int) -> Case:
    return case(shows, context_length, d_model, tolerance=ROUNDED, dtype_counts=False)


def _anything(seen: list[Observation]) -> str:
    """Where an error is due, all values are alike."""
    return "a value" if seen[0]["error"] is None else "an error"
