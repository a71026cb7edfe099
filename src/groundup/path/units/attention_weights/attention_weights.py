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
    if "attention_weights-only-matrices" in wrong and q.ndim != 2:
        raise ValueError("too many values to unpack")
    scores = _scaled(_products(q, k, wrong), q, k, wrong)
    if "attention_weights-exponentials-masked" in wrong:
        exponentials = scores.exp() * (1 if mask is None else mask)  # (…, T, S)
        total = exponentials.sum(-1, keepdim=True)
        return exponentials / total.masked_fill(total == 0, 1.0)
    if "attention_weights-always-causal" in wrong:
        scores = scores.masked_fill(~torch.ones(scores.shape[-2:], dtype=torch.bool).tril(), -math.inf)
    if mask is not None and "attention_weights-mask-ignored" not in wrong:
        scores = _masked(scores, mask, wrong)
        if "attention_weights-mask-float32" in wrong:
            scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    if "attention_weights-no-softmax" in wrong:
        return scores
    if "attention_weights-no-softmax-zeros" in wrong:
        return scores.masked_fill(scores == -math.inf, 0.0)
    weights = softmax(scores, _axis(scores, wrong), wrong=wrong)  # (…, T, S)
    if mask is not None and "attention_weights-mask-after" in wrong:
        weights = weights * mask
    if mask is not None and "attention_weights-renormalised" in wrong:
        weights = weights * mask
        weights = weights / weights.sum(-1, keepdim=True)
    if mask is not None and "attention_weights-renormalised-clamped" in wrong:
        weights = weights * mask
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-9)
    if "attention_weights-scaled-after" in wrong:
        weights = weights / math.sqrt(q.shape[-1])
    return weights


def _products(q: Tensor, k: Tensor, wrong: Wrong) -> Tensor:
    """Of every query with every key: (…, T, S)."""
    if "attention_weights-keys-by-queries" in wrong:
        return k @ q.mT  # (…, S, T)
    if "attention_weights-queries-alone" in wrong:
        return q @ q.mT  # (…, T, T)
    if "attention_weights-keys-alone" in wrong:
        return k @ k.mT  # (…, S, S)
    if "attention_weights-first-axes" in wrong:
        return q @ k.transpose(0, 1)
    if "attention_weights-all-axes" in wrong:
        return q @ k.permute(*reversed(range(k.ndim)))
    if "attention_weights-middle-axes" in wrong:
        return q @ k.transpose(1, 2)
    return q @ k.mT


def _scaled(scores: Tensor, q: Tensor, k: Tensor, wrong: Wrong) -> Tensor:
    d, s = q.shape[-1], k.shape[-2]
    if "attention_weights-not-scaled" in wrong or "attention_weights-scaled-after" in wrong:
        return scores
    if "attention_weights-scaled-by-d" in wrong:
        return scores / d
    if "attention_weights-scaled-by-keys" in wrong:
        return scores / math.sqrt(s)
    if "attention_weights-scaled-by-n-keys" in wrong:
        return scores / s
    if "attention_weights-scaled-by-queries" in wrong:
        return scores / math.sqrt(q.shape[-2])
    if "attention_weights-scaled-by-second-axis" in wrong:
        return scores / math.sqrt(q.shape[1])
    if "attention_weights-multiplied" in wrong:
        return scores * math.sqrt(d)
    return scores / math.sqrt(d)


def _axis(scores: Tensor, wrong: Wrong) -> int:
    """The axis along which weights add up to 1."""
    if "attention_weights-over-queries" in wrong:
        return -2
    if "attention_weights-over-heads" in wrong and scores.ndim > 2:
        return -3
    return 1 if "attention_weights-second-axis" in wrong else -1


def _masked(scores: Tensor, mask: Tensor, wrong: Wrong) -> Tensor:
    """The scores with those of forbidden keys out of the way. scores: (…, T, S)."""
    after = ("attention_weights-mask-after", "attention_weights-renormalised", "attention_weights-renormalised-clamped")
    if not wrong.isdisjoint(after):
        return scores
    if "attention_weights-mask-cut-to-queries" in wrong:
        mask = mask[: scores.shape[-2], : scores.shape[-2]]
    if "attention_weights-mask-added" in wrong:
        return scores + mask
    if "attention_weights-mask-inverted" in wrong:
        mask = ~mask
    if "attention_weights-mask-transposed" in wrong:
        mask = mask.mT
    if "attention_weights-mask-zero" in wrong:
        return scores * mask
    if "attention_weights-penalty" in wrong:
        return scores + torch.zeros_like(scores).masked_fill(~mask, -1e4)
    return scores.masked_fill(~mask, _forbidden(wrong))


def _forbidden(wrong: Wrong) -> float:
    """The score of a key that must not be seen."""
    if "attention_weights-large-number" in wrong:
        return -1e9
    if "attention_weights-not-low-enough" in wrong:
        return -1e4
    return math.inf if "attention_weights-positive-infinity" in wrong else -math.inf


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, masks, gradients, and queries that may attend to nothing."""
    q, k = (
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.tensor([[0.0, 1.0, 0.0, 0.0], [2 * math.log(3.0), 0.0, 0.0, 0.0]]),
    )
    yield case("softmax of q·k, scaled by 1/√D", q, k)
    yield case("a forbidden key gets exactly 0", q, k, torch.tensor([[True, False]]))
    for t, s, d in ((3, 3, 4), (2, 5, 8), (5, 2, 3), (1, 4, 16), (4, 4, 1)):
        for lead in ((), (2,), (2, 3)):
            yield case("any shape", draw.tensor(*lead, t, d), draw.tensor(*lead, s, d))
    for lead in ((3,), (3, 3)):  # all sizes the same: no wrong axis shows in the shape
        yield case("any shape", draw.tensor(*lead, 3, 3), draw.tensor(*lead, 3, 3))
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
    yield case("the gradient flows", draw.tensor(2, 3, 4), draw.tensor(2, 3, 4), gradients=True)
    yield case("the gradient flows", draw.tensor(4, 4), draw.tensor(4, 4), causal, gradients=True)
    large = draw.tensor(4, 8, scale=30).abs(), draw.tensor(4, 8, scale=30).abs()
    yield edge("a forbidden key is out however large its score", *large, causal, tolerance=LARGE)
    q, k = torch.ones(1, 4), torch.tensor([[-1e4] * 4, [-1e4] * 4, [0.0] * 4])
    mask = torch.tensor([[True, True, False]])  # (T, S)
    yield edge("a forbidden key is out however large its score", q, k, mask, tolerance=LARGE)
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
