"""Token and position embedding."""

from __future__ import annotations

import pytest
import torch
from small import random_ids, random_tensor
from torch.nn import functional

from groundup.errors import ShapeError
from groundup.model.embedding import embed, token_embedding


@pytest.mark.parametrize("shape", [(), (4,), (2, 5), (2, 3, 4)])
def test_token_embedding_is_that_of_torch(shape: tuple[int, ...]) -> None:
    ids, weight = random_ids(*shape), random_tensor(13, 6)
    assert torch.equal(token_embedding(ids, weight), functional.embedding(ids, weight))


def test_the_gradients_of_a_repeated_token_add_up() -> None:
    weight = random_tensor(4, 3).requires_grad_()
    token_embedding(torch.tensor([1, 1, 1, 2]), weight).sum().backward()
    assert weight.grad.tolist() == [[0] * 3, [3] * 3, [1] * 3, [0] * 3]


def test_embed_adds_the_row_of_the_place() -> None:
    ids, tokens, positions = random_ids(2, 5), random_tensor(13, 6), random_tensor(7, 6, seed=1)
    embedded = embed(ids, tokens, positions)
    for b in range(2):
        for t in range(5):
            assert torch.equal(embedded[b, t], tokens[ids[b, t]] + positions[t])


def test_a_full_context_fits_and_one_token_more_does_not() -> None:
    tokens, positions = random_tensor(13, 6), random_tensor(5, 6)
    assert embed(random_ids(2, 5), tokens, positions).shape == (2, 5, 6)
    with pytest.raises(ValueError, match="6 tokens do not fit into a context of 5") as raised:
        embed(random_ids(2, 6), tokens, positions)
    assert isinstance(raised.value, ShapeError)
