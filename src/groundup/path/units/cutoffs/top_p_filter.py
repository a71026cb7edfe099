"""Keeping the nucleus of the distribution, right or with one of the known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw
from ...reference import RIGHT, Wrong, reference
from ..softmax.softmax import softmax
from .top_k_filter import FINITE, filter_case, spread


@reference
def top_p_filter(logits: Tensor, p: float, *, wrong: Wrong = RIGHT) -> Tensor:
    """Keep the smallest set of tokens whose probability reaches p; the best token always stays.

    logits: (…, V); returns its shape and dtype, the others -inf. p = 1 keeps all.
    """
    if "top_p_filter-ignored" in wrong or (p >= 1 and "top_p_filter-rounded-at-one" not in wrong):
        return logits
    if "top_p_filter-whole-tensor" in wrong:
        return top_p_filter(logits.flatten(), p, wrong=wrong - {"top_p_filter-whole-tensor"}).view_as(logits)
    if "top_p_filter-complement" in wrong:
        p = 1 - p
    axis = 0 if "top_p_filter-first-axis" in wrong else -1
    order = logits.sort(axis, descending="top_p_filter-ascending" not in wrong).indices  # (…, V)
    if "top_p_filter-not-sorted" in wrong:
        order = torch.arange(logits.shape[-1]).expand_as(logits)  # (…, V)
    best_first = logits.gather(axis, order)  # (…, V)
    is_cut = _is_cut(best_first, p, wrong)  # (…, V)
    return _without(logits, order, is_cut, wrong)


def _is_cut(best_first: Tensor, p: float, wrong: Wrong) -> Tensor:
    """Which tokens go, of logits that are sorted. best_first: (…, V)."""
    axis = 0 if "top_p_filter-first-axis" in wrong else -1
    wide = best_first if best_first.dtype == torch.float64 else best_first.float()  # (…, V)
    probabilities = softmax(wide, axis, wrong=wrong)  # (…, V)
    if "top_p_filter-not-normalised" in wrong:
        probabilities = wide.exp()
    if "top_p_filter-not-stable" in wrong:
        probabilities = wide.exp() / wide.exp().sum(-1, keepdim=True)
    if "top_p_filter-softmax-twice" in wrong:
        probabilities = softmax(probabilities, axis, wrong=wrong)
    if "top_p_filter-of-logits" in wrong:
        probabilities = wide
    if "top_p_filter-threshold" in wrong:
        return probabilities < p
    if "top_p_filter-threshold-unless-best" in wrong:
        return _best_stays(probabilities < p, wrong)
    if "top_p_filter-relative" in wrong:
        return probabilities < p * probabilities.amax(-1, keepdim=True)
    if "top_p_filter-fraction-of-tokens" in wrong:
        ranks = torch.arange(best_first.shape[-1]).expand_as(best_first)  # (…, V)
        return ranks >= max(1, int(p * best_first.shape[-1]))
    reached = probabilities.cumsum(0 if "top_p_filter-summed-over-rows" in wrong else axis)  # (…, V)
    if "top_p_filter-reaching-left-out" in wrong:
        return reached >= p
    if "top_p_filter-crossing-left-out" in wrong:
        return reached > p
    if "top_p_filter-crossing-left-out-unless-best" in wrong:
        return _best_stays(reached > p, wrong)
    before = reached - probabilities  # (…, V)
    if "top_p_filter-one-more" in wrong:
        before = before - probabilities.roll(1, axis)  # (…, V)
        before[..., 0] = -1.0
    beyond = torch.gt if "top_p_filter-exactly-is-not-enough" in wrong else torch.ge
    is_cut = _best_stays(beyond(before, p), wrong)
    if "top_p_filter-best-not-restored" in wrong:
        is_cut[..., 0] = beyond(reached, p)[..., 0]
    return is_cut


def _best_stays(is_cut: Tensor, wrong: Wrong) -> Tensor:
    if "top_p_filter-none-kept" not in wrong:
        is_cut.select(0 if "top_p_filter-first-axis" in wrong else -1, 0).fill_(False)
    return is_cut


def _without(logits: Tensor, order: Tensor, is_cut: Tensor, wrong: Wrong) -> Tensor:
    """The logits without those that go. order: the ids in the order of is_cut; all (…, V)."""
    if "top_p_filter-order-lost" in wrong:
        logits = logits.gather(-1, order)  # (…, V)
    elif "top_p_filter-gathered" in wrong:
        is_cut = is_cut.gather(-1, order)  # (…, V)
    elif "top_p_filter-first-axis" in wrong:
        is_cut = torch.zeros_like(is_cut).scatter(0, order, is_cut)  # (…, V)
    elif "top_p_filter-not-scattered" not in wrong:
        is_cut = torch.zeros_like(is_cut).scatter(-1, order, is_cut)  # (…, V)
    if "top_p_filter-first-row" in wrong:
        is_cut = is_cut.reshape(-1, logits.shape[-1])[0].expand_as(logits)  # (…, V)
    if "top_p_filter-in-any-row" in wrong:
        is_cut = is_cut.reshape(-1, logits.shape[-1]).any(0).expand_as(logits)  # (…, V)
    if "top_p_filter-inverted" in wrong:
        is_cut = ~is_cut
    fill = 0.0 if "top_p_filter-zero" in wrong else FINITE if "top_p_filter-finite" in wrong else -math.inf
    out = logits.masked_fill(is_cut, fill)
    if "top_p_filter-one-axis-only" in wrong:
        out = logits.clone()
        out[order[is_cut.gather(-1, order)]] = -math.inf
    if "top_p_filter-probabilities" in wrong:
        out = logits.softmax(-1).masked_fill(is_cut, 0.0)
    if "top_p_filter-changes-input" in wrong:
        logits.copy_(out)
    if "top_p_filter-softmax" in wrong:
        out = out.softmax(-1)
    if "top_p_filter-log-softmax" in wrong:
        out = out.log_softmax(-1)
    return out.float() if "top_p_filter-float32" in wrong else out


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes with a p that is no edge, then exactly p, p of 0 and 1, dtypes."""
    nucleus = "the best tokens stay until their probabilities reach p, the others become -inf"
    by_hand = torch.tensor([0.12, 0.6, 0.28]).log()
    for p in (0.5, 0.7, 0.95):
        yield filter_case(nucleus, by_hand, p)
    for p in (0.3, 0.45, 0.75):
        yield filter_case(nucleus, torch.tensor([0.05, 0.17, 0.4, 0.1, 0.28]).log(), p)
    yield filter_case("the best token always stays", by_hand, 0.2)
    for n in (5, 8, 12):
        yield filter_case(nucleus, *clear(draw, n))
    for shape in ((2, 3), (1, 6), (3, 3), (4, 4), (3, 8), (2, 3, 4), (3, 3, 3), (2, 2, 3, 5)):
        for _ in range(3):
            yield filter_case("each row keeps its own nucleus", *clear(draw, *shape))
    yield filter_case("the best token always stays", spread(draw, 2, 4), 0.01)
    halves = torch.tensor(draw.sample([0.0, -math.log(2), -math.log(4), -math.log(4)], 4))  # 1/2, 1/4, 1/8, 1/8
    for p in (0.5, 0.75):
        yield filter_case("exactly p is enough", halves, p, tier=EDGE)
        yield filter_case("exactly p is enough", torch.stack([halves, halves.flip(0)]), p, tier=EDGE)
    yield filter_case("the best token stays even with p = 0", by_hand, 0.0, tier=EDGE)
    yield filter_case("the best token stays even with p = 0", spread(draw, 2, 4), 0.0, tier=EDGE)
    for far in ([0.0, -200.0, -300.0], [-200.0, -300.0, 0.0]):  # their probabilities cannot be told from 0
        # Above the place where a finite number stands for -inf.
        yield filter_case("p = 1 keeps all", torch.tensor(far) + 290, 1.0, tier=EDGE)
    yield filter_case("p = 1 keeps all", spread(draw, 2, 3), 1.0, tier=EDGE)
    cut = torch.tensor([1.0, -math.inf, 3.0, -math.inf, 2.5])
    for p in (0.3, 0.8):
        yield filter_case("what was cut before stays cut", cut, p, tier=EDGE)
    for large in ([300.0, 299.0, 290.0], [[120.0, 110.0, 119.5], [1.0, 0.0, 3.0]]):
        yield filter_case("stable for large logits", torch.tensor(large), 0.5, tier=EDGE)
    for dtype in (torch.float64, torch.bfloat16):
        logits, p = clear(draw, 2, 5, margin=0.05)
        yield filter_case("keeps the dtype", logits.to(dtype), p, tier=EDGE)


def clear(draw: Draw, *shape: int, margin: float = 0.003) -> tuple[Tensor, float]:
    """Logits, and a p that no row reaches exactly, or nearly. (…, V)."""
    while True:
        logits, p = spread(draw, *shape), draw.uniform(0.2, 0.98)
        reached = logits.softmax(-1).sort(-1, descending=True).values.cumsum(-1)  # (…, V)
        if float((reached - p).abs().min()) > margin:
            return logits, p


EXAMPLE_SIZE = "V = 50257"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((Draw(0).tensor(4, 50257), 0.9))
