"""Causal attention with one head, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..causal_mask.causal_mask import causal_mask
from ..linear.linear import linear
from ..scaled_dot_product_attention.scaled_dot_product_attention import scaled_dot_product_attention

COARSE = 5e-5  # bfloat16 rounds q, k, v, scores and weights


@reference
def single_head_attention(x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """Causal attention with one head. x: (B, T, C), w_q, w_k, w_v: (D, C) -> (B, T, D)."""
    b, t, width = x.shape
    if "single_head_attention-batch-mixed" in wrong:
        x = x.reshape(1, b * t, width)
    if "single_head_attention-keys-from-w_q" in wrong:
        w_k = w_q
    if "single_head_attention-values-from-w_q" in wrong:
        w_v = w_q
    q, k, v = (linear(x, weight, wrong=wrong) for weight in (w_q, w_k, w_v))  # (B, T, D)
    if "single_head_attention-keys-not-projected" in wrong:
        k = x
    if "single_head_attention-values-not-projected" in wrong:
        v = x
    if "single_head_attention-nothing-projected" in wrong:
        q = k = v = x
    if "single_head_attention-scaled-by-model-width" in wrong:
        q = q * math.sqrt(q.shape[-1] / width)
    mask = causal_mask(x.shape[1], wrong=wrong)  # (T, T)
    if "single_head_attention-mask-of-batch-size" in wrong:
        mask = causal_mask(b, wrong=wrong)  # (B, B)
    if "single_head_attention-mask-of-width" in wrong:
        mask = causal_mask(width, wrong=wrong)  # (C, C)
    if "single_head_attention-not-causal" in wrong:
        mask = torch.ones_like(mask)
    out = scaled_dot_product_attention(q, k, v, mask, wrong=wrong)  # (B, T, D)
    if "single_head_attention-last-token" in wrong:
        return out[:, -1]  # (B, D)
    if "single_head_attention-batch-mixed" in wrong:
        return out.reshape(b, t, -1)
    return out


def cases(draw: Draw) -> Iterator[Case]:
    """One token, then several, then shapes, gradients, dtypes."""
    for b, c, d in ((1, 3, 2), (2, 2, 2), (3, 4, 3)):
        weights = draw.tensor(d, c), draw.tensor(d, c), draw.tensor(d, c)
        yield case("one token alone takes its own value, x @ w_v.T", draw.tensor(b, 1, c), *weights)
    one = torch.eye(2)  # (D, C)
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [2.0, 1.0]]])  # (B, T, C)
    yield case("the first token sees itself alone, the others what is before them", x, one, one, one)
    causal = "causal: a token takes from itself and from what is before it"
    sizes = ((1, 3, 4, 2), (2, 4, 3, 5), (3, 2, 6, 4), (2, 5, 4, 4), (1, 6, 2, 2), (2, 2, 2, 2), (4, 4, 4, 4))
    for b, t, c, d in (*sizes, (3, 3, 5, 5), (1, 2, 8, 3), (5, 3, 4, 2), (2, 7, 12, 6)):
        yield case(causal, *_drawn(draw, b, t, c, d))
    for b, t, c, d in ((2, 4, 9, 2), (1, 3, 25, 4), (2, 3, 2, 9)):
        yield case("the scores are scaled by √D, the width of the head", *_drawn(draw, b, t, c, d))
    for b in (2, 4):
        yield case("each sequence of a batch by itself", *_drawn(draw, b, 3, 4, 3))
    for c, d in ((4, 3), (3, 3)):
        yield case("the gradient reaches x and all weights", *_drawn(draw, 2, 3, c, d), gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        inputs = [one.to(dtype) for one in _drawn(draw, 2, 3, 4, 2)]
        yield edge("keeps the dtype", *inputs, tolerance=COARSE)


def _drawn(draw: Draw, b: int, t: int, c: int, d: int) -> tuple[Tensor, ...]:
    """An x and three weights that give scores of ordinary size."""
    sharp = 1.5 / math.sqrt(c)
    return draw.tensor(b, t, c), *(draw.tensor(d, c, scale=sharp) for _ in range(3))


EXAMPLE_SIZE = "T = 256"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call(_drawn(Draw(0), 2, 256, 64, 32))
