"""Keeping what is likely beside the best token, right or with one of the known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import EDGE, Case, Draw
from ...reference import RIGHT, Wrong, reference
from ..softmax.softmax import softmax
from .top_k_filter import FINITE, filter_case, spread


@reference
def min_p_filter(logits: Tensor, p: float, *, wrong: Wrong = RIGHT) -> Tensor:
    """Keep the tokens that have at least p times the probability of the best one.

    logits: (…, V); returns its shape and dtype, the others -inf.
    """
    if "min_p_filter-ignored" in wrong or (p >= 1 and "min_p_filter-one-keeps-all" in wrong):
        return logits
    if "min_p_filter-whole-tensor" in wrong:
        return min_p_filter(logits.flatten(), p, wrong=wrong - {"min_p_filter-whole-tensor"}).view_as(logits)
    if "min_p_filter-complement" in wrong:
        p = 1 - p
    wide = logits if logits.dtype == torch.float64 else logits.float()  # (…, V)
    axis = 0 if "min_p_filter-first-axis" in wrong else -1
    probabilities = softmax(wide, axis, wrong=wrong)  # (…, V)
    if "min_p_filter-not-stable" in wrong:
        probabilities = wide.exp() / wide.exp().sum(-1, keepdim=True)
    is_cut = _is_cut(wide, probabilities, p, axis, wrong)  # (…, V)
    if "min_p_filter-inverted" in wrong:
        is_cut = ~is_cut
    if "min_p_filter-probabilities" in wrong:
        return probabilities.to(logits.dtype).masked_fill(is_cut, 0.0)
    fill = 0.0 if "min_p_filter-zero" in wrong else FINITE if "min_p_filter-finite" in wrong else -math.inf
    out = logits.masked_fill(is_cut, fill)
    if "min_p_filter-changes-input" in wrong:
        logits.copy_(out)
    if "min_p_filter-softmax" in wrong:
        return out.softmax(-1)
    if "min_p_filter-log-softmax" in wrong:
        return out.log_softmax(-1)
    return out.float() if "min_p_filter-float32" in wrong else out


def _is_cut(logits: Tensor, probabilities: Tensor, p: float, axis: int, wrong: Wrong) -> Tensor:
    """Which tokens go; all (…, V)."""
    best = probabilities.amax(axis, keepdim=True)  # (…, 1)
    if "min_p_filter-of-logits" in wrong:
        return logits < p * logits.amax(-1, keepdim=True)
    if "min_p_filter-log-probabilities" in wrong:
        return probabilities.log() < p * best.log()
    if "min_p_filter-logit-distance" in wrong:
        return logits < logits.amax(-1, keepdim=True) - p
    if "min_p_filter-absolute-unless-best" in wrong:
        return (probabilities < p) & (probabilities < best)
    if "min_p_filter-absolute" in wrong:
        return probabilities < p
    if "min_p_filter-nucleus" in wrong:
        order = probabilities.argsort(-1, descending=True)  # (…, V)
        sorted_ = probabilities.gather(-1, order)  # (…, V)
        return torch.zeros_like(order).bool().scatter(-1, order, sorted_.cumsum(-1) - sorted_ >= p)
    if "min_p_filter-difference" in wrong:
        return probabilities < best - p
    if "min_p_filter-divided" in wrong:
        return probabilities < best / p
    if "min_p_filter-of-mean" in wrong:
        return probabilities < p * probabilities.mean(-1, keepdim=True)
    if "min_p_filter-best-of-all" in wrong:
        best = probabilities.amax()
    if "min_p_filter-best-of-column" in wrong:
        best = probabilities.amax(0, keepdim=True)
    if "min_p_filter-first-row" in wrong:
        best = best.reshape(-1)[0]
    if "min_p_filter-axis-dropped" in wrong:
        best = best.squeeze(-1)  # (…)
    if "min_p_filter-strict" in wrong:
        return probabilities <= p * best
    return probabilities < p * best


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes with a p that is no edge, then p = 1, logits that were cut before, dtypes."""
    shows = "a token stays if it has at least p times the probability of the best one"
    by_hand = torch.tensor([0.12, 0.6, 0.28]).log()
    for p in (0.1, 0.4, 0.7):
        yield filter_case(shows, by_hand, p)
    for p in (0.15, 0.33, 0.6):
        yield filter_case(shows, torch.tensor([0.05, 0.17, 0.4, 0.1, 0.28]).log(), p)
    for n in (5, 8, 12):
        yield filter_case(shows, *clear(draw, n))
    each = "each row is measured by its own best token"
    yield filter_case(each, torch.tensor([[0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]).log(), 0.6)
    for shape in ((2, 3), (1, 6), (3, 3), (4, 4), (3, 8), (2, 3, 4), (3, 3, 3), (2, 2, 3, 5)):
        for _ in range(3):
            yield filter_case(each, *clear(draw, *shape))
    ones = "p = 1 keeps the best token and what ties with it"
    yield filter_case(ones, by_hand, 1.0, tier=EDGE)
    yield filter_case(ones, torch.tensor([[2.0, 1.0, 2.0], [0.0, 0.0, 0.0]]), 1.0, tier=EDGE)
    cut = torch.tensor([1.0, -math.inf, 3.0, -math.inf, 2.5])
    for p in (0.3, 0.8):
        yield filter_case("what was cut before stays cut", cut, p, tier=EDGE)
    alone = torch.tensor([[-math.inf, 2.0, -math.inf], [1.0, -math.inf, -math.inf]])
    yield filter_case("what was cut before stays cut", alone, 0.5, tier=EDGE)
    for large in ([300.0, 299.0, 290.0], [[120.0, 110.0, 119.5], [1.0, 0.0, 3.0]]):
        yield filter_case("stable for large logits", torch.tensor(large), 0.5, tier=EDGE)
    for dtype in (torch.float64, torch.bfloat16):
        logits, p = clear(draw, 2, 5, margin=0.1)
        yield filter_case("keeps the dtype", logits.to(dtype), p, tier=EDGE)


def clear(draw: Draw, *shape: int, margin: float = 0.01) -> tuple[Tensor, float]:
    """Logits, and a p that is not nearly the share of any token. (…, V)."""
    while True:
        logits, share = spread(draw, *shape), draw.uniform(-2.5, -0.2)
        shares = logits - logits.amax(-1, keepdim=True)  # (…, V)
        if float((shares - share).abs().min()) > margin:
            return logits, math.exp(share)
