"""Embedding, backwards: each row of the table learns from every place where its token stood.

Picking row `ids[n]` is a linear layer on a vector that is 1 at that id and 0 elsewhere. So its backward pass is that of
a linear layer, with all the multiplications by 0 left out: the gradient of a row is the sum of dy over the places where
the row was picked, and a row that was not picked gets none.

Read next: `block.py`; beside this file, `model/embedding.py`.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from ..errors import ShapeError
from .linear import rows


def token_embedding(ids: ndarray, weight: ndarray) -> ndarray:
    """The rows of `weight` that the ids name.

    ids: (…), weight: (V, C) -> (…, C).
    """
    return weight[ids]  # (…, C)


def embedding_backward(dy: ndarray, ids: ndarray, vocab_size: int) -> ndarray:
    """The gradient by the table.

    dy: (…, C), ids: (…) -> (V, C).
    """
    dweight = np.zeros((vocab_size, dy.shape[-1]), dtype=dy.dtype)  # (V, C)
    # `dweight[ids] += dy` would keep only one of several uses of a row. Sorted, the uses of a row lie together, and
    # reduceat adds up each such run.
    order = np.argsort(ids, axis=None, kind="stable")  # (N,)
    used, starts = np.unique(ids.reshape(-1)[order], return_index=True)
    if len(used):
        dweight[used] = np.add.reduceat(rows(dy)[order], starts, axis=0)
    return dweight


def embed(ids: ndarray, token_weight: ndarray, position_weight: ndarray) -> ndarray:
    """Token embedding plus learned position.

    ids: (B, T), token_weight: (V, C), position_weight: (L, C) -> (B, T, C).
    Raises ShapeError, which is a ValueError, when there are more tokens than positions.
    """
    n_tokens, context_length = ids.shape[-1], len(position_weight)
    if n_tokens > context_length:
        raise ShapeError(
            f"{n_tokens} tokens do not fit into a context of {context_length}",
            where="embed",
            fix="cut the ids, or use a model with a longer context",
        )
    x = token_embedding(ids, token_weight)  # (B, T, C)
    x += position_weight[:n_tokens]
    return x


def position_backward(dy: ndarray, position_weight: ndarray) -> ndarray:
    """The gradient by the table of positions: place t serves row t of every sequence, and those after T serve none.

    dy: (B, T, C), position_weight: (L, C) -> (L, C).
    """
    dweight = np.zeros_like(position_weight)  # (L, C)
    dweight[: dy.shape[-2]] = dy.reshape(-1, *dy.shape[-2:]).sum(axis=0)
    return dweight
