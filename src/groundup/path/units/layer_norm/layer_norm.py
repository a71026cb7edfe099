"""Layer normalization, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

COARSE = 3e-3  # where it is not about eps
BFLOAT = 5e-5  # bfloat16 rounds the mean, the variance, the root and each feature
CLOSE = 1e-3  # divided by √eps, what rounding leaves of a difference of 0 is 300 times as large
EPS = 1e-5


@reference
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5, *, wrong: Wrong = RIGHT) -> Tensor:
    """Give each token's features mean 0 and variance 1, then scale and shift each feature.

    x: (…, C), weight: (C,), bias: (C,) or None -> (…, C). The variance is the biased one, over the last axis.
    """
    if "layer_norm-std-and-eps" in wrong:
        wrong |= {"layer_norm-unbiased", "layer_norm-eps-outside"}
    if "layer_norm-only-batches" in wrong and x.ndim != 3:
        raise ValueError("not enough values to unpack")
    if "layer_norm-only-matrices" in wrong and x.ndim != 2:
        raise ValueError("not enough values to unpack")
    if bias is None and "layer_norm-needs-bias" in wrong:
        raise TypeError("unsupported operand: None")
    if bias is not None and "layer_norm-bias-truth" in wrong:
        raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
    if "layer_norm-changes-input" in wrong:
        x -= x.mean(-1, keepdim=True)
    if "layer_norm-input-detached" in wrong:
        x = x.detach()
    dtype = x.dtype
    wide = x if dtype == torch.float64 else x.float()  # (…, C)
    if "layer_norm-scale-first" in wrong:
        wide = wide * weight
    normed = _normed(wide, _mistaken_eps(eps, wrong), wrong)  # (…, C)
    out = _scaled_and_shifted(normed, weight, bias, wrong)  # (…, C)
    if "layer_norm-detached" in wrong:
        return out.detach()
    if "layer_norm-always-float32" in wrong:
        return out.float()
    return out.float() if "layer_norm-float32" in wrong and dtype != torch.float64 else out.to(dtype)


def _mistaken_eps(eps: float, wrong: Wrong) -> float:
    """The epsilon that is used."""
    if "layer_norm-no-eps" in wrong:
        return 0.0
    if "layer_norm-eps-ignored" in wrong:
        return EPS
    if eps != EPS:
        return eps
    if "layer_norm-eps-of-1e-6" in wrong:
        return 1e-6
    if "layer_norm-eps-of-1e-8" in wrong:
        return 1e-8
    return 1e-12 if "layer_norm-eps-of-1e-12" in wrong else eps


def _normed(x: Tensor, eps: float, wrong: Wrong) -> Tensor:
    """Mean 0 and variance 1: (…, C)."""
    axes = _axes(x.ndim, wrong)
    kept = "layer_norm-axis-dropped" not in wrong
    mean = x.mean(axes, keepdim=kept)  # (…, 1)
    share = 1.0
    if "layer_norm-divided-by-axis-1" in wrong and x.ndim > 1:
        share = x.shape[-1] / x.shape[1]
        mean = mean * share
    if "layer_norm-statistics-detached" in wrong:
        mean = mean.detach()
    centred = x - mean  # (…, C)
    if "layer_norm-mean-axis-dropped" in wrong:
        mean = mean.squeeze(-1)
    top, squares = x - mean, centred * centred  # (…, C)
    if "layer_norm-mean-kept" in wrong:
        top = x
    if "layer_norm-variance-about-zero" in wrong:
        squares = x * x
    if "layer_norm-rms" in wrong:
        top, squares = x, x * x
    if "layer_norm-absolute" in wrong:
        squares = centred.abs()
    if "layer_norm-only-centred" in wrong:
        return centred
    if "layer_norm-length" in wrong:
        return centred / centred.norm(dim=-1, keepdim=True).clamp_min(eps)
    if "layer_norm-variance-of-everything" in wrong:
        return centred / (x.var(unbiased=False) + eps).sqrt()
    variance = squares.sum(axes, keepdim=kept) if "layer_norm-not-averaged" in wrong else squares.mean(axes, kept)
    variance = variance * share
    if "layer_norm-unbiased" in wrong:
        n = x.numel() / variance.numel()
        variance = variance * n / (n - 1)  # (…, 1)
    if "layer_norm-statistics-detached" in wrong or "layer_norm-variance-detached" in wrong:
        variance = variance.detach()
    if "layer_norm-variance-axis-dropped" in wrong:
        variance = variance.squeeze(-1)
    return top / _divisor(variance, eps, wrong)


def _axes(ndim: int, wrong: Wrong) -> tuple[int, ...]:
    """Over which axes the mean and the variance are taken."""
    if "layer_norm-over-tokens" in wrong:
        return (-2,)
    if "layer_norm-axis-1" in wrong:
        return (1,)
    if "layer_norm-over-batch" in wrong:
        return (0,)
    if "layer_norm-over-all-but-last" in wrong:
        return tuple(range(ndim - 1)) or (0,)
    if "layer_norm-over-batch-and-tokens" in wrong:
        return (0, 1)
    if "layer_norm-over-everything" in wrong:
        return tuple(range(ndim))
    if "layer_norm-over-sequence" in wrong:
        return tuple(range(-min(2, ndim), 0))
    return tuple(range(1, ndim)) or (0,) if "layer_norm-over-all-but-first" in wrong else (-1,)


def _divisor(variance: Tensor, eps: float, wrong: Wrong) -> Tensor:
    """What the centred features are divided by."""
    if "layer_norm-not-rooted" in wrong or "layer_norm-absolute" in wrong:
        return variance + eps
    if "layer_norm-eps-outside" in wrong:
        return variance.sqrt() + eps
    if "layer_norm-eps-as-floor" in wrong:
        return variance.clamp_min(eps).sqrt()
    root = (variance + eps).sqrt()
    if "layer_norm-rooted-twice" in wrong:
        return root.sqrt()
    return 1 / root if "layer_norm-multiplied" in wrong else root


def _scaled_and_shifted(normed: Tensor, weight: Tensor, bias: Tensor | None, wrong: Wrong) -> Tensor:
    if "layer_norm-exchanged" in wrong:
        if bias is None:
            raise TypeError("unsupported operand: None")
        weight, bias = bias, weight
    if "layer_norm-scale-added" in wrong:
        normed, weight = normed + weight, torch.ones_like(weight)
    if "layer_norm-one-more" in wrong:
        weight = 1 + weight
    if "layer_norm-scale-twice" in wrong:
        weight = weight * weight
    if bias is not None and "layer_norm-shift-first" in wrong:
        return (normed + bias) * weight
    scaled = normed * weight  # (…, C)
    if "layer_norm-neither-scale-nor-shift" in wrong:
        return normed
    if "layer_norm-no-scale" in wrong or "layer_norm-scale-first" in wrong:
        scaled = normed
    if bias is None or "layer_norm-no-shift" in wrong:
        return scaled
    if "layer_norm-bias-multiplied" in wrong:
        return scaled * bias
    return scaled - bias if "layer_norm-bias-subtracted" in wrong else scaled + bias


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then scale and shift, epsilon, shapes, gradients, dtypes."""
    norms = "each token's features, the last axis, get mean 0 and (biased) variance 1"
    one, zero = torch.ones(2), torch.zeros(2)
    yield case(norms, torch.tensor([[1.0, 5.0]]), one, zero, tolerance=COARSE)
    yield case(norms, torch.tensor([[1.0, 5.0], [2.0, 12.0]]), one, zero, tolerance=COARSE)
    yield case(norms, torch.tensor([[1.0, 2.0, 3.0, 6.0]]), torch.ones(4), torch.zeros(4), tolerance=COARSE)
    for shape in ((3, 4), (2, 3, 5), (3, 3, 3)):
        x, weight, _bias = _drawn(draw, *shape)
        yield case(norms, x, torch.ones_like(weight), torch.zeros_like(weight), tolerance=COARSE)
    scale, x = "then each feature is multiplied by its weight", torch.tensor([[1.0, 5.0], [2.0, 12.0]])
    yield case(scale, x, torch.tensor([3.0, -0.5]), zero, tolerance=COARSE)
    for shape in ((1, 5), (3, 4), (4, 4)):
        x, weight, bias = _drawn(draw, *shape)
        yield case(scale, x, weight, torch.zeros_like(bias), tolerance=COARSE)
    shift, x = "then its bias is added", torch.tensor([[1.0, 5.0]])
    yield case(shift, x, torch.tensor([3.0, -0.5]), torch.tensor([10.0, 2.0]), tolerance=COARSE)
    for eps in (0.5, 1.0):
        inside = "eps is added to the variance, inside the root"
        yield case(inside, torch.tensor([[1.0, 3.0]]), one, zero, eps)
        for shape in ((1, 4), (3, 3), (2, 3, 4)):
            yield case(inside, *_drawn(draw, *shape, scale=0.9), eps=eps)
    for shape in ((1, 4), (3, 5), (3, 3), (2, 3, 4)):
        _x, weight, bias = _drawn(draw, *shape)
        yield case("eps is 1e-5 unless it is given", draw.tensor(*shape, scale=2e-3), weight, bias)
    for shape in ((1, 4), (2, 4), (4, 4)):
        equal, (_x, weight, bias) = torch.full(shape, 0.25), _drawn(draw, *shape)
        yield case("equal features have variance 0: only the bias is left", equal, weight, bias, tolerance=CLOSE)
    sizes = ((3, 4), (4, 4), (2, 3, 4), (3, 3, 3), (2, 3, 4, 5), (3, 3, 3, 3), (4, 1, 6), (1, 7), (1, 4, 16), (2, 5, 4))
    for shape in (*sizes, (6, 3), (8, 3, 3), (3, 8, 8)):
        yield case("any leading shape", *_drawn(draw, *shape))
    through = "the gradient flows, through the mean and the variance too"
    for shape in ((2, 3), (3, 3), (2, 3, 4)):
        yield case(through, *_drawn(draw, *shape), gradients=True)
    for n in (3, 5, 8):
        yield edge("a single vector", *_drawn(draw, n))
    for shape in ((1, 4), (2, 3), (3, 3), (2, 3, 4)):
        x, weight, _bias = _drawn(draw, *shape)
        yield edge("the bias may be None", x, weight, None)
    for dtype in (torch.float64, torch.bfloat16):
        for shape in ((2, 6), (2, 3, 8)):
            x, weight, bias = (one.to(dtype) for one in _drawn(draw, *shape, shift=0.0))
            yield edge("keeps the dtype", x, weight, bias, tolerance=BFLOAT)
            yield edge("keeps the dtype", x, weight, None, tolerance=BFLOAT)


def _drawn(draw: Draw, *shape: int, scale: float = 2.0, shift: float = 1.5) -> tuple[Tensor, Tensor, Tensor]:
    """An x whose tokens have means of their own, a weight and a bias."""
    x = draw.tensor(*shape, scale=scale) + shift  # (…, C)
    x = x + torch.linspace(-scale, scale, shape[-1])  # (…, C) no token has almost equal features, a matter of rounding
    return x, draw.tensor(shape[-1]), draw.tensor(shape[-1])


EXAMPLE_SIZE = "64 · 256 tokens"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call(_drawn(Draw(0), 64, 256, 128))
