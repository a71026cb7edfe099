"""Attention that stays inside a document: one document's tokens are nothing to another's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import BOOK, MODERN, random_ids, random_tensor, small_model
from torch.nn import functional

from groundup.kernels import fuse, fused_attention
from groundup.model import ModelParts
from groundup.model.attention import attention, document_numbers, same_document_mask

END = 0
MODELS = {
    "book": small_model(**BOOK),
    "modern": small_model(**MODERN),
    "window": small_model(**MODERN, window=3),
    "fast": small_model(fuse(ModelParts()), **MODERN),
    "fast window": small_model(fuse(ModelParts()), **MODERN, window=3),
}

ids_of_documents = st.lists(st.integers(0, 3), min_size=10, max_size=10).map(lambda ids: torch.tensor([ids]))


def test_a_token_belongs_to_the_document_that_its_end_ends() -> None:
    ids = torch.tensor([[5, 0, 0, 7, 8, 0, 9], [0, 1, 2, 3, 4, 5, 6]])
    assert document_numbers(ids, END).tolist() == [[0, 0, 1, 2, 2, 2, 3], [0, 1, 1, 1, 1, 1, 1]]


@torch.no_grad()
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=40)  # of five models
@given(ids=ids_of_documents, seed=st.integers(0, 10))
def test_changing_one_document_changes_no_logit_of_another(name: str, ids: torch.Tensor, seed: int) -> None:
    model, documents = MODELS[name], document_numbers(ids, END)
    before = model(ids, documents=documents)
    for number in documents.unique():
        inside = (documents == number) & (ids != END)
        changed = torch.where(inside, random_ids(*ids.shape, seed=seed).clamp(min=1), ids)
        after = model(changed, documents=documents)
        assert torch.equal(after[documents != number], before[documents != number])


@torch.no_grad()
def test_teeth_without_documents_the_change_is_seen_by_later_ones() -> None:
    ids, changed = torch.tensor([[1, 2, END, 3, 4]]), torch.tensor([[2, 1, END, 3, 4]])
    for model in MODELS.values():
        assert not torch.equal(model(ids)[:, 3:], model(changed)[:, 3:])


@torch.no_grad()
@pytest.mark.parametrize("name", ["book", "modern", "fast"])
def test_one_document_alone_is_seen_as_ever(name: str) -> None:
    ids = random_ids(2, 10)
    documents = torch.zeros_like(ids)
    assert torch.allclose(MODELS[name](ids, documents=documents), MODELS[name](ids), atol=1e-5)


@torch.no_grad()
def test_the_first_document_is_what_it_is_without_the_others() -> None:
    model, ids = MODELS["book"], torch.tensor([[4, 5, 6, END, 7, 8]])
    assert torch.allclose(model(ids, documents=document_numbers(ids, END))[:, :4], model(ids[:, :4]), atol=1e-5)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
def test_fused_equals_plain_and_torch_in_values_and_gradients(window: int | None, n_kv_heads: int) -> None:
    same = same_document_mask(document_numbers(random_ids(3, 9, vocab_size=3), END))
    results = []
    for function in (attention, fused_attention):
        q = random_tensor(3, 4, 9, 8, seed=1).requires_grad_()
        k, v = (random_tensor(3, n_kv_heads, 9, 8, seed=seed).requires_grad_() for seed in (2, 3))
        mixed = function(q, k, v, window, same_document=same)
        mixed.square().sum().backward()
        results.append([mixed, q.grad, k.grad, v.grad])
    for plain, fused in zip(*results, strict=True):
        assert torch.allclose(plain, fused, atol=1e-5)
    seen = torch.ones(9, 9, dtype=torch.bool).tril().triu(-8 if window is None else 1 - window)
    wanted = functional.scaled_dot_product_attention(
        random_tensor(3, 4, 9, 8, seed=1),
        *(random_tensor(3, n_kv_heads, 9, 8, seed=seed) for seed in (2, 3)),
        attn_mask=same & seen,
        enable_gqa=True,
    )
    assert torch.allclose(results[0][0], wanted, atol=1e-5)


def test_dropout_keeps_to_the_documents_too() -> None:
    same = same_document_mask(torch.tensor([[0, 0, 1, 1]]))
    q, k, v = (random_tensor(1, 2, 4, 8, seed=seed) for seed in (1, 2, 3))
    other = torch.cat([random_tensor(1, 2, 2, 8, seed=4), v[:, :, 2:]], dim=2)
    for function in (attention, fused_attention):
        first, second = (
            function(q, k, values, dropout=0.5, generator=torch.Generator().manual_seed(1), same_document=same)
            for values in (v, other)
        )
        assert torch.equal(first[:, :, 2:], second[:, :, 2:]) and not torch.equal(first[:, :, :2], second[:, :, :2])
