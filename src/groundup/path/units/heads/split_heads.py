"""Cutting the features into heads, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def split_heads(x: Tensor, n_heads: int, *, wrong: Wrong = RIGHT) -> Tensor:
    """Cut the features into heads, and put the heads before the tokens. x: (B, T, H*D) -> (B, H, T, D)."""
    b, t, width = x.shape
    d = width // n_heads
    if "split_heads-not-transposed" in wrong:
        return x.reshape(b, n_heads, t, d)
    if "split_heads-transposed-first" in wrong:
        return x.transpose(1, 2).reshape(b, n_heads, t, d)
    if "split_heads-tokens-cut" in wrong:
        return torch.stack(x.chunk(n_heads, 1), 1)
    if "split_heads-interleaved" in wrong:
        return x.reshape(b, t, d, n_heads).permute(0, 3, 1, 2)  # (B, H, T, D)
    if "split_heads-sizes-exchanged" in wrong:
        return x.reshape(b, t, d, n_heads).transpose(1, 2)  # (B, D, T, H)
    heads = x.reshape(b, t, n_heads, d)  # (B, T, H, D)
    if "split_heads-not-moved" in wrong:
        return heads
    if "split_heads-tokens-last" in wrong:
        return heads.permute(0, 2, 3, 1)  # (B, H, D, T)
    if "split_heads-heads-first" in wrong:
        return heads.permute(2, 0, 1, 3)  # (H, B, T, D)
    if "split_heads-features-first" in wrong:
        return heads.permute(0, 3, 1, 2)  # (B, D, T, H)
    if "split_heads-reversed" in wrong:
        heads = heads.flip(2)  # (B, T, H, D)
    if "split_heads-flattened" in wrong:
        return heads.transpose(1, 2).flatten(0, 1)  # (B*H, T, D)
    if "split_heads-ignored" in wrong:
        return x[:, None]  # (B, 1, T, H*D)
    if "split_heads-copied" in wrong:
        return x[:, None].repeat(1, n_heads, 1, 1)  # (B, H, T, H*D)
    if "split_heads-list" in wrong:
        return list(heads.unbind(2))  # pyright: ignore[reportReturnType] -- the mistake is just that
    if "split_heads-detached" in wrong:
        heads = heads.detach()
    return heads.transpose(1, 2)  # (B, H, T, D)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes (also those in which a wrong axis fits), gradients, dtypes."""
    each = "each head gets its own slice of neighbouring features"
    yield case(each, torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
    yield case(each, torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]), 2)
    for b, t, h, d in ((1, 3, 2, 4), (2, 3, 4, 5), (3, 2, 5, 1), (2, 5, 1, 3), (1, 1, 3, 2), (4, 7, 2, 6)):
        yield case("(B, T, H·D) becomes (B, H, T, D)", draw.tensor(b, t, h * d), h)
    for n in (2, 3, 4):  # all sizes the same: no wrong axis shows in the shape
        yield case(each, draw.tensor(n, n, n * n), n)
        yield case(each, draw.tensor(1, n, n * n), n)
        yield case(each, draw.tensor(2, n, n * 2), n)
    yield case("the gradient flows", draw.tensor(2, 3, 8), 4, gradients=True)
    yield case("the gradient flows", draw.tensor(2, 2, 4), 2, gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", draw.tensor(2, 3, 6, dtype=dtype), 3)
