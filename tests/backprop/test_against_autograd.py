"""Every backward pass equals torch's autograd on the forward part of `model/`, in float64."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from by_hand import array, assert_equal, autograd, autograd_gpt, random_ids, small_gpt

from groundup.backprop import attention as a
from groundup.backprop import gpt_backward, gpt_forward
from groundup.backprop.block import block_backward
from groundup.backprop.embedding import embedding_backward
from groundup.backprop.feedforward import feed_forward, feed_forward_backward, gelu, gelu_backward
from groundup.backprop.linear import linear, linear_backward
from groundup.backprop.loss import cross_entropy, cross_entropy_backward
from groundup.backprop.norm import layer_norm, layer_norm_backward
from groundup.model import attention, block, embedding, feedforward, norm, transformer
from groundup.model.linear import linear as torch_linear
from groundup.training import loss as torch_loss

LEADING = [(), (5,), (2, 3), (2, 3, 4)]


@pytest.mark.parametrize("lead", LEADING)
def test_linear(lead: tuple[int, ...]) -> None:
    x, weight, bias, dy = array(*lead, 6), array(4, 6, seed=1), array(4, seed=2), array(*lead, 4, seed=3)
    assert_equal(linear(x, weight, bias), torch_linear(*map(torch.tensor, (x, weight, bias))))
    for found, wanted in zip(linear_backward(dy, x, weight), autograd(torch_linear, dy, x, weight, bias), strict=True):
        assert_equal(found, wanted)


@pytest.mark.parametrize("lead", LEADING)
def test_gelu(lead: tuple[int, ...]) -> None:
    x, dy = 3 * array(*lead, 6), array(*lead, 6, seed=1)
    assert_equal(gelu(x), feedforward.gelu(torch.tensor(x)))
    assert_equal(gelu_backward(dy, x), autograd(feedforward.gelu, dy, x)[0])


def test_gelu_far_from_zero_neither_overflows_nor_turns_into_nan() -> None:
    x = np.array([-1e4, -90.0, -12.0, 0.0, 12.0, 90.0, 1e4], dtype=np.float32)
    assert_equal(gelu(x), np.maximum(x, 0), tolerance=1e-6)
    assert_equal(gelu_backward(np.ones_like(x), x), np.array([0, 0, 0, 0.5, 1, 1, 1], dtype=np.float32), 1e-6)


@pytest.mark.parametrize("lead", LEADING)
def test_softmax(lead: tuple[int, ...]) -> None:
    x, dy = 5 * array(*lead, 6), array(*lead, 6, seed=1)
    y = a.softmax(x)
    assert_equal(y, attention.softmax(torch.tensor(x)))
    assert_equal(a.softmax_backward(dy, y), autograd(attention.softmax, dy, x)[0])


def test_softmax_of_huge_scores_and_along_another_axis() -> None:
    x = np.array([[1e4, 1e4 - 1, -1e4], [0.0, 1.0, 2.0]])
    assert_equal(a.softmax(x), torch.softmax(torch.tensor(x), -1))
    assert_equal(a.softmax(x, axis=0), torch.softmax(torch.tensor(x), 0))


@pytest.mark.parametrize("lead", LEADING)
@pytest.mark.parametrize("has_bias", [True, False])
def test_layer_norm(lead: tuple[int, ...], has_bias: bool) -> None:
    x, weight, dy = 3 + 2 * array(*lead, 6), array(6, seed=1), array(*lead, 6, seed=3)
    bias = array(6, seed=2) if has_bias else None
    assert_equal(
        layer_norm(x, weight, bias),
        norm.layer_norm(*(None if t is None else torch.tensor(t) for t in (x, weight, bias))),
    )
    wanted = autograd(norm.layer_norm, dy, x, weight, bias)
    for found, gradient in zip(layer_norm_backward(dy, x, weight), wanted, strict=True):
        if gradient is not None:
            assert_equal(found, gradient)


def test_layer_norm_takes_another_eps() -> None:
    x, weight, dy = array(3, 6), array(6, seed=1), array(3, 6, seed=3)
    wanted = autograd(partial(norm.layer_norm, eps=0.5), dy, x, weight)
    assert_equal(layer_norm_backward(dy, x, weight, 0.5)[0], wanted[0])


@pytest.mark.parametrize("lead", LEADING)
@pytest.mark.parametrize("has_bias", [True, False])
def test_feed_forward(lead: tuple[int, ...], has_bias: bool) -> None:
    x, w_up, w_down, dy = array(*lead, 6), array(9, 6, seed=1), array(6, 9, seed=2), array(*lead, 6, seed=3)
    b_up, b_down = (array(9, seed=4), array(6, seed=5)) if has_bias else (None, None)
    weights = (w_up, b_up, w_down, b_down)
    wanted = autograd(feedforward.feed_forward, dy, x, *weights)
    for found, gradient in zip(feed_forward_backward(dy, x, *weights), wanted, strict=True):
        assert (found is None) == (gradient is None)
        if gradient is not None:
            assert_equal(found, gradient)
    tensors = (None if t is None else torch.tensor(t) for t in (x, *weights))
    assert_equal(feed_forward(x, *weights), feedforward.feed_forward(*tensors))


@pytest.mark.parametrize("shape", [(), (5,), (2, 7), (2, 3, 4), (0,)])
def test_embedding_adds_up_the_uses_of_a_row(shape: tuple[int, ...]) -> None:
    ids, dy = random_ids(*shape, vocab_size=4), array(*shape, 6)
    wanted = autograd(lambda weight: embedding.token_embedding(torch.tensor(ids), weight), dy, array(9, 6))[0]
    assert_equal(embedding_backward(dy, ids, 9), wanted)


@pytest.mark.parametrize("n_ignored", [0, 2, 5])
def test_cross_entropy(n_ignored: int) -> None:
    logits, targets = 4 * array(5, 7), random_ids(5, vocab_size=7)
    targets[:n_ignored] = torch_loss.IGNORED
    forward = partial(torch_loss.cross_entropy, targets=torch.tensor(targets))
    assert_equal(cross_entropy(logits, targets), forward(torch.tensor(logits)))
    assert_equal(cross_entropy_backward(logits, targets), autograd(forward, np.array(1.0), logits)[0])


def test_cross_entropy_of_huge_logits_is_finite() -> None:
    logits, targets = np.array([[1e5, 0.0], [0.0, 1e5]], dtype=np.float32), np.array([0, 0])
    assert cross_entropy(logits, targets) == 5e4
    assert_equal(cross_entropy_backward(logits, targets), np.array([[0.0, 0.0], [-0.5, 0.5]]))


@pytest.mark.parametrize("lead", LEADING)
@pytest.mark.parametrize("mask", ["none", "causal", "own"])
def test_attention(lead: tuple[int, ...], mask: str) -> None:
    s = 5 if mask == "causal" else 7
    q, k, v = array(*lead, 5, 4), array(*lead, s, 4, seed=1), array(*lead, s, 3, seed=2)
    dout = array(*lead, 5, 3, seed=3)
    allowed = {"none": None, "causal": a.causal_mask(5), "own": array(*lead, 5, 7, seed=4) > 0}[mask]
    tensor = None if allowed is None else torch.tensor(allowed)
    forward = partial(attention.scaled_dot_product_attention, mask=tensor)
    assert_equal(a.scaled_dot_product_attention(q, k, v, allowed), forward(*map(torch.tensor, (q, k, v))))
    wanted = autograd(forward, dout, q, k, v)
    for found, gradient in zip(a.attention_backward(dout, q, k, v, allowed), wanted, strict=True):
        assert_equal(found, gradient)


def test_a_query_that_may_attend_to_nothing_gets_zeros_and_no_gradient() -> None:
    q, k, v, dout = (array(2, 5, 4, seed=i) for i in range(4))
    mask = a.causal_mask(5)
    mask[0] = False
    assert (a.scaled_dot_product_attention(q, k, v, mask)[:, 0] == 0).all()
    dq, dk, dv = a.attention_backward(dout, q, k, v, mask)
    assert (dq[:, 0] == 0).all()
    assert all(np.isfinite(gradient).all() for gradient in (dq, dk, dv))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("part", ["attention", "block"])
def test_attention_and_block(part: str, bias: bool) -> None:
    p = {name.removeprefix("h.0."): value for name, value in small_gpt(bias=bias).items() if name.startswith("h.0.")}
    x, dy = array(3, 7, 16), array(3, 7, 16, seed=1)
    if part == "attention":
        p = {name: value for name, value in p.items() if name.startswith("attn")}

    def forward(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        named = dict(zip(p, values, strict=True))
        if part == "block":
            return block.transformer_block(x, named, 4)
        weights = [named[f"attn.w_{name}"] for name in "qkvo"]
        return attention.multi_head_attention(x, *weights, 4, *(named.get(f"attn.b_{name}") for name in "qkvo"))

    backward = {"attention": a.multi_head_attention_backward, "block": block_backward}[part]
    wanted = dict(zip(["x", *p], autograd(forward, dy, x, *p.values()), strict=True))
    dx, dp = backward(dy, x, p, 4)
    assert_equal(dx, wanted.pop("x"))
    assert dp.keys() == p.keys()
    for name, gradient in wanted.items():
        assert_equal(dp[name], gradient)


SHAPES = [
    dict(b=3, t=7, v=13, length=10, n=2, h=4, c=16),
    dict(b=1, t=1, v=5, length=1, n=1, h=1, c=4),
    dict(b=2, t=6, v=40, length=6, n=3, h=2, c=10),
    dict(b=4, t=3, v=7, length=9, n=1, h=3, c=6),
]


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_the_whole_model(sizes: dict[str, int], tied: bool, bias: bool) -> None:
    b, t = sizes["b"], sizes["t"]
    p = small_gpt(tied=tied, bias=bias, **{key: sizes[key] for key in ("v", "length", "n", "h", "c")})
    ids, targets = random_ids(b, t, vocab_size=sizes["v"]), random_ids(b, t, vocab_size=sizes["v"], seed=1)
    if t > 1:
        targets[0, 0] = torch_loss.IGNORED
    wanted_loss, wanted = autograd_gpt(ids, targets, p, sizes["n"], sizes["h"])
    loss, dp = gpt_backward(ids, targets, p, sizes["n"], sizes["h"])
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    assert dp.keys() == p.keys()
    for name, gradient in wanted.items():
        assert_equal(dp[name], gradient)
    tensors = {name: torch.tensor(value) for name, value in p.items()}
    logits = transformer.gpt_forward(torch.tensor(ids), tensors, sizes["n"], sizes["h"])
    assert_equal(gpt_forward(ids, p, sizes["n"], sizes["h"]), logits)


def test_more_tokens_than_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="11 tokens do not fit into a context of 10"):
        gpt_forward(random_ids(1, 11), small_gpt(), 2, 4)
