"""The whole model, forward and back: from ids to one number, and from that number to a gradient for every parameter.

    ids ── embed ── h.0 ── h.1 ── … ── ln_f ── output ── loss          forward keeps what went into each block
                                                           │
    dwte, dwpe ── dh.0 ── dh.1 ── … ── dln_f ── doutput ──┘            backward takes it up from the last to the first

Nothing here is a new idea: `gpt_backward` calls the backward pass of each piece, in reverse, and hands the gradient on.
That is all that `loss.backward()` does.

Read next: `optimizer.py`; beside this file, `model/transformer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy import ndarray

from .attention import Kept, only_present
from .block import block_backward, transformer_block
from .embedding import embed, embedding_backward, position_backward
from .linear import linear, linear_backward, rows
from .loss import cross_entropy, cross_entropy_backward
from .norm import layer_norm, layer_norm_backward


def gpt_forward(ids: ndarray, p: Mapping[str, ndarray], n_layers: int, n_heads: int) -> ndarray:
    """GPT-2 from its parameters by name: `wte`, `wpe`, `h.0.attn.w_q`, … `ln_f.weight`, `ln_f.bias`.

    ids: (B, T) -> logits (B, T, V). The output is tied to `wte` unless there is an `lm_head.weight`.
    """
    x = streams(ids, p, n_heads, [None] * n_layers)[-1]  # (B, T, C)
    _, logits = output(x, p)  # (B, T, C), (B, T, V)
    return logits


def streams(ids: ndarray, p: Mapping[str, ndarray], n_heads: int, keeps: Sequence[Kept | None]) -> list[ndarray]:
    """The residual stream before the first block and after each: one array more than there are blocks, (B, T, C).

    keeps: for each block, where it puts what its backward pass needs; None where there will be none.
    """
    xs = [embed(ids, p["wte"], p["wpe"])]  # (B, T, C)
    for i, kept in enumerate(keeps):
        xs.append(transformer_block(xs[i], of_block(p, i), n_heads, kept=kept))
    return xs


def output(x: ndarray, p: Mapping[str, ndarray]) -> tuple[ndarray, ndarray]:
    """The final states and the scores that they give to every token. x: (B, T, C) -> (B, T, C) and (B, T, V)."""
    normed = layer_norm(x, p["ln_f.weight"], p.get("ln_f.bias"))  # (B, T, C)
    return normed, linear(normed, p[head_name(p)])  # (B, T, C), (B, T, V)


def head_name(p: Mapping[str, ndarray]) -> str:
    """The parameter that the output layer multiplies by: the embedding's own table when tied."""
    return "lm_head.weight" if "lm_head.weight" in p else "wte"


def of_block(p: Mapping[str, ndarray], i: int) -> dict[str, ndarray]:
    """The parameters of block i, under the block's own names."""
    prefix = f"h.{i}."
    return {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}


def gpt_backward(
    ids: ndarray,
    targets: ndarray,
    p: Mapping[str, ndarray],
    n_layers: int,
    n_heads: int,
    *,
    cross_entropy_backward=cross_entropy_backward,
    linear_backward=linear_backward,
    layer_norm_backward=layer_norm_backward,
    block_backward=block_backward,
    embedding_backward=embedding_backward,
) -> tuple[float, dict[str, ndarray]]:
    """The mean loss of a batch, and its gradient by every parameter in p, under the same names.

    ids, targets: (B, T).
    """
    keeps: list[Kept] = [{} for _ in range(n_layers)]
    xs = streams(ids, p, n_heads, keeps)  # (B, T, C)
    normed, logits = output(xs[-1], p)  # (B, T, C), (B, T, V)
    loss = cross_entropy(rows(logits), targets.reshape(-1))  # ()

    dp: dict[str, ndarray] = {}
    dlogits = cross_entropy_backward(rows(logits), targets.reshape(-1)).reshape(logits.shape)  # (B, T, V)
    dnormed, dhead, _ = linear_backward(dlogits, normed, p[head_name(p)])
    dx, dp["ln_f.weight"], dp["ln_f.bias"] = layer_norm_backward(dnormed, xs[-1], p["ln_f.weight"])
    for i in reversed(range(n_layers)):
        dx, dblock = block_backward(dx, xs[i], of_block(p, i), n_heads, kept=keeps.pop())
        dp |= {f"h.{i}.{name}": gradient for name, gradient in dblock.items()}
    dp["wpe"] = position_backward(dx, p["wpe"])  # (L, C)
    dp["wte"] = embedding_backward(dx, ids, len(p["wte"]))  # (V, C)
    if head_name(p) == "wte":
        # A tied table is used twice, to read and to write: the loss moves by the sum of what both uses do.
        dp["wte"] = dp["wte"] + dhead
    else:
        dp["lm_head.weight"] = dhead
    return loss, only_present(dp, p)
