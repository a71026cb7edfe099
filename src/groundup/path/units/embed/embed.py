"""Token plus position, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..token_embedding.token_embedding import token_embedding


@reference
def embed(ids: Tensor, token_weight: Tensor, position_weight: Tensor, *, wrong: Wrong = RIGHT) -> Tensor:
    """Token embedding plus learned position.

    ids: (B, T), token_weight: (V, C), position_weight: (L, C) -> (B, T, C). Raises ValueError when T > L.
    """
    n_tokens, length = ids.shape[-1], position_weight.shape[0]
    if "embed-width-checked" in wrong:
        length = position_weight.shape[1]
    if "embed-vocabulary-checked" in wrong:
        length = token_weight.shape[0]
    if "embed-batch-checked" in wrong or "embed-length-of-the-batch" in wrong:
        n_tokens = len(ids)
    if n_tokens > length or ("embed-full-context-refused" in wrong and n_tokens == length):
        ids, position_weight = _too_long(ids, position_weight, wrong)
        n_tokens = ids.shape[-1]
    if "embed-tables-exchanged" in wrong:
        return token_weight[:n_tokens] + position_weight[ids]
    tokens = token_embedding(ids, token_weight, wrong=wrong)  # (B, T, C)
    if "embed-positions-missing" in wrong:
        return tokens
    positions = _positions(ids, position_weight, wrong)
    if "embed-detached" in wrong:
        positions = positions.detach()
    if "embed-multiplied" in wrong:
        return tokens * positions
    if "embed-concatenated" in wrong:
        return torch.cat([tokens, positions.expand_as(tokens)], -1)  # (B, T, 2*C)
    if "embed-averaged" in wrong:
        return (tokens + positions) / 2
    if "embed-scaled" in wrong:
        return (tokens + positions) * tokens.shape[-1] ** 0.5
    if "embed-subtracted" in wrong:
        return tokens - positions
    if "embed-first-sequence" in wrong:
        return torch.cat([tokens[:1] + positions, tokens[1:]])
    return tokens + positions  # (B, T, C)


def _too_long(ids: Tensor, position_weight: Tensor, wrong: Wrong) -> tuple[Tensor, Tensor]:
    """What is done with more tokens than there are positions."""
    n_tokens, length = ids.shape[-1], position_weight.shape[0]
    if "embed-wrapped" in wrong:
        return ids, position_weight[torch.arange(n_tokens) % length]
    if "embed-clamped" in wrong:
        return ids, position_weight[torch.arange(n_tokens).clamp(max=length - 1)]
    if "embed-cut" in wrong:
        return ids[:, :length], position_weight
    if "embed-cut-in-front" in wrong:
        return ids[:, -length:], position_weight
    if "embed-zeros-beyond" in wrong:
        missing = position_weight.new_zeros(n_tokens - length, position_weight.shape[1])
        return ids, torch.cat([position_weight, missing])
    if "embed-unchecked" in wrong:
        raise IndexError("there is no such position")
    raise ValueError(f"{n_tokens} tokens do not fit into a context of {length}")


def _positions(ids: Tensor, weight: Tensor, wrong: Wrong) -> Tensor:
    """The rows of the positions that are added. weight: (L, C)."""
    b, t = ids.shape
    if "embed-position-of-the-id" in wrong:
        return weight[ids]
    if "embed-along-the-batch" in wrong:
        return weight[:b, None]
    if "embed-counted-on" in wrong:
        return weight[torch.arange(b * t).view(b, t)]
    if "embed-from-one" in wrong:
        return weight[torch.arange(1, t + 1)]
    if "embed-last-rows" in wrong:
        return weight[-t:]
    if "embed-from-the-end" in wrong:
        return weight.flip(0)[:t]
    if "embed-length-of-the-batch" in wrong:
        return weight[:b]
    if "embed-reversed" in wrong:
        return weight[:t].flip(0)
    if "embed-same-position" in wrong:
        return weight[0]
    if "embed-last-position" in wrong:
        return weight[t - 1]
    if "embed-not-cut" in wrong:
        return weight
    if "embed-doubled" in wrong:
        return 2 * weight[:t]
    return weight[:t]  # (T, C)


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then contexts that are not full, squares, more sequences than tokens, gradients, what does not fit."""
    add = "the row of the token plus the row of its position"
    tokens = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    places = torch.tensor([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0], [70.0, 80.0]])
    yield case(add, torch.tensor([[2]]), tokens, places)
    yield case(add, torch.tensor([[1, 1]]), tokens, places)
    yield case(add, torch.tensor([[0, 2], [1, 0]]), tokens, places)
    shapes = ((2, 3, 7, 4, 5), (1, 4, 6, 3, 9), (4, 2, 5, 6, 8), (3, 1, 4, 2, 5), (6, 2, 3, 4, 13), (2, 5, 4, 7, 11))
    for b, t, v, c, n in shapes:
        yield case("a position for each token, the same in each sequence", *_drawn(draw, b, t, v, c, n))
    for b, t, v, c, n in ((2, 4, 6, 3, 4), (3, 3, 5, 4, 3), (1, 2, 3, 5, 2), (3, 6, 9, 2, 6)):
        yield case("a full context is allowed: T = L", *_drawn(draw, b, t, v, c, n))
    for n in (2, 3, 4):  # all sizes the same: no wrong axis shows in the shape
        yield case(add, *_drawn(draw, n, n, n, n, n))
        yield case(add, *_drawn(draw, n, n, n, n, 2 * n))
    for b, t, v, c, n in ((2, 3, 5, 4, 6), (3, 2, 4, 2, 2), (2, 2, 2, 2, 3)):
        yield case("the gradient flows into both tables", *_drawn(draw, b, t, v, c, n), gradients=True)
    for b, t, v, c, n in ((1, 3, 5, 4, 2), (2, 6, 5, 3, 5), (2, 4, 6, 3, 2), (3, 8, 6, 2, 3), (3, 3, 3, 3, 2)):
        yield case("more tokens than positions is a ValueError", *_drawn(draw, b, t, v, c, n))
    for dtype in (torch.float64, torch.bfloat16):
        tables = draw.tensor(6, 4, dtype=dtype), draw.tensor(5, 4, dtype=dtype)
        yield edge("keeps the dtype", draw.ids(2, 3, below=6), *tables)


def _drawn(draw: Draw, b: int, t: int, v: int, c: int, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids (B, T), a table of tokens (V, C) and one of positions (L, C)."""
    return draw.ids(b, t, below=v), draw.tensor(v, c), draw.tensor(n, c)
