"""Embedding: each token id picks a row of a table, and that row is the token from here on.

The table is learned like every other weight. At the start the rows are random; in the end, tokens that are used alike
have rows that lie close together. Where a model adds learned positions, those are rows of a second table, picked by
place instead of by id.

Read next: `position.py`.
Source: Bengio et al. 2003, section 2; positions as in Radford et al. 2019 (GPT-2).
"""

from __future__ import annotations

from torch import Tensor

from ..errors import ShapeError


def token_embedding(ids: Tensor, weight: Tensor) -> Tensor:
    """The rows of `weight` that the ids name.

    ids: (…), weight: (V, C) -> (…, C).
    """
    return weight[ids]  # (…, C)


def embed(ids: Tensor, token_weight: Tensor, position_weight: Tensor, *, token_embedding=token_embedding) -> Tensor:
    """Token embedding plus learned position.

    ids: (B, T), token_weight: (V, C), position_weight: (L, C) -> (B, T, C).
    Raises ShapeError, which is a ValueError, when there are more tokens than positions.
    """
    n_tokens, context_length = ids.shape[-1], position_weight.shape[0]
    if n_tokens > context_length:
        raise ShapeError(
            f"{n_tokens} tokens do not fit into a context of {context_length}",
            where="embed",
            fix="cut the ids, or use a model with a longer context",
        )
    return token_embedding(ids, token_weight) + position_weight[:n_tokens]  # (B, T, C)
