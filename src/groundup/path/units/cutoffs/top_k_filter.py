"""Keeping the k best tokens, right or with one of the known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

FAR = -50.0  # no logit of a case lies so low: what does was put there in the place of -inf
FINITE = -1e9


@reference
def top_k_filter(logits: Tensor, k: int, *, wrong: Wrong = RIGHT) -> Tensor:
    """Keep the k best tokens, and whatever ties with the last of them.

    logits: (…, V); returns its shape and dtype, the others -inf. With k of V or more nothing changes.
    """
    size = logits.shape[-1]
    if "top_k_filter-last-position" in wrong and logits.ndim == 3:
        logits = logits[:, -1]  # (…, V)
    if "top_k_filter-fails-beyond" in wrong and k > size:
        raise RuntimeError("selected index k out of range")
    if "top_k_filter-fails-at-size" in wrong and k >= size:
        raise IndexError(f"index {k} is out of bounds for dimension {logits.ndim - 1} with size {size}")
    if "top_k_filter-ignored" in wrong:
        return logits
    if "top_k_filter-one-more" in wrong:
        k += 1
    if "top_k_filter-one-fewer" in wrong:
        k = max(1, k - 1)
    k = min(k, size)
    if "top_k_filter-indices" in wrong:
        return logits.topk(k).indices
    if "top_k_filter-values-only" in wrong:
        return logits.topk(k).values
    if "top_k_filter-order-lost" in wrong:
        logits = logits.sort(descending=True).values  # (…, V)
    is_cut = _is_cut(logits, k, wrong)  # (…, V)
    if "top_k_filter-inverted" in wrong:
        is_cut = ~is_cut
    if "top_k_filter-probabilities" in wrong:
        return logits.softmax(-1).masked_fill(is_cut, 0.0)
    if "top_k_filter-in-any-row" in wrong:
        is_cut = is_cut.reshape(-1, size).any(0).expand_as(logits)  # (…, V)
    if "top_k_filter-times-infinity" in wrong:
        return logits + is_cut.to(logits.dtype) * -math.inf
    fill = 0.0 if "top_k_filter-zero" in wrong else FINITE if "top_k_filter-finite" in wrong else -math.inf
    out = logits.masked_fill(is_cut, fill)
    if "top_k_filter-changes-input" in wrong:
        logits.copy_(out)
    if "top_k_filter-softmax" in wrong:
        return out.softmax(-1)
    if "top_k_filter-log-softmax" in wrong:
        return out.log_softmax(-1)
    return out.float() if "top_k_filter-float32" in wrong else out


def _is_cut(logits: Tensor, k: int, wrong: Wrong) -> Tensor:
    """Which tokens go. logits: (…, V)."""
    if "top_k_filter-first-axis" in wrong:
        return logits < logits.topk(min(k, logits.shape[0]), dim=0).values[-1:]
    if "top_k_filter-whole-tensor" in wrong:
        return logits < logits.flatten().topk(k).values[-1]
    if "top_k_filter-smallest" in wrong:
        return logits > logits.topk(k, largest=False, sorted=True).values[..., -1:]
    best = logits.topk(k)
    if "top_k_filter-ties-dropped" in wrong:
        return torch.ones_like(logits, dtype=torch.bool).scatter(-1, best.indices, value=False)
    if "top_k_filter-all-ties-dropped" in wrong and k < logits.shape[-1]:
        return logits <= logits.topk(k + 1).values[..., -1:]
    if "top_k_filter-distinct" in wrong:
        rows = [sorted(set(row), reverse=True)[:k] for row in logits.reshape(-1, logits.shape[-1]).tolist()]
        return logits < torch.tensor([row[-1] for row in rows]).view(*logits.shape[:-1], 1)
    edge = best.values[..., -1:]  # (…, 1)
    if "top_k_filter-two-axes-only" in wrong:
        edge = best.values[:, [-1]]
    if "top_k_filter-axis-dropped" in wrong:
        edge = best.values[:, -1] if "top_k_filter-two-axes-only" in wrong else best.values[..., -1]
    if "top_k_filter-lowest-edge" in wrong:
        edge = edge.min()
    if "top_k_filter-first-row" in wrong:
        edge = edge.reshape(-1)[0]
    if "top_k_filter-last-row" in wrong:
        edge = best.values[-1]
    return logits <= edge if "top_k_filter-strict" in wrong else logits < edge


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, then ties, k of V and more, one token, logits that were cut before, dtypes."""
    best = "the k largest logits stay as they are, the others become -inf"
    for k in (2, 3):
        yield filter_case(best, torch.tensor([1.0, 4.0, 2.0, 3.0]), k)
    yield filter_case("each row keeps its own k largest logits", torch.tensor([[1.0, 3.0, 2.0], [9.0, 7.0, 8.0]]), 2)
    yield filter_case(best, torch.tensor([-3.0, -1.0, -2.0]), 2)
    for shape, k in (((5,), 2), ((8,), 3), ((12,), 7)):
        yield filter_case(best, spread(draw, *shape), k)
    each = "each row keeps its own k largest logits"
    for shape in ((2, 3), (1, 6), (3, 3), (4, 4), (3, 8), (2, 3, 4), (3, 3, 3), (2, 2, 3, 5)):
        for k in {2, shape[-1] - 1}:
            yield filter_case(each, spread(draw, *shape), k)
    for shape in ((4,), (2, 3), (3, 3), (2, 3, 4)):
        yield filter_case("with k = 1 only the best is left", spread(draw, *shape), 1, tier=EDGE)
    for k in (1, 2, 3, 4):  # ties at the edge, or within, and a single one below
        rows = [[3.0, 1.0, 2.0, 2.0, 2.0, 0.0], [5.0, 5.0, 4.0, 5.0, 1.0, 4.0]]
        ties = torch.tensor([draw.sample(row, 6) for row in rows])
        yield filter_case("ties at the edge all stay", ties, k, tier=EDGE, any_order=True)
        yield filter_case("ties at the edge all stay", ties[0], k, tier=EDGE, any_order=True)
    yield filter_case("ties at the edge all stay", torch.zeros(2, 4), 2, tier=EDGE, any_order=True)
    for shape, k in (((3,), 3), ((3,), 4), ((2, 4), 4), ((2, 4), 50), ((2, 3, 5), 6), ((1,), 1)):
        yield filter_case("with k of V or more nothing changes", spread(draw, *shape), k, tier=EDGE)
    cut = torch.tensor([1.0, -math.inf, 3.0, -math.inf, 2.0])
    for k in (2, 4):
        yield filter_case("what was cut before stays cut", cut, k, tier=EDGE)
    for dtype in (torch.float64, torch.bfloat16):
        yield filter_case("keeps the dtype", spread(draw, 2, 5).to(dtype), 2, tier=EDGE)


