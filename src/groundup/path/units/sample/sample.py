"""Drawing the next token, right or with one of the known mistakes."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import CORE, EDGE, Call, Case, Draw, Kept
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..softmax.softmax import softmax

N = 20000  # draws from one distribution


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
        generator = seeded_generator(generator.initial_seed())
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
    if "sample-uniform-among-those-left" in wrong:
        return (wide > -math.inf).to(wide.dtype)
    if "sample-flatter" in wrong:
        wide = wide / 2
    if "sample-sharper" in wrong:
        wide = wide * 2
    if "sample-cut-drawn" in wrong:
        wide = wide.masked_fill(wide == -math.inf, 0.0)
    if "sample-not-stable" in wrong:
        return wide.exp() / wide.exp().sum(-1, keepdim=True)
    probabilities = softmax(wide, wrong=wrong)  # (…, V)
    if "sample-epsilon" in wrong:
        return probabilities + 0.01
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
    if "sample-other-noise" in wrong:
        return (rows.log() + torch.randn(rows.shape, generator=generator)).argmax(-1).reshape(shape)
    if "sample-noise-of-the-wrong-sign" in wrong:
        noise = -(-torch.rand(rows.shape, generator=generator).log()).log()
        return (rows.log() - noise).argmax(-1).reshape(shape)
    if "sample-multiplied-by-noise" in wrong:
        return (rows * torch.rand(rows.shape, generator=generator)).argmax(-1).reshape(shape)
    if "sample-uniform-noise-on-logits" in wrong:
        return (rows.log() + torch.rand(rows.shape, generator=generator)).argmax(-1).reshape(shape)
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
    """Shapes, then where there is only one token to draw, then rates, then several calls, large logits, dtypes."""
    shapes = "an id for each row"
    yield _rows(shapes, torch.tensor([2.0, -1.0, 0.5]), draw)
    for shape in ((5,), (1, 3), (2, 3), (3, 3), (5, 4), (1, 1, 5), (2, 3, 4), (3, 3, 3)):
        logits = draw.tensor(*shape)
        logits[..., 0] = draw.choice((-0.8, -0.3))  # logits are no probabilities
        yield _rows(shapes, logits, draw)
    for shape in ((5000, 4), (10, 500, 3), (300, 400)):
        yield _rows("a token that was cut (-inf) is never drawn", _certain(draw, *shape), draw, _each_right)
    for shows, *rows in (
        ("each token is drawn with its probability, softmax(logits), and one that was cut never", CUT),
        ("each row is drawn from its own distribution", POSITIVE, MIXED),
    ):
        logits = torch.tensor(rows)[:, None].expand(-1, N, -1).contiguous()  # (groups, N, V)
        yield _rows(shows, logits[0] if len(rows) == 1 else logits, draw, _rates)
    for tier, shape in ((CORE, (3,)), (CORE, (1, 3)), (EDGE, (1, 1, 3))):
        logits = torch.tensor([1.5, 1.2, 1.2]).expand(shape).contiguous()
        yield Case(
            "each generator draws anew", tuple(Call((logits, draw.seed_value())) for _ in range(60)), tier, _n_drawn
        )
        kept = Kept("generator", draw.seed_value())
        yield Case("a generator moves on from call to call", (Call((logits, kept)),) * 60, tier, _n_drawn)
    yield _rows(shapes, draw.tensor(2, 2, 3, 5), draw, tier=EDGE)
    for shape in ((50, 4), (5, 10, 4)):
        same = Call((draw.tensor(*shape), draw.seed_value()))
        yield Case("the same seed draws the same", (same, same), EDGE, _same)
    for large in ([1000.0, 800.0, 900.0], [-1200.0, -1000.0, -1100.0], [90.0, -90.0, 0.0]):
        yield _rows("stable for large logits", torch.tensor(large).repeat(1000, 1), draw, _each_right, tier=EDGE)
    for dtype in (torch.float64, torch.bfloat16):
        yield _rows("any dtype", _certain(draw, 20, 5).to(dtype), draw, _each_right, tier=EDGE)


def _certain(draw: Draw, *shape: int) -> Tensor:
    """Rows of which only one token is left. (…, V)."""
    left = torch.nn.functional.one_hot(draw.ids(*shape[:-1], below=shape[-1]), shape[-1]).bool()  # (…, V)
    return draw.tensor(*shape, scale=3).masked_fill(~left, -math.inf)


# --- what all correct ways of drawing have in common ------------------------------------------------------------------

CUT = (-math.inf, 0.0, -math.inf, -3.0, 1.2)
MIXED = (-1.7, -0.1, -3.8, 0.5)
POSITIVE = (4.3, 4.9, 2.6, 1.0)
LARGEST = 60.0  # chi-squared: right ones stay below but for three times in 10^12
LIKE = 0.022  # roots of two rates are that near if they come from one distribution: four standard deviations or more

Look = Callable[[Tensor, Tensor], Any]


def _rows(shows: str, logits: Tensor, draw: Draw, look: Look | None = None, tier: str = CORE) -> Case:
    """One call. look: at the ids that were drawn, by the logits (…, V) and the ids (…)."""
    view = functools.partial(_seen, logits, look)
    return Case(shows, (Call((logits, draw.seed_value())),), tier, view, tolerance=LIKE)


def _seen(logits: Tensor, look: Look | None, seen: list[Observation]) -> Any:
    """Shape and kind of the result; where they are right, what `look` sees in it."""
    drawn = seen[0]["value"]
    if not isinstance(drawn, Tensor | int):
        return {"result": f"a {type(drawn).__name__}"}
    drawn = torch.as_tensor(drawn)
    kind = "numbers with a fraction" if drawn.is_floating_point() else "ids"
    form = {"result": f"{kind} of shape {tuple(drawn.shape)}"}
    if not torch.equal(seen[0]["arguments"][0], logits):
        form["input"] = "changed in place"
    if look is None or drawn.is_floating_point():
        return form
    if drawn.shape != logits.shape[:-1]:
        return form | {"drawn": "ids beyond V" if bool((drawn >= logits.shape[-1]).any()) else "ids below V"}
    return form | {"drawn": look(logits, drawn)}


def _each_right(logits: Tensor, drawn: Tensor) -> str:
    """Whether it is always the one token that can be drawn.

    One slip in all the rows is let pass: Gumbel noise is -inf where a uniform number is exactly 0, once in 2^24.
    """
    slips = int((drawn != logits.argmax(-1)).sum())
    return "the only token left" if slips <= 1 else "others too"


def _rates(logits: Tensor, drawn: Tensor) -> Any:
    """How often each token is drawn; all rows are the same, or all of a group. logits: (N, V) or (groups, N, V)."""
    groups = drawn.reshape(-1, N).tolist()
    if all(len(set(group)) == 1 for group in groups):
        return "the same token in all rows"
    rows = logits.reshape(-1, N, logits.shape[-1])[:, 0].softmax(-1).tolist()
    return [_fit(row, group) for row, group in zip(rows, groups, strict=True)]


def _fit(probabilities: list[float], drawn: list[int]) -> str | dict[str, dict[int, float]]:
    """Whether chance can explain what was drawn; if not, how often each token was (the roots all vary alike)."""
    counts = Counter(drawn)
    wanted = {token: 0.0 for token in counts} | {token: N * p for token, p in enumerate(probabilities)}
    if sum((counts[token] - n) ** 2 / max(n, 1e-6) for token, n in wanted.items()) < LARGEST:
        return "as softmax(logits) says"
    return {
        "not as softmax(logits) says; roots of the rates": {
            token: math.sqrt(counts[token] / N) for token in sorted(wanted)
        }
    }


def _n_drawn(seen: list[Observation]) -> int:
    """How many different tokens several calls gave."""
    return len({int(one["value"]) for one in seen})


def _same(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"], seen[1]["value"])
