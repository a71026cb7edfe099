"""Drawing the next token, right or with one of the known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import EDGE, Call, Case, Draw, Kept, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..softmax.softmax import softmax

N = 20000  # draws from one distribution: rates are known to 0.0036, and looked at in steps of 0.1


@reference
def sample(logits: Tensor, generator: torch.Generator, *, wrong: Wrong = RIGHT) -> Tensor:
    """Draw a token id with the probability that its score stands for.

    logits: (…, V) -> (…).
    """
    if "sample-generator-ignored" in wrong:
        generator = torch.default_generator
    if "sample-always-the-same" in wrong:
        generator = seeded_generator(0)
    if "sample-restarted" in wrong:
        generator.manual_seed(generator.initial_seed())
    if "sample-first-row" in wrong:
        logits = logits.reshape(-1, logits.shape[-1])[0]  # (V,)
    if "sample-last-position" in wrong and logits.ndim > 2:
        logits = logits[:, -1]
    if "sample-whole-tensor" in wrong:
        logits = logits.flatten()
    if "sample-greedy" in wrong:
        return logits.argmax(-1)
    if "sample-changes-input" in wrong:
        logits -= logits.amax(-1, keepdim=True)
    probabilities = _probabilities(logits, wrong)  # (…, V)
    if "sample-rank" in wrong:
        probabilities = probabilities.sort(-1, descending=True).values  # (…, V)
    drawn = _drawn(probabilities, generator, wrong)  # (…)
    return _given(drawn, probabilities, wrong)


def _probabilities(logits: Tensor, wrong: Wrong) -> Tensor:
    """Of each token, in float32 at least. logits: (…, V)."""
    wide = logits if logits.dtype == torch.float64 else logits.float()  # (…, V)
    if "sample-no-softmax" in wrong:
        return wide
    if "sample-absolute" in wrong:
        return wide.abs()
    if "sample-negative-cut" in wrong:
        return wide.clamp_min(0)
    if "sample-uniform" in wrong:
        return torch.ones_like(wide)
    if "sample-flatter" in wrong:
        wide = wide / 2
    if "sample-sharper" in wrong:
        wide = wide * 2
    if "sample-cut-drawn" in wrong:
        wide = wide.masked_fill(wide == -math.inf, 0.0)
    if "sample-not-stable" in wrong:
        return wide.exp() / wide.exp().sum(-1, keepdim=True)
    probabilities = softmax(wide, wrong=wrong)  # (…, V)
    return softmax(probabilities, wrong=wrong) if "sample-softmax-twice" in wrong else probabilities


def _drawn(probabilities: Tensor, generator: torch.Generator, wrong: Wrong) -> Tensor:
    """An id for each row. probabilities: (…, V), which need not add up to 1."""
    shape, size = probabilities.shape[:-1], probabilities.shape[-1]
    if "sample-two-axes-at-most" in wrong and len(shape) > 1:
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    rows = probabilities.reshape(-1, size)  # (N, V)
    if "sample-first-distribution" in wrong:
        rows = rows[:1].expand_as(rows)
    if "sample-uniform-noise" in wrong:
        return (rows + torch.rand(rows.shape, generator=generator)).argmax(-1).reshape(shape)
    if "sample-normal-noise" in wrong:
        return (rows.log() + torch.randn(rows.shape, generator=generator)).argmax(-1).reshape(shape)
    if "sample-not-cumulated" in wrong:
        return (rows > torch.rand(len(rows), 1, generator=generator)).int().argmax(-1).reshape(shape)
    if "sample-one-draw" in wrong:
        dice = torch.rand((), generator=generator)
        return (rows.cumsum(-1) <= dice).sum(-1).clamp_max(size - 1).reshape(shape)
    return torch.multinomial(rows, 1, generator=generator).reshape(shape)


def _given(drawn: Tensor, probabilities: Tensor, wrong: Wrong) -> Tensor:
    """What is returned: ids."""
    if "sample-extra-axis" in wrong:
        return drawn[..., None]  # (…, 1)
    if "sample-squeezed" in wrong:
        return drawn.squeeze()
    if "sample-one-hot" in wrong:
        return torch.nn.functional.one_hot(drawn, probabilities.shape[-1])  # (…, V)
    if "sample-probability" in wrong:
        return probabilities.gather(-1, drawn[..., None]).squeeze(-1)  # (…)
    if "sample-probabilities" in wrong:
        return probabilities
    if "sample-next-id" in wrong:
        return drawn + 1
    if "sample-float" in wrong:
        return drawn.float()
    return drawn


def cases(draw: Draw) -> Iterator[Case]:
    """Where there is only one token to draw, then rates, then calls one after the other, large logits, dtypes."""
    sure = "a token with probability 1 is always drawn"
    yield case(sure, torch.tensor([-math.inf, 2.0, -math.inf]), draw.seed_value(), dtype_counts=False)
    for shape in ((3,), (6,), (1, 3), (2, 3), (3, 3), (5, 4), (1, 1, 5), (2, 3, 4), (3, 3, 3), (2, 2, 3, 5)):
        yield case(sure, _certain(draw, *shape), draw.seed_value(), dtype_counts=False)
    yield from _rate_cases(draw)
    anew, moving = "each generator draws anew", "a generator moves on from call to call"
    for tier, shape in (("core", (3,)), ("core", (1, 3)), (EDGE, (1, 1, 3))):
        logits = torch.tensor([1.5, 1.2, 1.2]).expand(shape).contiguous()
        yield Case(anew, tuple(Call((logits, draw.seed_value())) for _ in range(60)), tier, _n_drawn)
        kept = Kept("generator", draw.seed_value())
        yield Case(moving, tuple(Call((logits, kept)) for _ in range(60)), tier, _n_drawn)
    for shape in ((50, 4), (5, 10, 4)):
        same = Call((draw.tensor(*shape), draw.seed_value()))
        yield Case("the same seed draws the same", (same, same), EDGE, _same)
    for large in ([1000.0, 800.0, 900.0], [-1200.0, -1000.0, -1100.0], [90.0, -90.0, 0.0]):
        logits = torch.tensor(large).expand(1000, 3).contiguous()
        yield edge("stable for large logits", logits, draw.seed_value(), view=_all_drawn)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("any dtype", _certain(draw, 2, 5).to(dtype), draw.seed_value(), dtype_counts=False)


def _certain(draw: Draw, *shape: int) -> Tensor:
    """Rows of which only one token is left. (…, V)."""
    left = torch.nn.functional.one_hot(draw.ids(*shape[:-1], below=shape[-1]), shape[-1]).bool()  # (…, V)
    return draw.tensor(*shape, scale=3).masked_fill(~left, -math.inf)


# --- rates ------------------------------------------------------------------------------------------------------------

# Chosen so that the rates of these, and those of nearly every mistake, lie well inside of the classes.
MIXED = (-1.7, -0.1, -3.8, 0.5)
POSITIVE = (4.3, 4.9, 2.6, 1.0)
CUT = (-0.9, 0.7, -math.inf, -3.0, 1.3)
CLASS, FIRST = 0.13, 0.045  # width, upper edge of the first: six standard deviations or more to either side


def _rate_cases(draw: Draw) -> Iterator[Case]:
    """Many rows with the same logits, to see how often each token is drawn."""
    for shows, *rows in (
        ("each token is drawn with its probability, softmax(logits)", MIXED),
        ("each token is drawn with its probability, softmax(logits)", POSITIVE),
        ("a token that was cut is never drawn", CUT),
        ("each row is drawn from its own distribution", POSITIVE, MIXED),
    ):
        logits = torch.tensor(rows)[:, None].expand(-1, N, -1).contiguous()  # (groups, N, V)
        given = logits[0] if len(rows) == 1 else logits
        yield case(shows, given, draw.seed_value(), view=functools.partial(_rates, logits))


def _rates(logits: Tensor, seen: list[Observation]) -> Any:
    """What all correct ways of drawing have in common. logits: (groups, N, V), the same within a group."""
    drawn = seen[0]["value"]
    if not torch.equal(seen[0]["arguments"][0].view_as(logits), logits):
        return "the input is changed in place"
    if drawn.is_floating_point() or drawn.numel() != logits[..., 0].numel():
        return f"{str(drawn.dtype).removeprefix('torch.')} {tuple(drawn.shape)}"
    groups = drawn.reshape(len(logits), -1).tolist()
    if all(len(set(group)) == 1 for group in groups):
        return "the same token in all rows"
    return [_classes(group, logits.shape[-1]) for group in groups]


def _classes(drawn: list[int], size: int) -> dict[int, str]:
    """Of each token, how often it was drawn, in classes."""
    classes: dict[int, str] = {}
    for token in sorted({*range(size), *drawn}):
        below = FIRST + CLASS * math.floor((drawn.count(token) / len(drawn) - FIRST) / CLASS)
        classes[token] = f"{max(below, 0):.0%} to {below + CLASS:.0%}" if token in drawn else "never"
    return classes


def _all_drawn(seen: list[Observation]) -> list[int]:
    """Every id that was drawn."""
    return sorted(set(seen[0]["value"].flatten().tolist()))


def _n_drawn(seen: list[Observation]) -> int:
    """How many different tokens several calls gave."""
    return len({int(one["value"]) for one in seen})


def _same(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"], seen[1]["value"])
