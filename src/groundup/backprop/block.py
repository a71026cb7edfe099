"""The transformer block, backwards: two plus signs, through which gradients pass unharmed.

    x ─┬─ norm ─ attention ─(+)─┬─ norm ─ feed-forward ─(+)─> out
       └────────────────────────┴───────────────────────┘

A plus sign hands the gradient of its sum to both of its terms. So the gradient of the stream runs from the loss down to
the embedding along the lower line, and each branch adds to it what it has to say. That is why deep models train.

Read next: `loss.py`; beside this file, `model/block.py`.
Sources: Vaswani et al. 2017, section 3.1; He et al. 2016, "Identity mappings in deep residual networks", equation 5.
"""

from __future__ import annotations

from collections.abc import Mapping

from numpy import ndarray

from .attention import Kept, multi_head_attention_backward, named_attention, only_present
from .feedforward import feed_forward, feed_forward_backward
from .norm import layer_norm, layer_norm_backward


def transformer_block(x: ndarray, p: Mapping[str, ndarray], n_heads: int, *, kept: Kept | None = None) -> ndarray:
    """GPT-2's block, from its parameters by name; a bias that is missing means none.

    x: (B, T, C) -> (B, T, C). p: `ln1.weight`, `attn.w_q`, `mlp.w_up` and so on.
    """
    normed = layer_norm(x, p["ln1.weight"], p.get("ln1.bias"))  # (B, T, C)
    middle = x + named_attention(normed, p, n_heads, kept)  # (B, T, C)
    normed = layer_norm(middle, p["ln2.weight"], p.get("ln2.bias"))  # (B, T, C)
    if kept is not None:
        kept["middle"] = middle
    return middle + feed_forward(normed, *mlp_parameters(p), kept=kept)  # (B, T, C)


def mlp_parameters(p: Mapping[str, ndarray]) -> tuple[ndarray, ndarray | None, ndarray, ndarray | None]:
    """What feed_forward and its backward pass are called with."""
    return p["mlp.w_up"], p.get("mlp.b_up"), p["mlp.w_down"], p.get("mlp.b_down")


def block_backward(
    dy: ndarray,
    x: ndarray,
    p: Mapping[str, ndarray],
    n_heads: int,
    *,
    kept: Kept | None = None,
    layer_norm_backward=layer_norm_backward,
    multi_head_attention_backward=multi_head_attention_backward,
    feed_forward_backward=feed_forward_backward,
) -> tuple[ndarray, dict[str, ndarray]]:
    """The gradients by x and by the parameters that p holds, under the same names.

    dy, x: (B, T, C) -> dx (B, T, C) and the gradients by name.
    """
    if not kept:
        kept = {}
        transformer_block(x, p, n_heads, kept=kept)
    middle = kept["middle"]  # (B, T, C)
    dp: dict[str, ndarray] = {}

    # out = middle + feed_forward(layer_norm(middle)): dy goes straight to middle, and into the branch.
    normed = layer_norm(middle, p["ln2.weight"], p.get("ln2.bias"))  # (B, T, C)
    dnormed, dp["mlp.w_up"], dp["mlp.b_up"], dp["mlp.w_down"], dp["mlp.b_down"] = feed_forward_backward(
        dy, normed, *mlp_parameters(p), kept=kept
    )
    dbranch, dp["ln2.weight"], dp["ln2.bias"] = layer_norm_backward(dnormed, middle, p["ln2.weight"])
    dmiddle = dy + dbranch  # (B, T, C)

    # middle = x + multi_head_attention(layer_norm(x)): the same once more.
    normed = layer_norm(x, p["ln1.weight"], p.get("ln1.bias"))  # (B, T, C)
    dnormed, dattention = multi_head_attention_backward(dmiddle, normed, p, n_heads, kept=kept)
    dbranch, dp["ln1.weight"], dp["ln1.bias"] = layer_norm_backward(dnormed, x, p["ln1.weight"])
    return dmiddle + dbranch, only_present(dp | dattention, p)
