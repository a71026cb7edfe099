"""The causal mask, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference


@reference
def causal_mask(t: int, device: torch.device | str | None = None, *, wrong: Wrong = RIGHT) -> Tensor:
    """True where a token (row) may look at another (column): at itself and at all before.

    Returns (T, T), boolean.
    """
    if device is not None and "causal_mask-no-device" in wrong:
        raise TypeError("unexpected argument: device")
    if "causal_mask-device-ignored" in wrong:
        device = None
    seen = _seen(torch.ones(t, t, dtype=torch.bool, device=device), wrong)  # (T, T)
    if "causal_mask-inverted" in wrong:
        seen = ~seen
    if "causal_mask-last-row" in wrong:
        seen = seen[-1]  # (T,)
    if "causal_mask-floats" in wrong:
        return seen.float()
    if "causal_mask-integers" in wrong:
        return seen.long()
    if "causal_mask-scores" in wrong:
        return torch.zeros(t, t).masked_fill(~seen, -math.inf)  # (T, T)
    if "causal_mask-two-more-axes" in wrong:
        return seen[None, None]  # (1, 1, T, T)
    return seen[None] if "causal_mask-one-more-axis" in wrong else seen


def _seen(ones: Tensor, wrong: Wrong) -> Tensor:
    if "causal_mask-everything" in wrong:
        return ones
    if "causal_mask-only-itself" in wrong:
        return ones.tril().triu()
    if "causal_mask-transposed" in wrong:
        return ones.triu()
    if "causal_mask-not-itself" in wrong:
        return ones.tril(-1)
    if "causal_mask-one-ahead" in wrong:
        return ones.tril(1)
    return ones.tril()


def cases(draw: Draw) -> Iterator[Case]:
    """Every small size, some larger ones, the device."""
    for t in (3, 2, 1, *range(4, 13)):
        yield case("a token sees itself and all before it, and nothing after", t)
    for _ in range(6):
        yield case("a token sees itself and all before it, and nothing after", draw.randrange(13, 60))
    yield edge("the device is an argument", 3, "cpu")
    yield edge("the device is an argument", 4, device="cpu")
    yield edge("the device may be None", 4, None)
    yield edge("the mask is made on the device that is asked for", 3, device="meta", view=_where)


def _where(seen: list[Observation]) -> str:
    """On which device: "meta" holds no numbers, but is everywhere, as a GPU is not."""
    return "meta" if "meta" in str(seen[0]["value"]) else "cpu"
