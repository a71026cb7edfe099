"""Scaled dot-product attention, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..attention_weights.attention_weights import attention_weights

LARGE = 3e-3  # as in attention_weights
COARSE = 5e-5  # bfloat16 rounds scores, weights and sums


@reference
def scaled_dot_product_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, wrong: Wrong = RIGHT
) -> Tensor:
    """Weighted values: what each query takes home.

    q: (…, T, D), k, v: (…, S, D), mask as in attention_weights -> (…, T, D).
    """
    if "scaled_dot_product_attention-queries-and-values-exchanged" in wrong:
        q, v = v, q
    if "scaled_dot_product_attention-keys-and-values-exchanged" in wrong:
        k, v = v, k
    weights = attention_weights(q, k, mask, wrong=wrong)  # (…, T, S)
    if "scaled_dot_product_attention-only-weights" in wrong:
        return weights
    out = mixed(weights, q, k, v, wrong)  # (…, T, D)
    if "scaled_dot_product_attention-scaled-again" in wrong:
        out = out / math.sqrt(q.shape[-1])
    if "scaled_dot_product_attention-detached" in wrong:
        return out.detach()
    if "scaled_dot_product_attention-both" in wrong:
        return out, weights  # pyright: ignore[reportReturnType] -- the mistake is just that
    return out


def mixed(weights: Tensor, q: Tensor, k: Tensor, v: Tensor, wrong: Wrong) -> Tensor:
    """The values, weighted: (…, T, D)."""
    if "scaled_dot_product_attention-keys-mixed" in wrong:
        return weights @ k
    if "scaled_dot_product_attention-queries-mixed" in wrong:
        return weights @ q
    if "scaled_dot_product_attention-weights-transposed" in wrong:
        return weights.mT @ v
    if "scaled_dot_product_attention-averaged" in wrong:
        return weights @ v / v.shape[-2]
    return weights @ v


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, masks, gradients, and queries that may attend to nothing."""
    q = torch.tensor([[1.0, 0.0, 0.0, 0.0]])  # (T, D)
    k = torch.tensor([[0.0, 1.0, 0.0, 0.0], [2 * math.log(3.0), 0.0, 0.0, 0.0]])  # (S, D)
    v = torch.tensor([[4.0, 0.0, 8.0, -4.0], [0.0, 4.0, 8.0, 4.0]])  # (S, D)
    mixes = "each query takes the values, weighted by softmax(q·k / √D)"
    yield case(mixes, q, k, v)
    yield case("the value of a forbidden key is not taken", q, k, v, torch.tensor([[True, False]]))
    for t, s, d in ((3, 3, 4), (2, 5, 8), (5, 2, 3), (1, 4, 16), (4, 4, 4)):
        for lead in ((), (2,), (2, 3)):
            yield case(mixes, *_three(draw, lead, t, s, d))
    causal = torch.ones(4, 4, dtype=torch.bool).tril()  # (T, T)
    for lead, d in (((), 3), ((2,), 5), ((2, 3), 4), ((4,), 4), ((4, 4), 4)):
        yield case("the mask keeps out the future", *_three(draw, lead, 4, 4, d), causal)
    for t, s in ((3, 5), (4, 2)):
        mask = draw.mask(t, s, allowed=0.6)
        mask[:, 0] = True
        yield case("any mask", *_three(draw, (2,), t, s, 4), mask)
    mask = torch.tensor([[[[True, True, False]]], [[[True, False, False]]]])  # (B, 1, 1, S)
    yield case("a mask that broadcasts", *_three(draw, (2, 2), 3, 3, 4), mask)
    yield case("stable for large scores", *_three(draw, (), 3, 4, 8, 30.0), tolerance=LARGE)
    yield case("the gradient reaches q, k and v", *_three(draw, (2,), 3, 5, 4), gradients=True)
    yield case("the gradient reaches q, k and v", *_three(draw, (2,), 4, 4, 3), causal, gradients=True)
    far = torch.ones(1, 4), torch.tensor([[-1e4] * 4, [-1e4] * 4, [0.0] * 4]), draw.tensor(3, 4)
    mask = torch.tensor([[True, True, False]])  # (T, S)
    yield edge("a forbidden key is out however large its score", *far, mask, tolerance=LARGE)
    nothing = torch.tensor([[False, False, False], [True, False, True]])
    for lead in ((), (2,)):
        yield edge("a query that may attend to nothing gives zeros", *_three(draw, lead, 2, 3, 4), nothing)
    for dtype in (torch.float64, torch.bfloat16):
        q, k, v = (one.to(dtype) for one in _three(draw, (2,), 4, 4, 3))
        yield edge("keeps the dtype", q, k, v, tolerance=COARSE)
        yield edge("keeps the dtype", q, k, v, causal, tolerance=COARSE)


def _three(draw: Draw, lead: tuple[int, ...], t: int, s: int, d: int, scale: float = 1.0) -> tuple[Tensor, ...]:
    """A q, a k and a v."""
    q, k = draw.tensor(*lead, t, d, scale=scale), draw.tensor(*lead, s, d, scale=scale)
    return q, k, draw.tensor(*lead, s, d)


EXAMPLE_SIZE = "T = 256"


def example() -> Call:
    """A larger one, for the time it takes."""
    mask = torch.ones(256, 256, dtype=torch.bool).tril()  # (T, T)
    return Call((*_three(Draw(0), (2,), 256, 256, 32), mask))
