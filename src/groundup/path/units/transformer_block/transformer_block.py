"""GPT-2's transformer block, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

    x: (B, T, C) -> (B, T, C). p holds `ln1.weight` `ln1.bias`, `attn.w_q` `attn.b_q` `attn.w_k` `attn.b_k` `attn.w_v`
    `attn.b_v` `attn.w_o` `attn.b_o`, `ln2.weight` `ln2.bias`, `mlp.w_up` `mlp.b_up` `mlp.w_down` `mlp.b_down`; a bias
    that is not there means none. dropout acts on the attention weights and on what each branch adds.
    """
    wrong = _spelled_out(wrong)
    if "transformer_block-no-dropout-argument" in wrong and (dropout > 0 or generator is not None):
        raise TypeError("unexpected keyword: dropout")
    if "transformer_block-dropout-ignored" in wrong:
        dropout = 0.0
    if "transformer_block-generator-ignored" in wrong:
        generator = None
    around = Around(_without_biases(_mistaken(p, wrong), wrong), dropout, generator, wrong)
    if "transformer_block-dropout-on-x" in wrong:
        x = around.dropped(x)
    if "transformer_block-feed-forward-first" in wrong:
        out = _with_attention(_with_feed_forward(x, x, around), n_heads, around)
    else:
        seen = x if "transformer_block-no-attention" in wrong else _with_attention(x, n_heads, around)
        out = seen if "transformer_block-no-feed-forward" in wrong else _with_feed_forward(seen, x, around)
    if "transformer_block-normed-at-the-end" in wrong:
        out = around.norm(out, "ln2")
    return out.detach() if "transformer_block-detached" in wrong else out


def _spelled_out(wrong: Wrong) -> Wrong:
    """With the mistakes that make up those which are one thing to whoever makes them."""
    if "transformer_block-no-norms" in wrong:
        wrong |= {"transformer_block-no-ln1", "transformer_block-no-ln2"}
    if "transformer_block-no-residuals" in wrong:
        wrong |= {"transformer_block-no-first-residual", "transformer_block-no-second-residual"}
    if "transformer_block-one-residual" in wrong:
        wrong |= {"transformer_block-no-first-residual", "transformer_block-second-residual-from-input"}
    if "transformer_block-residuals-from-norms" in wrong:
        wrong |= {"transformer_block-first-residual-from-norm", "transformer_block-second-residual-from-norm"}
    if "transformer_block-parallel-with-ln1" in wrong:
        wrong |= {"transformer_block-parallel", "transformer_block-ln1-twice"}
    if "transformer_block-feed-forward-first-with-ln1" in wrong:
        wrong |= {"transformer_block-feed-forward-first", "transformer_block-norms-exchanged"}
    if "transformer_block-no-dropout-on-outputs" in wrong:
        wrong |= {"transformer_block-no-dropout-on-attention", "transformer_block-no-dropout-on-feed-forward"}
    if "transformer_block-dropout-on-sums" in wrong:
        wrong |= {"transformer_block-dropout-on-first-sum", "transformer_block-dropout-on-second-sum"}
    return wrong


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


# --- the two branches -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Around:
    """What both branches have in common: parameters, dropout, and what may be wrong before and after a branch."""

    p: Parameters
    rate: float
    generator: torch.Generator | None
    wrong: Wrong

    def norm(self, x: Tensor, name: str) -> Tensor:
        """Of the norm called ln1 or ln2."""
        return layer_norm(x, self.p[f"{name}.weight"], self.p.get(f"{name}.bias"), wrong=self.wrong)

    def dropped(self, x: Tensor, with_generator: bool = True) -> Tensor:
        """Dropout, if there is any."""
        generator = self.generator if with_generator else None
        return apply_dropout(x, self.rate, self.rate > 0, generator, wrong=self.wrong)

    def read(self, x: Tensor, name: str, raw: bool) -> Tensor:
        """What a branch reads. raw: without its norm."""
        wrong = self.wrong
        elsewhere = {f"transformer_block-{where}" for where in ("post-norm", "norms-on-outputs", "norms-on-dropped")}
        normed = x if raw or wrong & elsewhere else self.norm(x, name)  # (B, T, C)
        return self.dropped(normed) if "transformer_block-dropout-on-normed" in wrong else normed

    def answer(self, out: Tensor, name: str, kept: bool, with_generator: bool) -> Tensor:
        """What a branch adds. kept: nothing of it is dropped here."""
        wrong = self.wrong
        if "transformer_block-norms-on-outputs" in wrong:
            out = self.norm(out, name)
        if not kept and "transformer_block-dropout-on-normed" not in wrong:
            out = self.dropped(out, with_generator)
        return self.norm(out, name) if "transformer_block-norms-on-dropped" in wrong else out

    def stream(self, out: Tensor, name: str) -> Tensor:
        """What a sum hands on."""
        wrong = self.wrong
        return self.norm(out, name) if "transformer_block-post-norm" in wrong else out