# --- what all filters have in common ----------------------------------------------------------------------------------


def filter_case(shows: str, logits: Tensor, setting: float, *, tier: str = "core", any_order: bool = False) -> Case:
    """A case of a filter. any_order: it does not matter which of equal logits stay, only how many."""
    view = functools.partial(_filtered, logits, any_order)
    return Case(shows, (Call((logits, setting)),), tier, view)


def _filtered(logits: Tensor, any_order: bool, seen: list[Observation]) -> Any:
    """The result, in which all finite numbers that stand for -inf are the same, and whether the input was changed."""
    out = seen[0]["value"]
    if isinstance(out, Tensor) and out.is_floating_point():
        out = out.masked_fill(out.isfinite() & (out < FAR), FINITE)
        out = out.sort(-1).values if any_order else out
    is_same = torch.equal(seen[0]["arguments"][0], logits)
    return out if is_same else {"result": out, "its input": "changed in place"}


def spread(draw: Draw, *shape: int) -> Tensor:
    """Logits in a random order, clearly apart within a row; each row has a middle and a width of its own. (…, V)."""
    n = shape[-1]
    rows = []
    for _ in range(math.prod(shape[:-1])):
        step = draw.uniform(0.3, 1.2)
        first = draw.gauss(0, 1.5) - n * step / 2
        rows.append([first + step * (rank + draw.uniform(0, 0.3)) for rank in draw.sample(range(n), n)])
    return torch.tensor(rows).view(shape)


EXAMPLE_SIZE = "V = 50257"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((Draw(0).tensor(4, 50257), 50))
