"""Attention: how a token looks at the tokens before it, and how blame finds its way back to what was looked at.

Forward, a query is compared with all keys, a softmax turns the scores into weights, and the weights mix the values.
Backward, the gradient of what came out takes the same way in the other direction:

    x ── w_q ──> q ┐                                           dq ┌─ dweights = dout @ vᵀ
    x ── w_k ──> k ┼─> softmax(q·k / √D, masked) @ v ── w_o    dk ┼─ through the softmax to the scores
    x ── w_v ──> v ┘                                           dv └─ dv = weightsᵀ @ dout

and as x went into all three projections, its gradient is the sum of what comes out of them.

A backward pass needs the inputs of the forward pass, and things from in between (the weights, q, k and v). Where the
forward pass kept those (`kept`), they are used; otherwise the backward pass runs the forward pass once more, which
costs time and saves memory: large models that no longer fit do just that ("activation checkpointing").

Read next: `norm.py`; beside this file, `model/attention.py`.
Sources: Vaswani et al. 2017, section 3.2; Chen et al. 2016, "Training deep nets with sublinear memory cost".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy import ndarray

from .linear import linear, linear_backward

Kept = dict[str, ndarray]  # what the forward pass of one block keeps for its backward pass, by name


def softmax(x: ndarray, axis: int = -1) -> ndarray:
    """Turn scores into weights that add up to 1 along `axis`; a row of nothing but -inf gives zeros.

    x: any shape; returns its shape and dtype.
    """
    # exp() of a large score overflows. Shifting all scores by the largest changes no ratio.
    largest = x.max(axis=axis, keepdims=True)  # (…, 1)
    largest[largest == -math.inf] = 0.0  # -inf - -inf would be NaN
    y = x - largest  # (…)
    np.exp(y, out=y)
    total = y.sum(axis=axis, keepdims=True)  # (…, 1)
    total[total == 0] = 1.0
    y /= total
    return y


def softmax_backward(dy: ndarray, y: ndarray) -> ndarray:
    """The gradient by the scores x of y = softmax(x) along the last axis.

    dy: the gradient by y, y: what softmax gave, (…, S) both -> dx (…, S).
    """
    # y_i = exp(x_i) / Σ_j exp(x_j). Raising x_j raises y_j by y_j and lowers all y_i, itself too, by y_i · y_j:
    #     dx_j = dy_j · y_j - Σ_i dy_i · y_i · y_j = y_j · (dy_j - Σ_i dy_i · y_i).
    # The sum is one number for each row: what dy is on average, weighted by y. Only what is above it gains.
    average = np.vecdot(dy, y)[..., None]  # (…, 1)
    dx = dy - average  # (…, S)
    dx *= y
    return dx


def causal_mask(t: int) -> ndarray:
    """True where a token (row) may look at another (column): at itself and at all before.

    Returns (T, T), boolean.
    """
    return np.tri(t, dtype=bool)  # (T, T)


def attention_weights(q: ndarray, k: ndarray, mask: ndarray | None = None) -> ndarray:
    """How much each query takes from each key.

    q: (…, T, D), k: (…, S, D), mask: boolean, broadcasts to (…, T, S) -> (…, T, S).
    """
    scores = (q / math.sqrt(q.shape[-1])) @ k.swapaxes(-1, -2)  # (…, T, S)
    if mask is not None:
        np.copyto(scores, -math.inf, where=~mask)
    return softmax(scores)


def scaled_dot_product_attention(q: ndarray, k: ndarray, v: ndarray, mask: ndarray | None = None) -> ndarray:
    """Weighted values: what each query takes home.

    q: (…, T, D), k, v: (…, S, D), mask as in attention_weights -> (…, T, D).
    """
    return attention_weights(q, k, mask) @ v  # (…, T, D)


def attention_backward(
    dout: ndarray,
    q: ndarray,
    k: ndarray,
    v: ndarray,
    mask: ndarray | None = None,
    *,
    kept: Kept | None = None,
    softmax_backward=softmax_backward,
) -> tuple[ndarray, ndarray, ndarray]:
    """The gradients by q, k and v of scaled_dot_product_attention.

    dout, q: (…, T, D), k, v: (…, S, D), mask as in attention_weights -> dq (…, T, D), dk, dv (…, S, D).
    """
    weights = kept["weights"] if kept else attention_weights(q, k, mask)  # (…, T, S)
    # out = weights @ v, a product of matrices: the gradient by one factor is a product with the other, transposed.
    dweights = dout @ v.swapaxes(-1, -2)  # (…, T, S)
    dv = weights.swapaxes(-1, -2) @ dout  # (…, S, D)

    # Where the mask forbids, the weight is 0 and so is the gradient: softmax_backward multiplies by the weights.
    dscores = softmax_backward(dweights, weights)  # (…, T, S)
    # scores = q @ kᵀ / √D: a product again, and the constant factor comes along.
    scale = 1 / math.sqrt(q.shape[-1])
    dq = dscores @ (k * scale)  # (…, T, D)
    dk = dscores.swapaxes(-1, -2) @ (q * scale)  # (…, S, D)
    return dq, dk, dv


def split_heads(x: ndarray, n_heads: int) -> ndarray:
    """Cut the features into heads, and put the heads where they are computed side by side.

    x: (B, T, H*D) -> (B, H, T, D). Numbers only change places, so that its backward pass is merge_heads.
    """
    return x.reshape(*x.shape[:-1], n_heads, -1).swapaxes(-3, -2)  # (B, H, T, D)


def merge_heads(x: ndarray) -> ndarray:
    """Put the heads back side by side: the inverse of split_heads, which is also its backward pass.

    x: (B, H, T, D) -> (B, T, H*D).
    """
    x = x.swapaxes(-3, -2)  # (B, T, H, D)
    return x.reshape(*x.shape[:-2], -1)  # (B, T, H*D)


def multi_head_attention(
    x: ndarray,
    w_q: ndarray,
    w_k: ndarray,
    w_v: ndarray,
    w_o: ndarray,
    n_heads: int,
    b_q: ndarray | None = None,
    b_k: ndarray | None = None,
    b_v: ndarray | None = None,
    b_o: ndarray | None = None,
    *,
    kept: Kept | None = None,
) -> ndarray:
    """Causal attention with several heads, each on its own slice of the features.

    x: (B, T, C), w_q, w_k, w_v, w_o: (C, C), biases: (C,) or None -> (B, T, C).
    """
    q = split_heads(linear(x, w_q, b_q), n_heads)  # (B, H, T, D)
    k = split_heads(linear(x, w_k, b_k), n_heads)  # (B, H, T, D)
    v = split_heads(linear(x, w_v, b_v), n_heads)  # (B, H, T, D)
    weights = attention_weights(q, k, causal_mask(x.shape[-2]))  # (B, H, T, T)
    merged = merge_heads(weights @ v)  # (B, T, C)
    if kept is not None:
        kept |= {"q": q, "k": k, "v": v, "weights": weights, "merged": merged}
    return linear(merged, w_o, b_o)  # (B, T, C)


def named_attention(x: ndarray, p: Mapping[str, ndarray], n_heads: int, kept: Kept | None = None) -> ndarray:
    """multi_head_attention, with its weights and biases taken from p by their names: `attn.w_q`, `attn.b_q` and so on.

    x: (B, T, C) -> (B, T, C). A bias that p does not hold is none.
    """
    weights = (p[f"attn.w_{name}"] for name in "qkvo")
    biases = {f"b_{name}": p.get(f"attn.b_{name}") for name in "qkvo"}
    return multi_head_attention(x, *weights, n_heads=n_heads, kept=kept, **biases)  # (B, T, C)


def multi_head_attention_backward(
    dy: ndarray,
    x: ndarray,
    p: Mapping[str, ndarray],
    n_heads: int,
    *,
    kept: Kept | None = None,
    linear_backward=linear_backward,
    attention_backward=attention_backward,
) -> tuple[ndarray, dict[str, ndarray]]:
    """The gradients by x and by the parameters of attention that p holds: `attn.w_q`, `attn.b_q` and so on.

    dy, x: (B, T, C) -> dx (B, T, C) and the gradients by name.
    """
    if not kept:
        kept = {}
        named_attention(x, p, n_heads, kept)
    q, k, v = kept["q"], kept["k"], kept["v"]  # (B, H, T, D)

    dp: dict[str, ndarray] = {}
    dmerged, dp["attn.w_o"], dp["attn.b_o"] = linear_backward(dy, kept["merged"], p["attn.w_o"])
    mask = causal_mask(x.shape[-2])  # (T, T)
    dqkv = attention_backward(split_heads(dmerged, n_heads), q, k, v, mask, kept=kept)  # (B, H, T, D)
    # x goes three ways: moving it moves q, k and v at once, and the loss by the sum of what each does to it.
    dx = np.zeros_like(x)  # (B, T, C)
    for name, dhead in zip("qkv", dqkv, strict=True):
        dx_through, dp[f"attn.w_{name}"], dp[f"attn.b_{name}"] = linear_backward(
            merge_heads(dhead), x, p[f"attn.w_{name}"]
        )
        dx += dx_through
    return dx, only_present(dp, p)


def only_present(dp: Mapping[str, ndarray], p: Mapping[str, ndarray]) -> dict[str, ndarray]:
    """The gradients of the parameters that are there: a layer without a bias has no use for the bias's."""
    return {name: gradient for name, gradient in dp.items() if p.get(name) is not None}
