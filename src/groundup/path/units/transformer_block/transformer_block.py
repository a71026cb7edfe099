"""GPT-2's transformer block, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import EDGE, Call, Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..dropout.dropout import dropout as apply_dropout
from ..feed_forward.feed_forward import feed_forward
from ..layer_norm.layer_norm import layer_norm
from ..multi_head_attention.multi_head_attention import multi_head_attention

COARSE = 1e-4  # bfloat16 rounds every step of both branches
NORMS = ("ln1.bias", "ln2.bias")
OF_ATTENTION = ("attn.b_q", "attn.b_k", "attn.b_v", "attn.b_o")
OF_FEED_FORWARD = ("mlp.b_up", "mlp.b_down")

Parameters = dict[str, Tensor]
Drop = Callable[[Tensor], Tensor]


@reference
def transformer_block(
    x: Tensor,
    p: dict[str, Tensor],
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    wrong: Wrong = RIGHT,
) -> Tensor:
    """Add to x what attention finds, then what the feed-forward network makes of it; each reads a normalised copy.

    x: (B, T, C), p: the parameters by name, a missing bias meaning none -> (B, T, C). dropout acts on the attention
    weights and on what each branch adds.
    """
    if "transformer_block-no-dropout-argument" in wrong and (dropout > 0 or generator is not None):
        raise TypeError("unexpected keyword: dropout")
    if "transformer_block-dropout-ignored" in wrong:
        dropout = 0.0
    if "transformer_block-generator-ignored" in wrong:
        generator = None
    p = _without_biases(_mistaken(p, wrong), wrong)
    random = dropout, generator
    if "transformer_block-feed-forward-first" in wrong:
        thought = _with_feed_forward(x, x, p, random, wrong)
        out = _with_attention(thought, p, n_heads, random, wrong)
    else:
        seen = x if "transformer_block-no-attention" in wrong else _with_attention(x, p, n_heads, random, wrong)
        out = seen if "transformer_block-no-feed-forward" in wrong else _with_feed_forward(seen, x, p, random, wrong)
    if "transformer_block-normed-at-the-end" in wrong:
        out = _norm(out, p, "ln2", wrong)
    if "transformer_block-changes-input" in wrong:
        x += out
    return out.detach() if "transformer_block-detached" in wrong else out


def _mistaken(p: Parameters, wrong: Wrong) -> Parameters:
    """The parameters, some of them taken for others."""
    ln1, ln2 = ({key.split(".")[1]: p[key] for key in p if key.startswith(norm)} for norm in ("ln1.", "ln2."))
    if "transformer_block-ln1-twice" in wrong:
        ln2 = ln1
    if "transformer_block-ln2-twice" in wrong:
        ln1 = ln2
    if "transformer_block-norms-exchanged" in wrong:
        ln1, ln2 = ln2, ln1
    kept = {key: one for key, one in p.items() if not key.startswith("ln")}
    kept |= {f"ln1.{key}": one for key, one in ln1.items()} | {f"ln2.{key}": one for key, one in ln2.items()}
    if "transformer_block-keys-from-w_v" in wrong:
        kept |= {"attn.w_k": p["attn.w_v"], "attn.w_v": p["attn.w_k"]}
    return kept


def _without_biases(p: Parameters, wrong: Wrong) -> Parameters:
    """Biases that are not used, and those that are taken for granted."""
    unused, needed = set[str](), set[str]()
    if "transformer_block-no-norm-biases" in wrong:
        unused |= {*NORMS}
    if "transformer_block-no-attention-biases" in wrong:
        unused |= {*OF_ATTENTION}
    if "transformer_block-no-feed-forward-biases" in wrong:
        unused |= {*OF_FEED_FORWARD}
    if "transformer_block-needs-norm-biases" in wrong or "transformer_block-needs-biases" in wrong:
        needed |= {*NORMS}
    if "transformer_block-needs-attention-biases" in wrong or "transformer_block-needs-biases" in wrong:
        needed |= {*OF_ATTENTION}
    if "transformer_block-needs-feed-forward-biases" in wrong or "transformer_block-needs-biases" in wrong:
        needed |= {*OF_FEED_FORWARD}
    if missing := needed - p.keys():
        raise KeyError(min(missing))
    return {key: one for key, one in p.items() if key not in unused}


def _norm(x: Tensor, p: Parameters, name: str, wrong: Wrong) -> Tensor:
    return layer_norm(x, p[f"{name}.weight"], p.get(f"{name}.bias"), wrong=wrong)


def _normed_later(wrong: Wrong) -> bool:
    """Whether the norms are not where a branch begins."""
    return "transformer_block-post-norm" in wrong or "transformer_block-norms-on-outputs" in wrong


# --- the two branches -------------------------------------------------------------------------------------------------


def _with_attention(
    x: Tensor, p: Parameters, n_heads: int, random: tuple[float, torch.Generator | None], wrong: Wrong
) -> Tensor:
    """What comes in, and what attention adds to it: (B, T, C)."""
    normed = _norm(x, p, "ln1", wrong)  # (B, T, C)
    if "transformer_block-no-ln1" in wrong or _normed_later(wrong):
        normed = x
    rate, generator = random
    attended = multi_head_attention(  # (B, T, C)
        normed,
        *(p[f"attn.w_{name}"] for name in "qkvo"),
        n_heads,
        *(p.get(f"attn.b_{name}") for name in "qkvo"),
        dropout=0.0 if "transformer_block-no-dropout-on-weights" in wrong else rate,
        generator=None if "transformer_block-generator-not-for-weights" in wrong else generator,
        wrong=wrong,
    )
    if "transformer_block-norms-on-outputs" in wrong:
        attended = _norm(attended, p, "ln1", wrong)
    if "transformer_block-generator-not-for-attention" in wrong:
        generator = None
    elsewhere = "transformer_block-dropout-on-first-sum" in wrong
    if not elsewhere and "transformer_block-no-dropout-on-attention" not in wrong:
        attended = apply_dropout(attended, rate, rate > 0, generator, wrong=wrong)
    out = x + attended
    if "transformer_block-no-first-residual" in wrong:
        out = attended
    if "transformer_block-first-residual-from-norm" in wrong:
        out = normed + attended
    if "transformer_block-first-residual-twice" in wrong:
        out = x + x + attended
    if "transformer_block-dropout-on-first-sum" in wrong:
        out = apply_dropout(out, rate, rate > 0, generator, wrong=wrong)
    return _norm(out, p, "ln1", wrong) if "transformer_block-post-norm" in wrong else out


def _with_feed_forward(
    x: Tensor, given: Tensor, p: Parameters, random: tuple[float, torch.Generator | None], wrong: Wrong
) -> Tensor:
    """What attention has left, and what the feed-forward network adds: (B, T, C). given: what the block was given."""
    read = given if "transformer_block-parallel" in wrong else x
    normed = _norm(read, p, "ln2", wrong)  # (B, T, C)
    if "transformer_block-no-ln2" in wrong or _normed_later(wrong):
        normed = read
    rate, generator = random
    if "transformer_block-dropout-on-hidden" in wrong and rate > 0:
        # Dropping a hidden feature is dropping its column of w_down, for each token anew.
        thought = _with_hidden_dropped(normed, p, rate, generator, wrong)
    else:
        weights = p["mlp.w_up"], p.get("mlp.b_up"), p["mlp.w_down"], p.get("mlp.b_down")
        thought = feed_forward(normed, *weights, wrong=wrong)  # (B, T, C)
    if "transformer_block-norms-on-outputs" in wrong:
        thought = _norm(thought, p, "ln2", wrong)
    if "transformer_block-generator-not-for-feed-forward" in wrong:
        generator = None
    elsewhere = wrong & {"transformer_block-dropout-on-hidden", "transformer_block-dropout-on-second-sum"}
    if not elsewhere and "transformer_block-no-dropout-on-feed-forward" not in wrong:
        thought = apply_dropout(thought, rate, rate > 0, generator, wrong=wrong)
    out = x + thought
    if "transformer_block-no-second-residual" in wrong:
        out = thought
    if "transformer_block-second-residual-from-norm" in wrong:
        out = normed + thought
    if "transformer_block-second-residual-from-input" in wrong:
        out = given + thought
    if "transformer_block-second-residual-twice" in wrong:
        out = x + x + thought
    if "transformer_block-input-added-again" in wrong:
        out = given + x + thought
    if "transformer_block-dropout-on-second-sum" in wrong:
        out = apply_dropout(out, rate, rate > 0, generator, wrong=wrong)
    return _norm(out, p, "ln2", wrong) if "transformer_block-post-norm" in wrong else out


def _with_hidden_dropped(
    x: Tensor, p: Parameters, rate: float, generator: torch.Generator | None, wrong: Wrong
) -> Tensor:
    """The feed-forward network with dropout inside, on its wide features: (B, T, C)."""
    wide = torch.eye(len(p["mlp.w_up"]), dtype=x.dtype)  # (F, F)
    hidden = feed_forward(x, p["mlp.w_up"], p.get("mlp.b_up"), wide, None, wrong=wrong)  # (B, T, F)
    out = apply_dropout(hidden, rate, True, generator, wrong=wrong) @ p["mlp.w_down"].T  # (B, T, C)
    return out + p["mlp.b_down"] if "mlp.b_down" in p else out


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """Each branch alone, then both, biases, gradients, dropout, dtypes."""
    attention = "what attention reads from ln1 is added to x: x + attention(norm(x))"
    for b, t, c, h in ((1, 2, 2, 1), (2, 3, 4, 2), (3, 3, 3, 1)):
        p = _drawn(draw, c, 2 * c) | {"mlp.w_down": torch.zeros(c, 2 * c), "mlp.b_down": torch.zeros(c)}
        yield case(attention, _x(draw, b, t, c), p, h)
    thought = "what the feed-forward network reads from ln2 is added to x: x + feed_forward(norm(x))"
    for b, t, c, h in ((1, 1, 2, 1), (2, 3, 4, 2), (3, 3, 3, 1)):
        p = _drawn(draw, c, 2 * c) | {"attn.w_o": torch.zeros(c, c), "attn.b_o": torch.zeros(c)}
        yield case(thought, _x(draw, b, t, c), p, h)
    yield case("x = 0: the branches see the biases of their norms", torch.zeros(1, 2, 3), _small(draw, 3), 1)
    both = "the feed-forward network reads, and adds to, what attention has left in x"
    for b, t, c, h in (
        (1, 2, 2, 1),
        (2, 2, 4, 2),
        (2, 3, 6, 3),
        (3, 5, 4, 4),
        (2, 4, 4, 2),
        (4, 4, 4, 1),
        (1, 6, 8, 2),
    ):
        yield case(both, _x(draw, b, t, c), _drawn(draw, c, 4 * c), h)
    for b, t, c, f, h in ((2, 3, 4, 4, 2), (1, 4, 6, 5, 2)):
        yield case("any feed-forward width", _x(draw, b, t, c), _drawn(draw, c, f), h)
    for names in (OF_ATTENTION[:3], OF_ATTENTION):
        p = _drawn(draw, 4, 8)
        for name in names:
            del p[name]
        yield case("attention without biases: they are not in p", _x(draw, 2, 3, 4), p, 2)
    through = "the gradient reaches x and every parameter"
    yield case(through, _x(draw, 2, 3, 4), _drawn(draw, 4, 8), 2, gradients=True)
    yield case(through, _x(draw, 1, 2, 6), _drawn(draw, 6, 6), 3, gradients=True)
    yield from _dropout_cases(draw)
    for names in (NORMS, OF_FEED_FORWARD, NORMS + OF_ATTENTION + OF_FEED_FORWARD, ("ln1.bias", "mlp.b_down")):
        p = _drawn(draw, 4, 8)
        for name in names:
            del p[name]
        yield edge("a missing bias means none", _x(draw, 2, 3, 4), p, 2)
    for dtype in (torch.float64, torch.bfloat16):
        for b, t, c, h in ((2, 3, 4, 2), (1, 4, 6, 3)):
            p = {name: one.to(dtype) for name, one in _drawn(draw, c, 2 * c).items()}
            yield edge("keeps the dtype", _x(draw, b, t, c).to(dtype), p, h, tolerance=COARSE)


def _x(draw: Draw, *shape: int) -> Tensor:
    """Features whose mean is not 0 and whose variance is not 1: their norm is another vector."""
    return draw.tensor(*shape, scale=2.0) + 1.0


def _drawn(draw: Draw, c: int, f: int) -> Parameters:
    """Parameters that keep features at an ordinary size, all biases given."""
    sharp, narrow = 1.5 / math.sqrt(c), 1.5 / math.sqrt(f)
    p: Parameters = {}
    for name in ("ln1", "ln2"):
        p |= {f"{name}.weight": draw.tensor(c) + 0.5, f"{name}.bias": draw.tensor(c)}
    for name in "qkvo":
        p |= {f"attn.w_{name}": draw.tensor(c, c, scale=sharp), f"attn.b_{name}": draw.tensor(c)}
    return p | {
        "mlp.w_up": draw.tensor(f, c, scale=sharp),
        "mlp.b_up": draw.tensor(f),
        "mlp.w_down": draw.tensor(c, f, scale=narrow),
        "mlp.b_down": draw.tensor(c),
    }


def _small(draw: Draw, c: int) -> Parameters:
    """Parameters that send numbers near -2 into the GELU, where its forms differ most, and nothing else into x."""
    p = _drawn(draw, c, c) | {"attn.w_o": torch.zeros(c, c), "attn.b_o": torch.zeros(c)}
    down = {"mlp.w_down": torch.eye(c), "mlp.b_down": torch.zeros(c)}
    return p | down | {"mlp.w_up": torch.zeros(c, c), "mlp.b_up": -2.0 - 0.5 * draw.tensor(c).sigmoid()}


# --- dropout ----------------------------------------------------------------------------------------------------------


def _dropout_cases(draw: Draw) -> Iterator[Case]:
    """One of the three places at a time, where what is dropped can be seen in what is added to x."""
    rate = 0.2
    for places in (_weights_place, _attention_place, _feed_forward_place):
        shows, view, (x, p, h) = places(draw)
        for generator in (None, draw.seed_value()):
            options: dict[str, Any] = (
                {"dropout": rate} if generator is None else {"dropout": rate, "generator": generator}
            )
            yield Case(shows, (Call((x, p, h), options),), view=view)
    x, p, seed, other = _x(draw, 2, 8, 8), _drawn(draw, 8, 8), draw.seed_value(), draw.seed_value()
    one, two = (Call((x, p, 2), {"dropout": 0.5, "generator": each}) for each in (seed, other))
    yield Case("each call drops others", (one, two), view=_same_value)
    for places in (_weights_place, _attention_place, _feed_forward_place):
        _shows, _view, inputs = places(draw)
        one = Call(inputs, {"dropout": rate, "generator": seed})
        yield Case("the same generator drops the same", (one, one), EDGE, view=_same_value)
    yield edge("dropout = 0 changes nothing", x, p, 2, dropout=0.0, generator=seed)


Place = tuple[str, Callable[[list[Observation]], Any], tuple[Tensor, Parameters, int]]


def _weights_place(draw: Draw) -> Place:
    """All values are 1: a head adds the sum of its weights to each of its features. The first token has one weight."""
    b, t, h, d = 128, 8, 16, 4
    x, p = _quiet(draw, b, t, h * d)
    p |= {"attn.b_v": torch.ones(h * d), "attn.w_o": torch.eye(h * d)}
    shows = "dropout acts on the attention weights and on what attention adds, scaled by 1/(1 - p)"
    return shows, lambda seen: _weights_dropped(x, h, seen), (x, p, h)


def _attention_place(draw: Draw) -> Place:
    """Attention adds 1 to everything."""
    x, p = _quiet(draw, 16, 16, 32)
    p |= {"attn.b_o": torch.ones(32)}
    shows = "dropout acts on what attention adds to x, scaled by 1/(1 - p)"
    return shows, lambda seen: _dropped(x, seen), (x, p, 4)


def _feed_forward_place(draw: Draw) -> Place:
    """Every hidden feature is the same, and together they add 1 to everything."""
    x, p = _quiet(draw, 16, 16, 32)
    hidden = torch.nn.functional.gelu(torch.ones(()), approximate="tanh")  # ()
    p |= {"mlp.b_up": torch.ones(8), "mlp.w_down": torch.ones(32, 8) / (8 * hidden)}
    shows = "dropout acts on what the feed-forward network adds to x, scaled by 1/(1 - p)"
    return shows, lambda seen: _dropped(x, seen), (x, p, 4)


def _quiet(draw: Draw, b: int, t: int, c: int) -> tuple[Tensor, Parameters]:
    """An x without zeros, and parameters with which the block adds nothing to it."""
    p = {name: torch.zeros_like(one) for name, one in _drawn(draw, c, 8).items()}
    p |= {"ln1.weight": torch.ones(c), "ln2.weight": torch.ones(c)}
    return torch.tensor([-2.0, -0.5, 0.5, 2.0])[draw.ids(b, t, c, below=4)], p


def _dropped(x: Tensor, seen: list[Observation]) -> dict[str, Any]:
    """What all correct ways of dropping have in common, where 1 is added to every feature. x: (B, T, C)."""
    out = seen[0]["value"]
    added = out - x  # (B, T, C)
    gone = added.abs() < 1e-3
    return {"dropped": _rate(gone), "scale": _scale(added[~gone]), "zeros in the result": _rate(out.abs() < 1e-3)}


def _weights_dropped(x: Tensor, h: int, seen: list[Observation]) -> dict[str, Any]:
    """The same where each head adds the sum of its weights to all of its features. x: (B, T, C)."""
    out = seen[0]["value"]
    b, t, _c = x.shape
    added = (out - x).reshape(b, t, h, -1)  # (B, T, H, D)
    sums = added.amax(-1)  # (B, T, H)
    weight_kept = sums[:, 0] > 1e-3  # (B, H)
    features = added[:, 0][weight_kept]  # (N, D)
    gone = features.abs() < 1e-3
    shared = bool(((sums - sums[:1, :, :1]).abs() < 1e-3).all() and sums.std() > 1e-3)
    return {
        "weights dropped": "the same in all heads and sequences" if shared else _rate(~weight_kept),
        "features dropped": "all" if shared else _rate(gone),
        "scale": "" if shared else _scale(features[~gone]),
        "zeros in the result": _rate(out.abs() < 1e-3),
    }


def _scale(kept: Tensor) -> float | str:
    """What stays of a 1, if it is the same everywhere."""
    if not kept.numel():
        return "nothing stays"
    return float(kept.mean()) if float(kept.max() - kept.min()) < 1e-3 else "not the same for all"


def _rate(gone: Tensor) -> float | str:
    """The fraction, if each is dropped by itself. gone: (…, D)."""
    rate = float(gone.double().mean())
    beside = float((gone[..., 1:] & gone[..., :-1]).double().mean())
    if beside > rate**2 + 0.05:  # rate² are neighbours by chance
        return "whole rows"
    return round(rate, 1)  # more than five standard deviations to either side


def _same_value(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"].nan_to_num(), seen[1]["value"].nan_to_num())


EXAMPLE_SIZE = "T = 256"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((draw.tensor(2, 256, 64), _drawn(draw, 64, 256), 4))
