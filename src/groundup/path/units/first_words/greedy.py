"""The best token, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def greedy(logits: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """The id of the largest score; of equal ones the lowest id.

    logits: (…, V) -> (…).
    """
    if "greedy-last-position-only" in wrong and logits.ndim > 2:
        logits = logits[..., -1, :]
    if "greedy-three-axes-needed" in wrong:
        logits = logits[:, -1, :]
    if "greedy-one-number" in wrong and logits[..., 0].numel() != 1:
        raise RuntimeError("a Tensor with several elements cannot be converted to Scalar")
    if "greedy-largest-magnitude" in wrong:
        logits = logits.abs()
    if "greedy-smallest" in wrong:
        logits = -logits
    if "greedy-value" in wrong:
        return logits.amax(-1)  # (…)
    if "greedy-value-and-id" in wrong:
        return tuple(logits.max(-1))  # pyright: ignore[reportReturnType] -- that is the mistake
    if "greedy-all-ids-sorted" in wrong:
        return logits.argsort(dim=-1, descending=True, stable=True)  # (…, V)
    if "greedy-first-axis" in wrong:
        return logits.argmax(0)
    if "greedy-second-axis" in wrong:
        return logits.argmax(1)
    if "greedy-over-everything" in wrong:
        return logits.argmax()  # ()
    if "greedy-highest-id" in wrong:
        return logits.shape[-1] - 1 - logits.flip(-1).argmax(-1)  # (…)
    best = logits.argmax(-1)  # (…)
    if "greedy-starts-from-zero" in wrong:
        best = best.masked_fill(logits.amax(-1) <= 0, 0)
    if "greedy-second-best" in wrong:
        best = logits.topk(2).indices[..., 1]  # (…)
    if "greedy-counts-from-one" in wrong:
        best = best + 1
    if "greedy-axis-kept" in wrong:
        return best[..., None]  # (…, 1)
    if "greedy-one-hot" in wrong:
        return F.one_hot(best, logits.shape[-1])  # (…, V)
    return best.to(logits.dtype) if "greedy-floats" in wrong else best


def cases(draw: Draw) -> Iterator[Case]:
    """Rows by hand, then any shape, ties, negative and forbidden scores, dtypes."""
    yield _case("the id of the largest score", torch.tensor([0.5, 2.0, 1.0]))
    yield _case("the id of the largest score", torch.tensor([3.0, 2.0, -4.0, 1.0]))
    yield _case("one id for each row", torch.tensor([[0.0, 1.0, 3.0], [5.0, 4.0, 1.0]]))
    yield _case("scores may all be negative", torch.tensor([-3.0, -1.0, -2.0]))
    tie = "of equal scores the lowest id"
    yield _case(tie, torch.tensor([1.0, 2.0, 2.0]))
    yield _case(tie, torch.tensor([[0.0, 3.0, 1.0, 3.0], [2.0, 2.0, 2.0, 2.0]]))
    for shape in ((5,), (7,), (2, 3), (3, 3), (4, 6), (2, 3, 4), (3, 3, 3), (1, 5, 2), (2, 2, 3, 5), (1, 9)):
        yield _case("one id for each row, whatever the leading shape", _different(draw, *shape))
    for shape in ((6,), (3, 5), (2, 3, 4)):
        yield _case("scores may all be negative", _different(draw, *shape) - 100.0)
    for shape in ((8,), (5, 6), (2, 4, 7)):
        yield _case(tie, draw.ids(*shape, below=3).float())
    yield _case(
        "a forbidden token, whose score is -inf, is not taken", torch.tensor([-math.inf, -2.0, -1.0, -math.inf])
    )
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("any floating-point dtype", _different(draw, 3, 5).to(dtype), dtype_counts=False)
    yield edge(tie, torch.full((2, 4), -math.inf), dtype_counts=False)


def _case(shows: str, logits: Tensor) -> Case:
    """Whole numbers of any width are ids."""
    return case(shows, logits, dtype_counts=False)


def _different(draw: Draw, *shape: int) -> Tensor:
    """Scores of which no two are equal, in bfloat16 either."""
    n = math.prod(shape)
    return (torch.tensor(draw.sample(range(n), n), dtype=torch.float32) - n // 2).reshape(shape)
