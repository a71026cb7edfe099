"""The feed-forward network of a block, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..gelu.gelu import gelu
from ..linear.linear import linear

COARSE = 1e-4  # bfloat16 rounds the hidden features and what they add up to


@reference
def feed_forward(
    x: Tensor, w_up: Tensor, b_up: Tensor | None, w_down: Tensor, b_down: Tensor | None, *, wrong: Wrong = RIGHT
) -> Tensor:
    """Two linear layers with a GELU between them: wider, bent, narrow again, each token by itself.

    x: (…, C), w_up: (F, C), b_up: (F,), w_down: (C, F), b_down: (C,) -> (…, C).
    """
    given = x
    if "feed_forward-up-not-transposed" in wrong:
        w_up = w_up.T
    if "feed_forward-down-not-transposed" in wrong:
        w_down = w_down.T
    if "feed_forward-weights-confused" in wrong:
        w_up, w_down = w_down.T, w_up.T
    if "feed_forward-biases-exchanged" in wrong:
        b_up, b_down = b_down, b_up
    if "feed_forward-no-up-bias" in wrong:
        b_up = None
    if "feed_forward-no-down-bias" in wrong:
        b_down = None
    if "feed_forward-normed-first" in wrong:
        x = F.layer_norm(x, x.shape[-1:])
    if "feed_forward-activation-first" in wrong or "feed_forward-activation-before-both" in wrong:
        x = gelu(x, wrong=wrong)
    hidden = _hidden(x, w_up, b_up, wrong)  # (…, F)
    if "feed_forward-no-second-layer" in wrong:
        return hidden
    out = linear(hidden, w_down, b_down, wrong=wrong)  # (…, C)
    if "feed_forward-activation-last" in wrong or "feed_forward-activation-after-both" in wrong:
        out = gelu(out, wrong=wrong)
    if "feed_forward-residual" in wrong:
        out = given + out
    if "feed_forward-changes-input" in wrong:
        given += out
    return out.detach() if "feed_forward-detached" in wrong else out


def _hidden(x: Tensor, w_up: Tensor, b_up: Tensor | None, wrong: Wrong) -> Tensor:
    """The wide features, bent: (…, F)."""
    if "feed_forward-bias-after-activation" in wrong:
        hidden = gelu(linear(x, w_up, wrong=wrong), wrong=wrong)
        return hidden if b_up is None else hidden + b_up
    hidden = linear(x, w_up, b_up, wrong=wrong)  # (…, F)
    if "feed_forward-softmax" in wrong:
        return hidden.softmax(-1)
    if "feed_forward-sigmoid" in wrong:
        return hidden.sigmoid()
    if "feed_forward-tanh" in wrong:
        return hidden.tanh()
    if "feed_forward-no-activation" in wrong:
        return hidden
    if "feed_forward-activation-first" in wrong or "feed_forward-activation-last" in wrong:
        return hidden
    hidden = gelu(hidden, wrong=wrong)
    return gelu(hidden, wrong=wrong) if "feed_forward-activation-twice" in wrong else hidden


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, biases, gradients, dtypes."""
    x, up, down = torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 1.0], [1.0, -1.0], [0.0, 0.5]]), torch.eye(2, 3)
    b_up, b_down = torch.tensor([0.5, -1.0, 0.25]), torch.tensor([1.0, -2.0])
    shape = "linear, GELU, linear: C features become F, and C again"
    yield case(shape, x, up, torch.zeros(3), down, torch.zeros(2))
    between = "the GELU, in its tanh form, stands between the two layers"
    wide = torch.tensor([[-1.0, 0.0], [-2.2, 0.0], [-2.4, 0.0]])
    yield case(between, torch.tensor([1.0, 0.0]), wide, torch.zeros(3), torch.full((2, 3), 0.25), torch.zeros(2))
    for n in (3, 5):
        w_up, w_down = -2 - draw.tensor(n, 2).sigmoid() / 2, draw.tensor(2, n).abs()
        yield case(between, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), w_up, torch.zeros(n), w_down, torch.zeros(2))
    for b, c, f in ((3, 2, 5), (2, 4, 16), (4, 3, 12), (4, 3, 3)):
        drawn = _drawn(draw, c, f)
        yield case(shape, draw.tensor(b, c), drawn[0], torch.zeros(f), drawn[2], torch.zeros(c))
    yield case("b_up is added before the GELU, b_down at the end", x, up, b_up, down, b_down)
    biases = "the biases of both layers"
    for b, c, f in ((2, 3, 4), (3, 2, 8), (2, 4, 4), (5, 5, 5)):
        yield case(biases, draw.tensor(b, c), *_drawn(draw, c, f))
    sizes = (((3,), 5), ((2, 3), 12), ((4, 3), 4), ((2, 3, 4), 16), ((3, 3, 3), 3), ((2, 1, 3, 2), 8), ((1, 1, 8), 32))
    for leading, f in (*sizes, ((4, 4), 4), ((2, 4, 4), 4), ((6, 2), 3), ((2, 5, 6), 2)):
        yield case("any leading shape", draw.tensor(*leading), *_drawn(draw, leading[-1], f))
    for leading, f in (((3,), 5), ((2, 3), 12), ((2, 3, 4), 4), ((3, 3), 3)):
        drawn = _drawn(draw, leading[-1], f)
        yield case("the gradient reaches x, the weights and the biases", draw.tensor(*leading), *drawn, gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        for leading, f in (((2, 3), 5), ((2, 3, 4), 16)):
            inputs = [one.to(dtype) for one in (draw.tensor(*leading), *_drawn(draw, leading[-1], f))]
            yield edge("keeps the dtype", *inputs, tolerance=COARSE)


def _drawn(draw: Draw, c: int, f: int) -> tuple[Tensor, ...]:
    """Weights that keep features at an ordinary size, and their biases."""
    return (
        draw.tensor(f, c, scale=1.5 / math.sqrt(c)),
        draw.tensor(f),
        draw.tensor(c, f, scale=1.5 / math.sqrt(f)),
        draw.tensor(c),
    )


EXAMPLE_SIZE = "4 · 256 tokens"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((draw.tensor(4, 256, 128), *_drawn(draw, 128, 512)))