def _with_attention(x: Tensor, n_heads: int, around: Around) -> Tensor:
    """What comes in, and what attention adds to it: (B, T, C)."""
    p, wrong = around.p, around.wrong
    normed = around.read(x, "ln1", "transformer_block-no-ln1" in wrong)  # (B, T, C)
    w_q, w_k, w_v, w_o = (p[f"attn.w_{name}"] for name in "qkvo")
    b_q, b_k, b_v, b_o = (p.get(f"attn.b_{name}") for name in "qkvo")
    rate = 0.0 if "transformer_block-no-dropout-on-weights" in wrong else around.rate
    generator = None if "transformer_block-generator-not-for-weights" in wrong else around.generator
    random: dict[str, Any] = {"dropout": rate, "generator": generator}
    heads = multi_head_attention(normed, w_q, w_k, w_v, w_o, n_heads, b_q, b_k, b_v, b_o, **random, wrong=wrong)
    on_sum = "transformer_block-dropout-on-first-sum" in wrong
    kept = on_sum or "transformer_block-no-dropout-on-attention" in wrong
    attended = around.answer(heads, "ln1", kept, "transformer_block-generator-not-for-attention" not in wrong)
    if "transformer_block-changes-input" in wrong or "transformer_block-changes-input-twice" in wrong:
        x += attended
        return x
    out = x + attended
    if "transformer_block-no-first-residual" in wrong:
        out = attended
    if "transformer_block-first-residual-from-norm" in wrong:
        out = normed + attended
    if "transformer_block-first-residual-twice" in wrong:
        out = x + x + attended
    return around.stream(around.dropped(out) if on_sum else out, "ln1")


def _with_feed_forward(x: Tensor, given: Tensor, around: Around) -> Tensor:
    """What attention has left, and what the feed-forward network adds: (B, T, C). given: what the block was given."""
    wrong = around.wrong
    read = given if "transformer_block-parallel" in wrong else x
    normed = around.read(read, "ln2", "transformer_block-no-ln2" in wrong)  # (B, T, C)
    inside, on_sum = "transformer_block-dropout-on-hidden" in wrong, "transformer_block-dropout-on-second-sum" in wrong
    out = _thought(normed, around, inside)
    kept = inside or on_sum or "transformer_block-no-dropout-on-feed-forward" in wrong
    thought = around.answer(out, "ln2", kept, "transformer_block-generator-not-for-feed-forward" not in wrong)
    if "transformer_block-changes-input-twice" in wrong:
        x += thought
        return x
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
    return around.stream(around.dropped(out) if on_sum else out, "ln2")


def _thought(x: Tensor, around: Around, inside: bool) -> Tensor:
    """What the feed-forward network makes of it: (B, T, C). inside: with dropout on its hidden features."""
    p, wrong = around.p, around.wrong
    w_up, b_up, w_down, b_down = p["mlp.w_up"], p.get("mlp.b_up"), p["mlp.w_down"], p.get("mlp.b_down")
    if not inside or around.rate == 0:
        return feed_forward(x, w_up, b_up, w_down, b_down, wrong=wrong)
    hidden = feed_forward(x, w_up, b_up, torch.eye(len(w_up), dtype=x.dtype), None, wrong=wrong)  # (B, T, F)
    out = around.dropped(hidden) @ w_down.T  # (B, T, C)
    return out if b_down is None else out + b_down


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """Each branch alone, then both, biases, gradients, dropout, dtypes."""
    attention = "what attention reads from ln1 is added to x: x + attention(norm(x))"
    for b, t, c, h in ((1, 2, 3, 1), (2, 3, 4, 2), (3, 3, 3, 1)):
        p = _drawn(draw, c, 4 * c) | {"mlp.w_down": torch.zeros(c, 4 * c), "mlp.b_down": torch.zeros(c)}
        yield case(attention, _x(draw, b, t, c), p, h)
    thought = "what the feed-forward network reads from ln2 is added to x: x + feed_forward(norm(x))"
    for b, t, c, h in ((1, 1, 3, 1), (2, 3, 4, 2), (3, 3, 3, 1)):
        p = _drawn(draw, c, 4 * c) | {"attn.w_o": torch.zeros(c, c), "attn.b_o": torch.zeros(c)}
        yield case(thought, _x(draw, b, t, c), p, h)
    yield case("x = 0: the branches see the biases of their norms", torch.zeros(1, 2, 3), _small(draw, 3), 1)
    both = "the feed-forward network reads, and adds to, what attention has left in x"
    sizes = ((1, 2, 3, 1), (2, 2, 4, 2), (2, 3, 6, 3), (3, 5, 4, 4), (2, 4, 4, 2), (4, 4, 4, 1), (1, 6, 8, 2))
    for b, t, c, h in sizes:
        yield case(both, _x(draw, b, t, c), _drawn(draw, c, 4 * c), h)
    for b, t, c, f, h in ((2, 3, 4, 4, 2), (1, 4, 6, 5, 2)):
        yield case("any feed-forward width", _x(draw, b, t, c), _drawn(draw, c, f), h)
    for names in (OF_ATTENTION[:3], OF_ATTENTION):
        p = _drawn(draw, 4, 16)
        for name in names:
            del p[name]
        yield case("attention without biases: they are not in p", _x(draw, 2, 3, 4), p, 2)
    through = "the gradient reaches x and every parameter"
    yield case(through, _x(draw, 2, 3, 4), _drawn(draw, 4, 16), 2, gradients=True)
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
    rate = 0.3
    seed = draw.seed_value()
    attention, thought = (_attention_place, None), (_feed_forward_place, None)
    for place, generator in (attention, (_attention_place, seed), thought, (_weights_place, seed)):
        shows, view, inputs = place(draw)
        options = {"dropout": rate} if generator is None else {"dropout": rate, "generator": generator}
        yield Case(shows, (Call(inputs, options),), view=view)
    x, p, other = _x(draw, 2, 8, 8), _drawn(draw, 8, 32), draw.seed_value()
    one, two = (Call((x, p, 2), {"dropout": 0.5, "generator": each}) for each in (seed, other))
    yield Case("each call drops others", (one, two), view=_same_value)
    for place in (_attention_place, _feed_forward_place, _weights_place):
        _shows, _view, inputs = place(draw)
        one = Call(inputs, {"dropout": rate, "generator": seed})
        yield Case("the same generator drops the same", (one, one), EDGE, view=_same_value)
    yield edge("dropout = 0 changes nothing", x, p, 2, dropout=0.0, generator=seed)


