"""GPT-2 from ids to logits, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..dropout.dropout import dropout as apply_dropout
from ..embed.embed import embed
from ..layer_norm.layer_norm import layer_norm
from ..linear.linear import linear
from ..transformer_block.transformer_block import transformer_block

COARSE = 1e-4  # bfloat16 rounds every step of every block
DEEP = 1e-4  # so does float32, in eleven of them

Parameters = dict[str, Tensor]
Random = tuple[float, torch.Generator | None]


@reference
def gpt_forward(
    ids: Tensor,
    p: dict[str, Tensor],
    n_layers: int,
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    wrong: Wrong = RIGHT,
) -> Tensor:
    """Embed, go through the blocks, normalise once more, compare with every token of the vocabulary.

    ids: (B, T), p: `wte`, `wpe`, `h.0.ln1.weight`, … `ln_f.weight`, `ln_f.bias` -> logits (B, T, V). The output is
    tied to `wte` unless there is an `lm_head.weight`. dropout acts in the blocks, and on the embeddings.
    """
    if "gpt_forward-no-dropout-argument" in wrong and (dropout > 0 or generator is not None):
        raise TypeError("unexpected keyword: dropout")
    if "gpt_forward-dropout-ignored" in wrong:
        dropout = 0.0
    if "gpt_forward-generator-ignored" in wrong:
        generator = None
    x = _embedded(ids, p, (dropout, generator), wrong)  # (B, T, C)
    if "gpt_forward-norm-before-the-blocks" in wrong or "gpt_forward-norm-on-both-sides" in wrong:
        x = _norm(x, p, wrong)
    if "gpt_forward-no-blocks" not in wrong:
        x = _through_blocks(x, p, n_layers, n_heads, (dropout, generator), wrong)  # (B, T, C)
    unnormed = "gpt_forward-norm-before-the-blocks" in wrong or "gpt_forward-norm-after-the-head" in wrong
    if not unnormed and "gpt_forward-no-final-norm" not in wrong:
        x = _norm(x, p, wrong)  # (B, T, C)
    if "gpt_forward-dropout-at-the-end" in wrong:
        x = apply_dropout(x, dropout, dropout > 0, generator, wrong=wrong)
    if "gpt_forward-no-head" in wrong:
        return x
    if "gpt_forward-last-position" in wrong:
        x = x[:, -1]  # (B, C)
    if "gpt_forward-last-position-axis-kept" in wrong:
        x = x[:, -1:]  # (B, 1, C)
    return _logits(x, p, wrong)


def _embedded(ids: Tensor, p: Parameters, random: Random, wrong: Wrong) -> Tensor:
    """What goes into the first block: (B, T, C)."""
    rate, generator = random
    if "gpt_forward-generator-not-for-embeddings" in wrong:
        generator = None
    if "gpt_forward-dropout-on-tokens-alone" in wrong and rate > 0:
        places = p["wpe"][: ids.shape[1]]  # (T, C)
        tokens = embed(ids, p["wte"], torch.zeros_like(p["wpe"]), wrong=wrong)  # (B, T, C)
        return apply_dropout(tokens, rate, True, generator, wrong=wrong) + places
    x = embed(ids, p["wte"], p["wpe"], wrong=wrong)  # (B, T, C)
    if "gpt_forward-dropout-on-each-embedding" in wrong and rate > 0:
        places = p["wpe"][: ids.shape[1]]  # (T, C)
        tokens, places = (apply_dropout(one, rate, True, generator, wrong=wrong) for one in (x - places, places))
        return tokens + places
    if "gpt_forward-embeddings-scaled" in wrong:
        x = x * math.sqrt(x.shape[-1])
    if "gpt_forward-no-dropout-on-embeddings" in wrong:
        return x
    return apply_dropout(x, rate, rate > 0, generator, wrong=wrong)


def _through_blocks(x: Tensor, p: Parameters, n_layers: int, n_heads: int, random: Random, wrong: Wrong) -> Tensor:
    """(B, T, C)."""
    rate, generator = random
    if "gpt_forward-no-dropout-in-blocks" in wrong:
        rate = 0.0
    if "gpt_forward-generator-not-for-blocks" in wrong:
        generator = None
    if "gpt_forward-layers-of-one-digit" in wrong and n_layers > 10:
        raise KeyError("ln1.weight")
    first, places = x, p["wpe"][: x.shape[1]]
    for i in _layers(n_layers, wrong):
        prefix = "h.0." if "gpt_forward-first-block-for-all" in wrong else f"h.{i}."
        block = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        if "gpt_forward-blocks-not-chained" in wrong:
            x = first
        if "gpt_forward-positions-in-each-block" in wrong and i > 0:
            x = x + places
        if "gpt_forward-positions-once-more-in-each-block" in wrong:
            x = x + places
        before = x
        x = transformer_block(x, block, n_heads, dropout=rate, generator=generator, wrong=wrong)  # (B, T, C)
        if "gpt_forward-residual-around-blocks" in wrong:
            x = before + x
        if "gpt_forward-norm-after-each-block" in wrong and i < n_layers - 1:
            x = _norm(x, p, wrong)
        if "gpt_forward-norm-after-each-block-and-at-the-end" in wrong:
            x = _norm(x, p, wrong)
        if "gpt_forward-returns-in-the-loop" in wrong:
            break
    return first + x if "gpt_forward-embedding-added-at-the-end" in wrong else x


def _layers(n_layers: int, wrong: Wrong) -> range:
    """The numbers of the blocks in their order."""
    if "gpt_forward-one-layer-short" in wrong:
        return range(n_layers - 1)
    if "gpt_forward-first-layer-left-out" in wrong:
        return range(1, n_layers)
    return range(n_layers)[::-1] if "gpt_forward-layers-reversed" in wrong else range(n_layers)


def _norm(x: Tensor, p: Parameters, wrong: Wrong) -> Tensor:
    """The final norm."""
    weight, bias = p["ln_f.weight"], p.get("ln_f.bias")
    if "gpt_forward-final-norm-without-bias" in wrong:
        bias = None
    if "gpt_forward-final-norm-without-parameters" in wrong:
        weight, bias = torch.ones_like(weight), None
    return layer_norm(x, weight, bias, wrong=wrong)


def _logits(x: Tensor, p: Parameters, wrong: Wrong) -> Tensor:
    """The scores of every token for what comes next: (B, T, V)."""
    if "gpt_forward-head-needed" in wrong:
        weight = p["lm_head.weight"]
    elif "gpt_forward-always-tied" in wrong:
        weight = p["wte"]
    else:
        weight = p.get("lm_head.weight", p["wte"])
    if "gpt_forward-head-kept-in-p" in wrong:
        p["lm_head.weight"] = weight
    if "gpt_forward-head-detached" in wrong:
        weight = weight.detach()
    if "gpt_forward-head-not-transposed" in wrong:
        weight = weight.T
    logits = linear(x, weight, wrong=wrong)  # (B, T, V)
    if "gpt_forward-norm-after-the-head" in wrong:
        logits = _norm(logits, p, wrong)
    if "gpt_forward-logits-scaled" in wrong:
        logits = logits / math.sqrt(x.shape[-1])
    if "gpt_forward-axes-exchanged" in wrong:
        return logits.transpose(1, 2)  # (B, V, T)
    if "gpt_forward-ids" in wrong:
        return logits.argmax(-1)  # (B, T)
    if "gpt_forward-probabilities" in wrong:
        return logits.softmax(-1)
    return logits.log_softmax(-1) if "gpt_forward-log-probabilities" in wrong else logits


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """Blocks that add nothing, one block, several, the output's own matrix, gradients, dropout, dtypes.

    Of 3 features at least: normalised, 2 are 1 and -1 whatever they were.
    """
    for b, t, v, n_positions, c in ((1, 1, 2, 2, 3), (1, 2, 4, 3, 3), (2, 3, 5, 4, 4), (2, 2, 4, 2, 4)):
        p = _drawn(draw, v, n_positions, c, 1) | _silent(c)
        yield case("token plus position, the final norm, then the output tied to wte", draw.ids(b, t, below=v), p, 1, 1)
    one = "embedding, block, final norm, output"
    for b, t, v, n_positions, c, h in ((1, 2, 4, 2, 3, 1), (2, 3, 7, 5, 4, 2), (3, 4, 6, 4, 6, 3), (2, 2, 4, 4, 4, 1)):
        yield case(one, draw.ids(b, t, below=v), _drawn(draw, v, n_positions, c, 1), 1, h)
    yield case(one, draw.ids(2, 3, below=5), _drawn(draw, 5, 4, 4, 1, wide=2), 1, 2)
    each = "each block with its own weights, h.0 first, on what the one before it gives"
    for b, t, v, n_positions, c, n, h in (
        (1, 2, 4, 3, 3, 2, 1),
        (2, 3, 7, 5, 4, 2, 2),
        (1, 4, 5, 6, 6, 3, 3),
        (2, 4, 4, 4, 4, 3, 4),
        (3, 3, 6, 3, 6, 2, 2),
        (2, 5, 9, 8, 8, 4, 2),
    ):
        yield case(each, draw.ids(b, t, below=v), _drawn(draw, v, n_positions, c, n), n, h)
    deep = _drawn(draw, 5, 3, 4, 11, scale=0.3)
    yield case(each, draw.ids(1, 3, below=5), deep, 11, 1, tolerance=DEEP)
    for b, t, v, n_positions, c, n, h in ((1, 2, 4, 3, 3, 1, 1), (2, 3, 4, 4, 4, 2, 2), (2, 4, 9, 6, 6, 2, 3)):
        p = _drawn(draw, v, n_positions, c, n) | {"lm_head.weight": draw.tensor(v, c)}
        yield case("lm_head.weight is the output where it is there", draw.ids(b, t, below=v), p, n, h)
    through = "the gradient reaches every parameter, that of a tied wte from both ends"
    yield case(through, draw.ids(1, 2, below=4), _drawn(draw, 4, 3, 4, 1), 1, 2, gradients=True)
    yield case(through, draw.ids(2, 3, below=5), _drawn(draw, 5, 4, 6, 2), 2, 1, gradients=True)
    p = _drawn(draw, 5, 4, 4, 2) | {"lm_head.weight": draw.tensor(5, 4)}
    yield case(through, draw.ids(2, 3, below=5), p, 2, 2, gradients=True)
    yield from _dropout_cases(draw)
    attention, rest = (".b_q", ".b_k", ".b_v"), (".b_o", ".b_up", ".b_down", "ln1.bias", "ln2.bias")
    for names in (attention, attention + rest):
        p = {name: value for name, value in _drawn(draw, 6, 4, 4, 2).items() if not name.endswith(names)}
        yield edge("a missing bias of a block means none", draw.ids(2, 3, below=6), p, 2, 2)
    for dtype in (torch.float64, torch.bfloat16):
        for n in (1, 2):
            p = {name: value.to(dtype) for name, value in _drawn(draw, 7, 5, 4, n).items()}
            ids = draw.ids(2, 3, below=7)
            yield edge("any floating-point dtype", ids, p, n, 2, tolerance=COARSE, dtype_counts=False)


def _drawn(
    draw: Draw, v: int, n_positions: int, c: int, n_layers: int, scale: float = 1.0, wide: int = 4
) -> Parameters:
    """Parameters that keep features at an ordinary size, all biases given. scale: of what the blocks add.

    wide: how much wider a feed-forward network is within than without; in the book always 4 times.
    """
    f, sharp = wide * c, 1.5 / math.sqrt(c)
    p = {"wte": draw.tensor(v, c) + 0.3, "wpe": draw.tensor(n_positions, c)}
    for i in range(n_layers):
        block = {f"attn.w_{name}": draw.tensor(c, c, scale=sharp) for name in "qkv"}
        block |= {"attn.w_o": draw.tensor(c, c, scale=scale * sharp), "attn.b_o": draw.tensor(c, scale=scale)}
        block |= {f"attn.b_{name}": draw.tensor(c) for name in "qkv"}
        block |= {"mlp.w_up": draw.tensor(f, c, scale=sharp), "mlp.b_up": draw.tensor(f)}
        block |= {"mlp.w_down": draw.tensor(c, f, scale=scale * sharp), "mlp.b_down": draw.tensor(c, scale=scale)}
        for norm in ("ln1", "ln2"):
            block |= {f"{norm}.weight": draw.tensor(c) + 0.5, f"{norm}.bias": draw.tensor(c)}
        p |= {f"h.{i}.{name}": value for name, value in block.items()}
    return p | {"ln_f.weight": draw.tensor(c) + 0.5, "ln_f.bias": draw.tensor(c)}


def _silent(c: int, f: int = 0) -> Parameters:
    """What in the first block writes into the stream, being 0."""
    f = f or 4 * c
    p = {"attn.w_o": torch.zeros(c, c), "attn.b_o": torch.zeros(c)}
    p |= {"mlp.w_down": torch.zeros(c, f), "mlp.b_down": torch.zeros(c)}
    return {f"h.0.{name}": value for name, value in p.items()}


# --- dropout ----------------------------------------------------------------------------------------------------------

SMALL, EPS = 0.003, 1e-5  # of a variance as small as the norm's epsilon something is left after the norm


def _dropout_cases(draw: Draw) -> Iterator[Case]:
    """One place at a time: features that are SMALL and -SMALL in turns reach the end, unless they are dropped."""
    rate, wave = 0.2, SMALL * torch.tensor([1.0, -1.0]).repeat(16)  # (C,)
    places = {"wte": wave / 2, "wpe": wave / 2}, {"h.0.attn.b_o": wave}, {"h.1.mlp.b_down": wave}
    for full in places:
        ids, p = draw.ids(6, 8, below=32), _transparent(draw, full)
        for generator in (None, draw.seed_value()):
            options: dict[str, Any] = {"dropout": rate} | ({} if generator is None else {"generator": generator})
            shows = "dropout acts on the embeddings and in every block, scaled by 1/(1 - p)"
            yield case(shows, ids, p, 2, 4, view=_dropped, **options)
    for full in ({"wte": wave}, {"h.0.mlp.b_down": wave}):
        ids, p, seed = draw.ids(1, 8, below=32), _transparent(draw, full), draw.seed_value()
        one = Call((ids, p, 1, 1), {"dropout": rate, "generator": seed})
        yield Case("the same generator drops the same", (one, one), EDGE, view=_same_value)
    ids, p = draw.ids(1, 3, below=6), _drawn(draw, 6, 5, 4, 1)
    one, two = (Call((ids, p, 1, 2), {"dropout": 0.5, "generator": draw.seed_value()}) for _ in range(2))
    yield Case("each call drops others", (one, two), view=_same_value)
    yield edge("dropout = 0 changes nothing", ids, p, 1, 2, dropout=0.0, generator=draw.seed_value())


def _transparent(draw: Draw, full: dict[str, Tensor]) -> Parameters:
    """A model of two layers whose blocks and embeddings are 0 but for what is full, and whose output is the stream."""
    p = {name: torch.zeros_like(value) for name, value in _drawn(draw, 32, 16, 32, 2).items()}
    norms = ("ln1.weight", "ln2.weight", "ln_f.weight")
    p |= {name: torch.ones_like(value) for name, value in p.items() if name.endswith(norms)}
    p |= {name: value.expand_as(p[name]).contiguous() for name, value in full.items()}
    return p | {"lm_head.weight": torch.eye(32)}


def _dropped(seen: list[Observation]) -> str:
    """What all correct ways of dropping have in common, where the stream holds a, -a, and 0 for what is dropped."""
    out = seen[0]["value"].double()  # (B, T, C)
    if out.ndim != 3:
        return f"shape {tuple(out.shape)}"
    low, high = out.amin(-1, keepdim=True), out.amax(-1, keepdim=True)  # (B, T, 1)
    empty = (high - low < 1e-3)[..., 0]  # (B, T)
    if float(empty.double().mean()) > 0.05:
        return "whole rows are gone"
    out, low, high = out[~empty], low[~empty], high[~empty]  # (n, C)
    level = 2 * (out - low) / (high - low) - 1  # (n, C)
    sizes = sorted(set(level.abs().mul(10).round().div(10).flatten().tolist()))
    if sizes != [0.0, 1.0]:
        return f"of what is there the sizes are {sizes}" if len(sizes) < 4 else "all kinds of numbers"
    # Normalised, a and -a are 2·a/√(a²·q + ε) apart, with q = the variance of the levels.
    apart, q = (high - low) ** 2, level.round().var(-1, correction=0, keepdim=True)  # (n, 1)
    scales = (apart * EPS / (4 - apart * q)).sqrt() / SMALL  # (n, 1)
    scale, spread = float(scales.mean()), float(scales.max() - scales.min())
    if not (0.1 < scale < 10 and spread < 0.01):
        return "no numbers of the stream"
    rate = round(5 * float((level.round() == 0).double().mean())) / 5  # nine standard deviations to either side
    return f"{rate:.1f} dropped, the others {1.25 * 2 ** (round(4 * math.log2(scale / 1.25)) / 4):.3g} times as large"


def _same_value(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"].nan_to_num(), seen[1]["value"].nan_to_num())


EXAMPLE_SIZE = "T = 128, 4 layers"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((draw.ids(2, 128, below=500), _drawn(draw, 500, 128, 64, 4), 4, 4))
