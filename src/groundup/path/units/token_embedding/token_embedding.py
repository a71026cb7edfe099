"""The token embedding, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def token_embedding(ids: Tensor, weight: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """The rows of `weight` that the ids name. ids: (…), weight: (V, C) -> (…, C)."""
    ids = _ids(ids, wrong)
    if "token_embedding-columns" in wrong:
        return weight.T[ids]
    if "token_embedding-columns-in-front" in wrong:
        return weight[:, ids]
    if "token_embedding-features-first" in wrong:
        return weight.T[:, ids]  # (C, …)
    if "token_embedding-one-hot" in wrong:
        return torch.nn.functional.one_hot(ids, weight.shape[0]).to(weight.dtype)  # (…, V)
    if "token_embedding-unit-length" in wrong:
        weight = torch.nn.functional.normalize(weight, dim=-1)
    rows = weight[ids]  # (…, C)
    if "token_embedding-scaled" in wrong:
        rows = rows * math.sqrt(weight.shape[1])
    if "token_embedding-scaled-down" in wrong:
        rows = rows / math.sqrt(weight.shape[1])
    if "token_embedding-multiplied" in wrong:
        rows = rows * ids[..., None]
    if "token_embedding-padding" in wrong:
        rows = rows.masked_fill((ids == 0)[..., None], 0.0)
    return _form(rows, wrong)


def _ids(ids: Tensor, wrong: Wrong) -> Tensor:
    """Which rows are taken."""
    if "token_embedding-from-one" in wrong:
        return ids - 1
    if "token_embedding-one-further" in wrong:
        return ids + 1
    if "token_embedding-by-position" in wrong:
        return torch.arange(ids.shape[-1]).expand_as(ids)
    if "token_embedding-each-once" in wrong:
        return ids.unique()  # (n,)
    return ids


def _form(rows: Tensor, wrong: Wrong) -> Tensor:
    """One row for each id, in the shape of the ids. rows: (…, C)."""
    if "token_embedding-flat" in wrong:
        return rows.flatten(0, -2)
    if "token_embedding-first-sequence" in wrong:
        return rows[0]
    if "token_embedding-last-token" in wrong:
        return rows[..., -1, :]
    if "token_embedding-added-up" in wrong:
        return rows.sum(-2)
    if "token_embedding-averaged" in wrong:
        return rows.mean(-2)
    if "token_embedding-tokens-last" in wrong:
        return rows.mT
    if "token_embedding-tokens-first" in wrong:
        return rows.transpose(0, 1) if rows.ndim > 2 else rows
    if "token_embedding-detached" in wrong:
        return rows.detach()
    return rows.float() if "token_embedding-float32" in wrong else rows


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes (also those in which a wrong axis fits), gradients with repeated ids, dtypes."""
    row = "each id is replaced by its row of the table"
    yield case(row, torch.tensor([2]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    yield case(row, torch.tensor([1, 0, 1]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    yield case(row, torch.tensor([[0, 2], [1, 1]]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    shapes = (((4,), 7, 3), ((6,), 3, 5), ((2, 3), 11, 4), ((3, 2), 5, 8), ((1, 6), 9, 2), ((5, 1), 4, 3))
    for shape, v, c in (*shapes, ((2, 3, 4), 6, 5), ((2, 1, 2, 3), 10, 3)):
        yield case("ids of any shape (…) give (…, C)", _ids_of(draw, *shape, below=v), draw.tensor(v, c))
    for n in (2, 3, 4, 5):  # all sizes the same: no wrong axis shows in the shape
        yield case(row, _ids_of(draw, n, n, below=n), draw.tensor(n, n))
        yield case(row, _ids_of(draw, n, below=n), draw.tensor(n, n))
    last = "the first and the last row of the table count too"
    yield case(last, torch.tensor([[0, 4], [4, 0]]), draw.tensor(5, 3))
    yield case(last, torch.tensor([6, 0, 3]), draw.tensor(7, 7))
    yield case("large tables", _ids_of(draw, 3, 8, below=500), draw.tensor(500, 16))
    flows = "the gradient of a row is the sum over all places where its id stands"
    yield case(flows, torch.tensor([1, 0, 1, 1]), draw.tensor(3, 2), gradients=True)
    for shape, v, c in (((2, 3), 5, 4), ((3, 3), 3, 3), ((2, 2, 4), 4, 2)):
        yield case(flows, _ids_of(draw, *shape, below=v), draw.tensor(v, c), gradients=True)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", _ids_of(draw, 2, 3, below=6), draw.tensor(6, 4, dtype=dtype))


def _ids_of(draw: Draw, *shape: int, below: int) -> Tensor:
    """Ids among which are the first and the last, and one twice where there is room."""
    ids = draw.ids(*shape, below=below)
    if ids.numel() > 3:
        ids.view(-1)[torch.tensor(draw.sample(range(ids.numel()), 3))] = torch.tensor([0, below - 1, below - 1])
    return ids
