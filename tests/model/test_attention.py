"""Softmax, masks, and every form of attention."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small import DTYPES, generator, random_tensor
from torch import Tensor
from torch.nn import functional

from groundup.model.attention import (
    attention,
    attention_weights,
    cached_attention,
    causal_mask,
    grouped_query_attention,
    merge_heads,
    multi_head_attention,
    scaled_dot_product_attention,
    single_head_attention,
    sliding_window_mask,
    softmax,
    split_heads,
)
from groundup.model.dropout import dropout

SCORES = arrays("float64", (4, 6), elements=st.floats(-1e4, 1e4))


def close(a: Tensor, b: Tensor, tolerance: float = 1e-6) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def qkv(n_heads: int = 3, n_kv_heads: int | None = None, t: int = 6, s: int | None = None) -> list[Tensor]:
    shapes = [(2, n_heads, t, 8), *[(2, n_kv_heads or n_heads, s or t, 8)] * 2]
    return [random_tensor(*shape, seed=i, dtype=torch.float64) for i, shape in enumerate(shapes)]


# softmax


@given(SCORES)
def test_softmax_rows_add_up_to_one(scores) -> None:
    weights = softmax(torch.from_numpy(scores))
    assert (weights >= 0).all()
    close(weights.sum(-1), torch.ones(4, dtype=torch.float64))


@given(SCORES, st.floats(-1e6, 1e6))
def test_softmax_ignores_what_is_added_to_all_scores(scores, shift: float) -> None:
    # A score near 1e6 keeps ten digits after the point.
    close(softmax(torch.from_numpy(scores) + shift), softmax(torch.from_numpy(scores)), 1e-8)


@pytest.mark.parametrize("dim", [-1, 0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_is_that_of_torch_along_every_axis(dim: int, dtype: torch.dtype) -> None:
    x = random_tensor(3, 4, 5, dtype=dtype) * 30
    ours = softmax(x, dim=dim)
    assert ours.dtype == dtype
    close(ours.float(), torch.softmax(x.float(), dim=dim), 1e-2 if dtype == torch.bfloat16 else 1e-6)


def test_softmax_of_huge_scores_is_finite() -> None:
    close(softmax(torch.tensor([1e38, 1e38, -1e38])), torch.tensor([0.5, 0.5, 0.0]))


def test_softmax_of_a_row_that_allows_nothing_is_zero_with_zero_gradient() -> None:
    scores = torch.tensor([[-math.inf] * 3, [0.0, -math.inf, 1.0]], requires_grad=True)
    weights = softmax(scores)
    assert weights[0].tolist() == [0, 0, 0]
    assert weights[1, 1] == 0
    (weights * torch.arange(6.0).view(2, 3)).sum().backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0].tolist() == [0, 0, 0]


def test_softmax_has_the_right_gradient() -> None:
    assert torch.autograd.gradcheck(softmax, random_tensor(3, 4, dtype=torch.float64).requires_grad_())


# masks


@pytest.mark.parametrize("t", [1, 2, 7])
def test_causal_mask_allows_each_token_itself_and_all_before(t: int) -> None:
    mask = causal_mask(t)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[column <= row for column in range(t)] for row in range(t)]


@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_sliding_window_mask_allows_exactly_the_window(window: int) -> None:
    mask = sliding_window_mask(7, window)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[row - window < column <= row for column in range(7)] for row in range(7)]
    assert mask.sum(-1).tolist() == [min(row + 1, window) for row in range(7)]


# attention weights and scaled dot-product attention


def test_attention_weights_add_up_to_one_or_to_nothing_where_nothing_is_allowed() -> None:
    q, k, _ = qkv(s=9)
    mask = torch.rand(6, 9, generator=generator()) < 0.5
    mask[2] = False
    totals = attention_weights(q, k, mask).sum(-1)
    close(totals, mask.any(-1).double().expand_as(totals))
    assert (attention_weights(q, k, mask)[:, :, ~mask] == 0).all()


def test_scores_are_divided_by_the_root_of_the_head_width() -> None:
    q, k = torch.zeros(1, 16), torch.zeros(2, 16)
    q[0, 0], k[0, 0] = 1.0, 4.0  # scores 4 / √16 = 1 and 0
    close(attention_weights(q, k), torch.softmax(torch.tensor([[1.0, 0.0]]), -1))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_is_that_of_torch(masked: bool, dtype: torch.dtype) -> None:
    q, k, v = (x.to(dtype) for x in qkv(s=9))
    mask = (torch.rand(2, 1, 6, 9, generator=generator()) < 0.7) | torch.eye(6, 9, dtype=torch.bool)
    chosen = mask if masked else None
    ours = scaled_dot_product_attention(q, k, v, chosen)
    assert ours.dtype == dtype
    reference = functional.scaled_dot_product_attention(q.double(), k.double(), v.double(), attn_mask=chosen)
    close(ours.double(), reference, 3e-2 if dtype == torch.bfloat16 else 1e-5)


@pytest.mark.parametrize("leading", [(), (2,), (2, 3, 4)])
def test_attention_takes_any_leading_axes(leading: tuple[int, ...]) -> None:
    q, k, v = (random_tensor(*leading, n, 4, seed=n) for n in (5, 7, 7))
    close(scaled_dot_product_attention(q, k, v), functional.scaled_dot_product_attention(q, k, v))


def test_a_query_that_may_look_at_nothing_takes_nothing() -> None:
    q, k, v = qkv()
    mask = causal_mask(6)
    mask[3] = False
    assert (scaled_dot_product_attention(q, k, v, mask)[:, :, 3] == 0).all()


def test_attention_ignores_the_future() -> None:
    q, k, v = qkv()
    before = scaled_dot_product_attention(q, k, v, causal_mask(6))
    k[:, :, 4:], v[:, :, 4:] = 99.0, -99.0
    after = scaled_dot_product_attention(q, k, v, causal_mask(6))
    assert torch.equal(before[:, :, :4], after[:, :, :4])
    assert not torch.equal(before[:, :, 4:], after[:, :, 4:])


def test_attention_without_a_mask_does_not_mind_the_order_of_the_keys() -> None:
    q, k, v = qkv()
    order = torch.randperm(6, generator=generator())
    close(scaled_dot_product_attention(q, k[:, :, order], v[:, :, order]), scaled_dot_product_attention(q, k, v))


def test_attention_without_a_mask_answers_permuted_queries_in_their_order() -> None:
    q, k, v = qkv()
    order = torch.randperm(6, generator=generator())
    moved = scaled_dot_product_attention(q[:, :, order], k, v)
    close(moved, scaled_dot_product_attention(q, k, v)[:, :, order])


def test_values_that_are_all_alike_come_back_unchanged() -> None:
    q, k, v = qkv()
    v[:] = v[:, :, :1]
    close(scaled_dot_product_attention(q, k, v, causal_mask(6)), v)


# heads


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 5))
def test_merge_heads_undoes_split_heads(b: int, t: int, n_heads: int, d_head: int) -> None:
    x = random_tensor(b, t, n_heads * d_head)
    heads = split_heads(x, n_heads)
    assert heads.shape == (b, n_heads, t, d_head)
    assert torch.equal(merge_heads(heads), x)


def test_head_h_takes_the_features_from_h_times_its_width() -> None:
    x = random_tensor(2, 5, 12)
    for head in range(3):
        assert torch.equal(split_heads(x, 3)[:, head], x[..., 4 * head : 4 * head + 4])


def test_split_heads_takes_a_view_that_is_not_contiguous() -> None:
    x = random_tensor(2, 12, 5).mT
    assert torch.equal(merge_heads(split_heads(x, 3)), x)


# single and multi-head attention


def test_single_head_attention_is_multi_head_attention_with_one_head() -> None:
    x = random_tensor(2, 5, 8)
    w_q, w_k, w_v = (random_tensor(8, 8, seed=i) for i in range(3))
    ours = single_head_attention(x, w_q, w_k, w_v)
    close(ours, multi_head_attention(x, w_q, w_k, w_v, torch.eye(8), 1), 1e-5)


def test_single_head_attention_may_be_narrower_than_the_model() -> None:
    x = random_tensor(2, 5, 8)
    w_q, w_k, w_v = (random_tensor(3, 8, seed=i) for i in range(3))
    expected = functional.scaled_dot_product_attention(x @ w_q.T, x @ w_k.T, x @ w_v.T, is_causal=True)
    close(single_head_attention(x, w_q, w_k, w_v), expected, 1e-5)


def weights_and_biases(c: int = 12, dtype: torch.dtype = torch.float64) -> tuple[list[Tensor], list[Tensor]]:
    weights = [random_tensor(c, c, seed=i, dtype=dtype) / math.sqrt(c) for i in range(4)]
    return weights, [random_tensor(c, seed=10 + i, dtype=dtype) for i in range(4)]


@pytest.mark.parametrize("n_heads", [1, 3, 12])
@pytest.mark.parametrize("has_bias", [False, True])
def test_multi_head_attention_is_that_of_torch(n_heads: int, has_bias: bool) -> None:
    (w_q, w_k, w_v, w_o), biases = weights_and_biases()
    reference = torch.nn.MultiheadAttention(12, n_heads, bias=has_bias, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        reference.in_proj_weight.copy_(torch.cat([w_q, w_k, w_v]))
        reference.out_proj.weight.copy_(w_o)
        if has_bias:
            reference.in_proj_bias.copy_(torch.cat(biases[:3]))
            reference.out_proj.bias.copy_(biases[3])
    x = random_tensor(2, 5, 12, dtype=torch.float64)
    expected, _ = reference(x, x, x, attn_mask=~causal_mask(5), need_weights=False)
    close(multi_head_attention(x, w_q, w_k, w_v, w_o, n_heads, *(biases if has_bias else [])), expected)


def test_multi_head_attention_ignores_the_future() -> None:
    weights, biases = weights_and_biases()
    x = random_tensor(2, 6, 12, dtype=torch.float64)
    changed = x.clone()
    changed[:, 4:] += 7
    before, after = (multi_head_attention(y, *weights, 3, *biases) for y in (x, changed))
    close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


def test_multi_head_attention_has_the_right_gradient() -> None:
    weights, biases = weights_and_biases(4)
    inputs = [random_tensor(1, 3, 4, dtype=torch.float64), *weights, *biases]
    inputs = [x.requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(lambda x, *p: multi_head_attention(x, *p[:4], 2, *p[4:]), inputs)


def test_dropout_acts_on_the_attention_weights() -> None:
    weights, _ = weights_and_biases()
    x = random_tensor(2, 6, 12, dtype=torch.float64)
    q, k, v = (split_heads(x @ w.T, 3) for w in weights[:3])
    dropped = dropout(attention_weights(q, k, causal_mask(6)), 0.5, True, generator(3))
    expected = merge_heads(dropped @ v) @ weights[3].T
    close(multi_head_attention(x, *weights, 3, dropout=0.5, generator=generator(3)), expected)


def test_the_same_generator_drops_the_same_weights() -> None:
    weights, _ = weights_and_biases()
    x = random_tensor(2, 6, 12, dtype=torch.float64)
    first, again, other = (multi_head_attention(x, *weights, 3, dropout=0.3, generator=generator(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# grouped queries, caches and windows


@pytest.mark.parametrize("n_kv_heads", [1, 2, 3, 6])
def test_grouped_queries_are_multi_head_attention_with_repeated_keys(n_kv_heads: int) -> None:
    q, k, v = qkv(6, n_kv_heads)
    # Head h uses key head h // (H / G): each key head stands H / G times in a row.
    all_k, all_v = (torch.stack([x[:, h * n_kv_heads // 6] for h in range(6)], dim=1) for x in (k, v))
    expected = scaled_dot_product_attention(q, all_k, all_v, causal_mask(6))
    close(grouped_query_attention(q, k, v, causal_mask(6)), expected)
    close(functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True), expected)


@pytest.mark.parametrize("cut", [[6], [1] * 6, [3, 1, 2], [1, 5]])
@pytest.mark.parametrize("n_kv_heads", [1, 3])
def test_cached_attention_gives_what_all_tokens_at_once_give(cut: list[int], n_kv_heads: int) -> None:
    q, k, v = qkv(3, n_kv_heads)
    cache: dict[str, Tensor] = {}
    pieces = [x.split(cut, dim=2) for x in (q, k, v)]
    outputs = [cached_attention(*piece, cache) for piece in zip(*pieces, strict=True)]
    close(torch.cat(outputs, dim=2), grouped_query_attention(q, k, v, causal_mask(6)))
    assert torch.equal(cache["k"], k)
    assert torch.equal(cache["v"], v)


@pytest.mark.parametrize("window", [None, 1, 2, 4, 99])
@pytest.mark.parametrize("n_kv_heads", [1, 3])
def test_the_joint_gives_the_same_with_and_without_a_cache(window: int | None, n_kv_heads: int) -> None:
    q, k, v = qkv(3, n_kv_heads)
    whole = attention(q, k, v, window)
    mask = causal_mask(6) if window is None else sliding_window_mask(6, window)
    close(whole, grouped_query_attention(q, k, v, mask))
    cache: dict[str, Tensor] = {}
    pieces = [x.split([3, 1, 2], dim=2) for x in (q, k, v)]
    outputs = [attention(*piece, window, cache) for piece in zip(*pieces, strict=True)]
    close(torch.cat(outputs, dim=2), whole)


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_window_sees_exactly_its_tokens(window: int) -> None:
    q, k, v = qkv()
    before = attention(q, k, v, window)
    for changed in range(6):
        other = v.clone()
        other[:, :, changed] += 1
        differs = (attention(q, k, other, window) != before).flatten(3).any(-1).any(0).any(0)
        assert differs.tolist() == [changed <= row < changed + window for row in range(6)]


@pytest.mark.parametrize(("n_kv_heads", "window"), [(3, None), (1, None), (1, 2)])
def test_the_joint_drops_attention_weights(n_kv_heads: int, window: int | None) -> None:
    q, k, v = qkv(3, n_kv_heads)
    all_k, all_v = (x.repeat_interleave(3 // n_kv_heads, dim=1) for x in (k, v))
    mask = causal_mask(6) if window is None else sliding_window_mask(6, window)
    expected = dropout(attention_weights(q, all_k, mask), 0.5, True, generator(4)) @ all_v
    close(attention(q, k, v, window, dropout=0.5, generator=generator(4)), expected)
