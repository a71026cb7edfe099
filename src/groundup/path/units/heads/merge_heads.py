"""Putting the heads back side by side, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def merge_heads(x: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """Put the heads back side by side: the inverse of split_heads. x: (B, H, T, D) -> (B, T, H*D)."""
    b, h, t, d = x.shape
    if "merge_heads-not-transposed" in wrong:
        return x.reshape(b, t, h * d)
    if "merge_heads-features-by-tokens" in wrong:
        return x.mT.reshape(b, t, h * d)
    if "merge_heads-flat" in wrong:
        return x.transpose(1, 2).reshape(b * t, h * d)
    if "merge_heads-first-sequence" in wrong:
        return x[:1].transpose(1, 2).flatten(2)  # (1, T, H*D)
    if "merge_heads-interleaved" in wrong:
        return x.permute(0, 2, 3, 1).reshape(b, t, d * h)
    if "merge_heads-averaged" in wrong:
        return x.mean(1)  # (B, T, D)
    if "merge_heads-added" in wrong:
        return x.sum(1)  # (B, T, D)
    if "merge_heads-first-alone" in wrong:
        return x[:, 0]  # (B, T, D)
    if "merge_heads-along-tokens" in wrong:
        return x.flatten(1, 2)  # (B, H*T, D)
    if "merge_heads-without-axis" in wrong:
        return x.transpose(1, 2).flatten(0, 1)  # (B*T, H, D)
    if "merge_heads-tokens-first" in wrong:
        return x.permute(2, 0, 1, 3).flatten(2)  # (T, B, H*D)
    heads = x.transpose(1, 2)  # (B, T, H, D)
    if "merge_heads-reversed" in wrong:
        heads = heads.flip(2)  # (B, T, H, D)
    if "merge_heads-not-merged" in wrong:
        return heads
    if "merge_heads-not-contiguous" in wrong:
        return heads.view(b, t, h * d)
    if "merge_heads-detached" in wrong:
        heads = heads.detach()
    return heads.reshape(b, t, h * d)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes (also those in which a wrong axis fits), gradients, dtypes."""
    side = "the heads of a token stand side by side"
    yield case(side, torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]]))
    yield case(side, torch.tensor([[[[1.0], [3.0], [5.0]], [[2.0], [4.0], [6.0]]]]))
    for b, t, h, d in ((1, 3, 2, 4), (2, 3, 4, 5), (3, 2, 5, 1), (2, 5, 1, 3), (1, 1, 3, 2), (4, 7, 2, 6)):
        yield case("(B, H, T, D) becomes (B, T, H·D)", draw.tensor(b, h, t, d))
    for n in (2, 3, 4):  # all sizes the same: no wrong axis shows in the shape
        yield case(side, draw.tensor(n, n, n, n))
        yield case(side, draw.tensor(1, n, n, n))
        yield case(side, draw.tensor(2, n, n, 2))
    yield case("the gradient flows", draw.tensor(2, 4, 3, 2), gradients=True)
    yield case("the gradient flows", draw.tensor(2, 2, 2, 2), gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", draw.tensor(2, 3, 4, 2, dtype=dtype))
