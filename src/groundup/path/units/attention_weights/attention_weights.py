"""Attention weights, right or with one of their known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..softmax.softmax import softmax

LARGE = 3e-3  # float32 products near 1000 have steps of 6e-5, and are added up in any order


@reference
def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None, *, wrong: Wrong = RIGHT) -> Tensor:
    """How much each query takes from each key: softmax(q·k / √D) with the mask.

    q: (…, T, D), k: (…, S, D), mask: boolean, True where allowed, broadcasts to (…, T, S) -> (…, T, S).
    Rows add up to 1, or to 0 where nothing is allowed.
    """
    d = q.shape[-1]
    scores = q @ k.mT  # (…, T, S)
    if "attention_weights-keys-by-queries" in wrong:
        scores = k @ q.mT  # (…, S, T)
    if "attention_weights-scaled-by-d" in wrong:
        scores = scores / d
    elif "attention_weights-scaled-by-keys" in wrong:
        scores = scores / math.sqrt(k.shape[-2])
    elif "attention_weights-multiplied" in wrong:
        scores = scores * math.sqrt(d)
    elif "attention_weights-not-scaled" not in wrong:
        scores = scores / math.sqrt(d)
    if mask is not None and "attention_weights-mask-ignored" not in wrong:
        scores = _masked(scores, mask, wrong)
    weights = softmax(scores, -2 if "attention_weights-over-queries" in wrong else -1, wrong=wrong)  # (…, T, S)
    if mask is not None and "attention_weights-mask-after" in wrong:
        weights = weights * mask
    return weights


def _masked(scores: Tensor, mask: Tensor, wrong: Wrong) -> Tensor:
    """The scores with those of forbidden keys out of the way. scores: (…, T, S)."""
    if "attention_weights-mask-after" in wrong:
        return scores
    if "attention_weights-mask-added" in wrong:
        return scores + mask
    if "attention_weights-mask-inverted" in wrong:
        mask = ~mask
    if "attention_weights-mask-zero" in wrong:
        return scores * mask
    forbidden = -1e9 if "attention_weights-large-number" in wrong else -math.inf
    if "attention_weights-positive-infinity" in wrong:
        forbidden = math.inf
    return scores.masked_fill(~mask, forbidden)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, masks, gradients, and queries that may attend to nothing."""
    q, k = (
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.tensor([[0.0, 1.0, 0.0, 0.0], [2 * math.log(3.0), 0.0, 0.0, 0.0]]),
    )
    yield case("small numbers by hand", q, k)
    yield case("a forbidden key gets exactly 0", q, k, torch.tensor([[True, False]]))
    for t, s, d in ((3, 3, 4), (2, 5, 8), (5, 2, 3), (1, 4, 16), (4, 4, 1)):
        for lead in ((), (2,), (2, 3)):
            yield case("any shape", draw.tensor(*lead, t, d), draw.tensor(*lead, s, d))
    causal = torch.ones(4, 4, dtype=torch.bool).tril()  # (T, T)
    for lead in ((), (2,), (2, 3)):
        yield case("the mask keeps out the future", draw.tensor(*lead, 4, 3), draw.tensor(*lead, 4, 3), causal)
    for t, s in ((3, 5), (4, 2)):
        mask = draw.mask(t, s, allowed=0.6)
        mask[:, 0] = True
        yield case("any mask", draw.tensor(2, t, 4), draw.tensor(2, s, 4), mask)
    mask = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])  # (B, 1, 1, S)
    yield case("a mask that broadcasts", draw.tensor(2, 2, 3, 4), draw.tensor(2, 2, 3, 4), mask)
    yield case("stable for large scores", draw.tensor(3, 8, scale=30), draw.tensor(4, 8, scale=30), tolerance=LARGE)
    yield case(
        "stable for large scores", draw.tensor(4, 8, scale=30), draw.tensor(4, 8, scale=30), causal, tolerance=LARGE
    )
    yield case("the gradient flows", draw.tensor(2, 3, 4), draw.tensor(2, 3, 4), gradients=True)
    yield case("the gradient flows", draw.tensor(4, 4), draw.tensor(4, 4), causal, gradients=True)
    nothing = torch.tensor([[False, False, False], [True, False, True]])
    yield edge("a row that may attend to nothing gives zeros", draw.tensor(2, 4), draw.tensor(3, 4), nothing)
    yield edge("a row that may attend to nothing gives zeros", draw.tensor(2, 2, 4), draw.tensor(2, 3, 4), nothing)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", draw.tensor(2, 3, 4, dtype=dtype), draw.tensor(2, 3, 4, dtype=dtype))
        yield edge("keeps the dtype", draw.tensor(4, 4, dtype=dtype), draw.tensor(4, 4, dtype=dtype), causal)


EXAMPLE_SIZE = "T = 256"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((draw.tensor(2, 256, 32), draw.tensor(2, 256, 32), torch.ones(256, 256, dtype=torch.bool).tril()))
