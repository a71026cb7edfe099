"""Causal attention with several heads, right or with one of its known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..attention_weights.attention_weights import attention_weights
from ..causal_mask.causal_mask import causal_mask
from ..dropout.dropout import dropout as apply_dropout
from ..heads.merge_heads import merge_heads
from ..heads.split_heads import split_heads
from ..linear.linear import linear
from ..scaled_dot_product_attention.scaled_dot_product_attention import mixed, scaled_dot_product_attention

COARSE = 1e-4  # bfloat16 rounds q, k, v, scores, weights and what the heads give

Projection = tuple[Tensor, Tensor | None]


@reference
def multi_head_attention(
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    n_heads: int,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
    b_o: Tensor | None = None,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    wrong: Wrong = RIGHT,
) -> Tensor:
    """Causal attention with several heads, each on its own slice of the features.

    x: (B, T, C), w_q, w_k, w_v, w_o: (C, C), biases: (C,) or None -> (B, T, C). dropout acts on the attention weights.
    """
    if "multi_head_attention-no-dropout-argument" in wrong and (dropout > 0 or generator is not None):
        raise TypeError("unexpected keyword: dropout")
    if "multi_head_attention-dropout-ignored" in wrong:
        dropout = 0.0
    if "multi_head_attention-not-transposed" in wrong:
        wrong |= {"split_heads-not-transposed", "merge_heads-not-transposed"}
    if "multi_head_attention-interleaved" in wrong:
        wrong |= {"split_heads-interleaved", "merge_heads-interleaved"}
    if "multi_head_attention-one-head" in wrong:
        n_heads = 1
    projections = _mistaken([(w_q, b_q), (w_k, b_k), (w_v, b_v)], n_heads, wrong)
    q, k, v = (
        split_heads(linear(x, *weights, wrong=wrong), n_heads, wrong=wrong)  # (B, H, T, D)
        for weights in projections
    )
    if "multi_head_attention-keys-and-values-exchanged" in wrong:
        k, v = v, k
    if "multi_head_attention-queries-and-values-exchanged" in wrong:
        q, v = v, q
    if "multi_head_attention-heads-not-moved" in wrong:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, T, H, D)
    q = _differently_scaled(q, wrong)
    mask = causal_mask(x.shape[1], wrong=wrong)  # (T, T)
    if "multi_head_attention-not-causal" in wrong:
        mask = torch.ones_like(mask)
    if dropout > 0:
        heads = _with_dropout(q, k, v, mask, dropout, generator, wrong)  # (B, H, T, D)
    else:
        heads = scaled_dot_product_attention(q, k, v, mask, wrong=wrong)  # (B, H, T, D)
    if "multi_head_attention-heads-not-moved" in wrong:
        heads = heads.transpose(1, 2)  # (B, H, T, D), which they were not
    out = _projected(merge_heads(heads, wrong=wrong), w_o, b_o, wrong)  # (B, T, C)
    if dropout > 0 and "multi_head_attention-dropout-on-output" in wrong:
        out = apply_dropout(out, dropout, True, generator, wrong=wrong)
    return x + out if "multi_head_attention-residual" in wrong else out


def _mistaken(projections: list[Projection], n_heads: int, wrong: Wrong) -> list[Projection]:
    """The weights and biases of q, k and v, with what may have happened to them."""
    (w_q, b_q), (w_k, b_k), (w_v, b_v) = projections
    if "multi_head_attention-keys-from-w_q" in wrong:
        w_k = w_q
    if "multi_head_attention-values-from-w_k" in wrong:
        w_v = w_k
    if "multi_head_attention-inputs-not-transposed" in wrong:
        w_q, w_k, w_v = w_q.T, w_k.T, w_v.T
    if "multi_head_attention-no-query-bias" in wrong:
        b_q = None
    if "multi_head_attention-no-value-bias" in wrong:
        b_v = None
    if "multi_head_attention-biases-exchanged" in wrong:
        b_q, b_k = b_k, b_q
    if "multi_head_attention-slices-of-x" in wrong:
        width = len(w_q) // n_heads
        blocks = torch.block_diag(*[torch.ones(width, width, dtype=w_q.dtype)] * n_heads)  # (C, C)
        w_q, w_k, w_v = w_q * blocks, w_k * blocks, w_v * blocks
    return [(w_q, b_q), (w_k, b_k), (w_v, b_v)]


def _differently_scaled(q: Tensor, wrong: Wrong) -> Tensor:
    """q: (B, H, T, D), with what makes the division by √D one by something else."""
    _b, h, _t, d = q.shape
    if "multi_head_attention-scaled-by-model-width" in wrong:
        return q / math.sqrt(h)
    if "multi_head_attention-scaled-by-heads" in wrong:
        return q * math.sqrt(d / h)
    return q


def _with_dropout(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor, p: float, generator: torch.Generator | None, wrong: Wrong
) -> Tensor:
    """What each head takes home: (B, H, T, D)."""
    if "multi_head_attention-dropout-on-scores" in wrong:
        # A score of 0 is that of a query of zeros.
        scores = apply_dropout(q @ k.mT / math.sqrt(q.shape[-1]), p, True, generator, wrong=wrong)
        return torch.softmax(scores.masked_fill(~mask, -math.inf), -1) @ v
    if "multi_head_attention-dropout-on-values" in wrong:
        v = apply_dropout(v, p, True, generator, wrong=wrong)
    weights = attention_weights(q, k, mask, wrong=wrong)  # (B, H, T, T)
    if "multi_head_attention-dropout-shared" in wrong:
        weights = weights * apply_dropout(torch.ones_like(weights[0, 0]), p, True, generator, wrong=wrong)
    elif not wrong & {"multi_head_attention-dropout-on-values", "multi_head_attention-dropout-on-output"}:
        weights = apply_dropout(weights, p, True, generator, wrong=wrong)
    if "multi_head_attention-dropout-renormalised" in wrong:
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-9)
    return mixed(weights, q, k, v, wrong)


def _projected(merged: Tensor, w_o: Tensor, b_o: Tensor | None, wrong: Wrong) -> Tensor:
    """(B, T, C)."""
    if "multi_head_attention-no-output-bias" in wrong:
        b_o = None
    if "multi_head_attention-no-output-projection" in wrong:
        return merged
    if "multi_head_attention-output-not-transposed" in wrong:
        w_o = w_o.T
    return linear(merged, w_o, b_o, wrong=wrong)


def cases(draw: Draw) -> Iterator[Case]:
    """One token, one head, then several, biases, gradients, dropout, dtypes."""
    plain = _drawn(draw, 1, 3, 4), 2
    yield Case("without dropout nothing is random", (Call((*plain[0], 2)), Call((*plain[0], 2))), view=_same_value)
    for b, c, h in ((1, 2, 1), (2, 4, 2), (3, 6, 3)):
        yield case("one token alone: its value, then the output projection w_o", *_easy(draw, b, 1, c), h)
    for b, t, c in ((1, 2, 2), (1, 3, 4), (2, 5, 3), (2, 4, 4)):
        inputs = _easy(draw, b, t, c) if c == 2 else _drawn(draw, b, t, c)
        yield case("one head: causal attention, then the output projection", *inputs, 1)
    each = "each head attends by itself, on its own slice of the features, scaled by √D"
    for t in (2, 3):
        yield case(each, *_easy(draw, 1, t, 2), 2)
    sizes = ((1, 2, 4, 2), (1, 3, 4, 2), (2, 4, 6, 3), (2, 5, 8, 2), (3, 2, 6, 2), (2, 3, 12, 4), (3, 6, 8, 8))
    for b, t, c, h in (*sizes, (2, 2, 4, 2), (3, 3, 9, 3), (4, 4, 16, 4), (2, 4, 8, 4), (1, 8, 16, 2)):
        yield case(each, *_drawn(draw, b, t, c), h)
    for b, t, c, h in ((1, 1, 4, 2), (2, 3, 4, 2), (1, 4, 6, 3), (2, 2, 4, 2), (2, 5, 12, 3)):
        yield case("the biases b_q, b_k, b_v and b_o", *_drawn(draw, b, t, c), h, *_biases(draw, c))
    for names in (("b_o",), ("b_v",), ("b_q", "b_v"), ("b_q", "b_k", "b_v")):
        some: dict[str, Any] = {name: draw.tensor(6) for name in names}
        yield case("any of the biases may be missing", *_drawn(draw, 2, 4, 6), 2, **some)
    through = "the gradient reaches x, the weights and the biases"
    yield case(through, *_drawn(draw, 2, 3, 4), 2, gradients=True)
    yield case(through, *_drawn(draw, 2, 3, 6), 3, *_biases(draw, 6), gradients=True)
    yield from _dropout_cases(draw)
    for dtype in (torch.float64, torch.bfloat16):
        inputs = [one.to(dtype) for one in _drawn(draw, 2, 3, 4)]
        yield edge("keeps the dtype", *inputs, 2, tolerance=COARSE)
        biases = [one.to(dtype) for one in _biases(draw, 4)]
        yield edge("keeps the dtype", *inputs, 2, *biases, tolerance=COARSE)


def _drawn(draw: Draw, b: int, t: int, c: int) -> tuple[Tensor, ...]:
    """An x and four weights that give scores of ordinary size."""
    return draw.tensor(b, t, c), *(draw.tensor(c, c, scale=1.5 / math.sqrt(c)) for _ in range(4))


def _easy(draw: Draw, b: int, t: int, c: int) -> tuple[Tensor, ...]:
    """The same of numbers that a person can follow, none of them 0, which would hide a mistake."""
    easy = torch.tensor([-1.0, -0.5, 0.5, 1.0, 1.5])
    return tuple(easy[draw.ids(*shape, below=5)] for shape in ((b, t, c), *[(c, c)] * 4))


def _biases(draw: Draw, c: int) -> list[Tensor]:
    return [draw.tensor(c) for _ in range(4)]


# --- dropout ----------------------------------------------------------------------------------------------------------


def _dropout_cases(draw: Draw) -> Iterator[Case]:
    """Inputs whose outputs are the attention weights themselves, so that it can be seen which of them are gone.

    Token j is e_j + e_T, and in each head the value of token j is again e_j + e_T: feature j of the output is the
    weight of token j, and feature T the sum of all weights.
    """
    b, t, h = 4, 47, 2
    d, width = t + 1, h * (t + 1)
    x = torch.zeros(t, width)  # (T, C)
    x[range(t), range(t)] = 1.0
    x[:, t] = 1.0
    x = x.expand(b, t, width).contiguous()  # (B, T, C)
    w_v = torch.eye(d, width).repeat(h, 1)  # (C, C)
    for p, generator in ((0.2, None), (0.5, None), (0.2, draw.seed_value())):
        w_q, w_k = draw.tensor(width, width, scale=0.3), draw.tensor(width, width, scale=0.3)  # (C, C)
        inputs = (x, w_q, w_k, w_v, torch.eye(width), h)
        view = functools.partial(_dropped, multi_head_attention(*inputs), t)
        options = {"dropout": p} if generator is None else {"dropout": p, "generator": generator}
        yield Case("dropout acts on the attention weights, scaled by 1/(1 - p)", (Call(inputs, options),), view=view)
    inputs, seed, other = (*_drawn(draw, 2, 8, 16), 2), draw.seed_value(), draw.seed_value()
    one, two = (Call(inputs, {"dropout": 0.5, "generator": each}) for each in (seed, other))
    yield Case("each call drops others", (one, two), view=_same_value)
    yield Case("the same generator drops the same", (one, one), EDGE, view=_same_value)
    yield edge("dropout = 0 changes nothing", *inputs, dropout=0.0, generator=seed)


def _dropped(undropped: Tensor, t: int, seen: list[Observation]) -> dict[str, Any]:
    """What all correct ways of dropping weights have in common. undropped: (B, T, C), the output without dropout."""
    b, _t, width = undropped.shape
    out, weights = (one.reshape(b, t, -1, t + 1)[..., :t] for one in (seen[0]["value"], undropped))  # (B, T, H, T)
    allowed = torch.ones(t, t, dtype=torch.bool).tril()[:, None].expand(b, t, width // (t + 1), t)  # (B, T, H, T)
    gone = (out == 0) & allowed  # (B, T, H, T)
    future = "seen" if bool((out[~allowed] != 0).any()) else "not seen"
    ratios = (out / weights)[allowed & ~gone]
    if not float(ratios.max() - ratios.min()) < 1e-3:
        # They are no attention weights: how many of them are 0 says nothing, and a few may be by chance.
        dropped = "some" if float(gone[allowed].double().mean()) > 0.05 else "none"
        return {"scale": "not the same for all", "dropped": dropped, "future": future}
    sums = seen[0]["value"].reshape(b, t, -1, t + 1)[:, 20:, :, t]  # (B, T, H)
    zeros = "some are 0" if float((sums == 0).double().mean()) > 0.1 else "none is 0"
    scale = float(ratios.mean())
    return {"scale": scale, "dropped": _rate(gone, allowed), "sums of weights": zeros, "future": future}


def _rate(gone: Tensor, allowed: Tensor) -> float | str:
    """The fraction of gone weights; or what is gone together, where it is not each by itself. Both (B, T, H, T)."""
    rate = float(gone[allowed].double().mean())
    axes = ("in all heads or sequences", "for all queries", "in all heads or sequences", "for all keys of a query")
    together = []
    for axis in range(len(axes)):
        first, second = (gone.movedim(axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        both = allowed.movedim(axis, 0)[:-1] & allowed.movedim(axis, 0)[1:]
        together.append(float((first & second)[both].double().mean()))
    if max(together) > rate**2 + 0.08:  # rate² are neighbours by chance
        return f"the same {axes[together.index(max(together))]}"
    return round(rate, 1)  # more than six standard deviations to either side


def _same_value(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"].nan_to_num(), seen[1]["value"].nan_to_num())


EXAMPLE_SIZE = "T = 256"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((*_drawn(Draw(0), 2, 256, 64), 4))