Place = tuple[str, Callable[[list[Observation]], Any], tuple[Tensor, Parameters, int]]


def _weights_place(draw: Draw) -> Place:
    """All values are 1: a head adds the sum of its weights to each of its features. The first token has one weight."""
    b, t, h, d = 128, 5, 16, 4
    x, p = _quiet(draw, b, t, h * d)
    p |= {"attn.w_v": torch.full((h * d, h * d), 1 / (h * d)), "attn.w_o": torch.eye(h * d)}
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
    p |= {"mlp.w_up": torch.full((128, 32), 1 / 32), "mlp.w_down": torch.ones(32, 128) / (128 * hidden)}
    shows = "dropout acts on what the feed-forward network adds to x, scaled by 1/(1 - p)"
    return shows, lambda seen: _dropped(x, seen), (x, p, 4)


def _quiet(draw: Draw, b: int, t: int, c: int) -> tuple[Tensor, Parameters]:
    """An x without zeros, and parameters with which both branches read 1 everywhere, and add nothing to x."""
    p = {name: torch.zeros_like(one) for name, one in _drawn(draw, c, 4 * c).items()}
    p |= {"ln1.bias": torch.ones(c), "ln2.bias": torch.ones(c)}
    return torch.tensor([-2.0, -0.5, 0.5, 2.0])[draw.ids(b, t, c, below=4)], p


def _dropped(x: Tensor, seen: list[Observation]) -> dict[str, Any]:
    """What all correct ways of dropping have in common, where 1 is added to every feature. x: (B, T, C)."""
    out = seen[0]["value"]
    added = out - x  # (B, T, C)
    gone = added.abs() < 1e-3
    if bool((out.abs() < 1e-3).any()):
        return {"zeros in the result": _rate(out.abs() < 1e-3)}  # x itself is dropped
    return {"dropped": _rate(gone), "scale": _scale(added[~gone])}


def _weights_dropped(x: Tensor, h: int, seen: list[Observation]) -> dict[str, Any]:
    """The same where each head adds the sum of its weights to all of its features. x: (B, T, C)."""
    out = seen[0]["value"]
    b, t, _c = x.shape
    added = (out - x).reshape(b, t, h, -1)  # (B, T, H, D)
    sums = added.amax(-1)  # (B, T, H)
    weight_kept = sums[:, 0] > 1e-3  # (B, H)
    features = added[:, 0][weight_kept]  # (N, D)
    gone = features.abs() < 1e-3
    if bool((out.abs() < 1e-3).any()):
        return {"zeros in the result": _rate(out.abs() < 1e-3)}  # x itself is dropped
    shared = bool(((sums - sums[:1, :, :1]).abs() < 1e-3).all() and sums.std() > 1e-3)
    return {
        "weights dropped": "the same in all heads and sequences" if shared else _rate(~weight_kept),
        "features dropped": "all" if shared else _rate(gone),
        "scale": "" if shared else _scale(features[~gone]),
    }


def _scale(kept: Tensor) -> str:
    """What stays of a 1, if it is the same everywhere."""
    if not kept.numel():
        return "nothing stays"
    return f"{float(kept.mean()):.2f}" if float(kept.max() - kept.min()) < 1e-3 else "not the same for all"


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
