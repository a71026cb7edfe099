"""The mean loss over held-out batches, right or with one of its known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...case import CORE, EDGE, Call, Case, Draw, Kept, Stub, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ..cross_entropy.cross_entropy import cross_entropy

IGNORED = -100
V, C = 5, 3

Batch = tuple[Tensor, Tensor]


@reference
def evaluate_loss(
    forward: Callable[[Tensor, dict[str, Tensor]], Tensor],
    params: dict[str, Tensor],
    batches: list[tuple[Tensor, Tensor]],
    *,
    wrong: Wrong = RIGHT,
) -> float:
    """The mean loss over all targets of all batches but the ignored ones (-100); nothing is learnt and nothing changes.

    forward(inputs (B, T), params) -> logits (B, T, V); batches: pairs of inputs and targets, both (B, T).
    """
    if "evaluate_loss-first-alone" in wrong:
        batches = batches[:1]
    if "evaluate_loss-last-alone" in wrong:
        batches = batches[-1:]
    if "evaluate_loss-last-left-out" in wrong:
        batches = batches[:-1]
    means = [_mean(forward, params, inputs, targets, wrong) for inputs, targets in batches]
    if "evaluate_loss-shifts-again" in wrong:
        batches = [(inputs, targets[:, 1:]) for inputs, targets in batches]
    if "evaluate_loss-gradients-switched-off" in wrong:
        for param in params.values():
            param.requires_grad_(False)
    if "evaluate_loss-learns" in wrong:
        for param in params.values():
            param.data -= 0.1 * (param + 1)
    return _returned(means, [targets for _, targets in batches], wrong)


def _mean(
    forward: Callable[..., Any], params: dict[str, Tensor], inputs: Tensor, targets: Tensor, wrong: Wrong
) -> float:
    """The mean loss of one batch; 0 if no target counts."""
    with torch.set_grad_enabled("evaluate_loss-builds-graph" in wrong or "evaluate_loss-goes-backward" in wrong):
        logits = forward(inputs, params)  # (B, T, V)
    if "evaluate_loss-inputs-as-targets" in wrong:
        targets = torch.where(targets == IGNORED, targets, inputs)  # (B, T)
    if "evaluate_loss-shifts-again" in wrong:
        logits, targets = logits[:, :-1], targets[:, 1:]
    if "evaluate_loss-goes-backward" in wrong:
        cross_entropy(logits, targets).backward()
    return cross_entropy(logits.detach(), targets, wrong=wrong).item()


def _returned(means: list[float], targets: list[Tensor], wrong: Wrong) -> Any:
    """What is made of the mean of each batch and of its number of targets."""
    counts = [int((one != IGNORED).sum()) for one in targets]
    if "evaluate_loss-mean-of-means" in wrong:
        return sum(means) / len(means)
    if "evaluate_loss-means-added" in wrong:
        return sum(means)
    if "evaluate_loss-list" in wrong:
        return means
    if "evaluate_loss-ignored-counted" in wrong:
        return _over(means, counts, sum(one.numel() for one in targets))
    if "evaluate_loss-weighted-by-size" in wrong:
        counts = [one.numel() for one in targets]
    if "evaluate_loss-weighted-by-rows" in wrong:
        counts = [len(one) for one in targets]
    if "evaluate_loss-summed" in wrong:
        return _over(means, counts, 1)
    if "evaluate_loss-by-batches" in wrong:
        return _over(means, counts, len(counts))
    if "evaluate_loss-by-rows" in wrong:
        return _over(means, counts, sum(len(one) for one in targets))
    if "evaluate_loss-divided-again" in wrong:
        return _over(means, counts, sum(counts)) / len(counts)
    if "evaluate_loss-one-batch-size" in wrong:
        return _over(means, counts, counts[0] * len(counts))
    mean = _over(means, counts, sum(counts))
    if "evaluate_loss-pair" in wrong:
        return mean * sum(counts), sum(counts)
    if "evaluate_loss-bits" in wrong:
        return mean / math.log(2)
    return math.exp(mean) if "evaluate_loss-perplexity" in wrong else mean


def _over(means: list[float], counts: list[int], n: int) -> float:
    return sum(mean * count for mean, count in zip(means, counts, strict=True)) / n


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then batches of equal and of unequal sizes, ignored targets, and what must not change."""
    params = {
        "wte": torch.tensor([[1.0], [2.0]]),
        "ln_f.weight": torch.ones(1),
        "lm_head.weight": torch.tensor([[0.0], [math.log(3.0)]]),
    }
    short = torch.tensor([[0, 0]]), torch.tensor([[1, 1]])
    long = torch.tensor([[0, 1, 0]]), torch.tensor([[0, 0, 0]])
    yield _case("one batch: the mean over its targets", params, [short])
    yield _case("one batch: the mean over its targets", params, [long])
    every = "every target weighs the same, whatever its batch"
    yield _case(every, params, [short, long])
    for shape in ((1, 4), (2, 3), (4, 2)):
        yield _case("one batch: the mean over its targets", _params(draw), [_batch(draw, *shape)])
    for shapes in (((2, 3),) * 2, ((3, 3),) * 3, ((2, 5),) * 4):
        yield _case("batches of one size", _params(draw), [_batch(draw, *shape) for shape in shapes])
    for shapes in (
        ((4, 3), (1, 3)),
        ((1, 2), (1, 7)),
        ((2, 2), (3, 4), (1, 5)),
        ((3, 6), (3, 2)),
        ((2, 3), (2, 8), (2, 2)),
    ):
        yield _case(every, _params(draw), [_batch(draw, *shape) for shape in shapes])
    ignored = "ignored targets (-100) do not count"
    for shape in ((2, 4), (3, 3)):
        yield _case(ignored, _params(draw), [_batch(draw, *shape, left_out=0.4)])
    some = "batches with different numbers of ignored targets"
    for shapes in (((3, 3), (3, 3)), ((2, 5), (1, 4)), ((4, 2), (4, 2), (2, 3))):
        yield _case(some, _params(draw), [_batch(draw, *shape, left_out=0.4) for shape in shapes])
    yield _case(some, _params(draw), [_batch(draw, 3, 4, left_out=0.8), _batch(draw, 3, 4)])
    for shapes in (((2, 3), (1, 3)), ((3, 2),)):
        drawn = _case("the parameters stay as they are", _params(draw), [_batch(draw, *shape) for shape in shapes])
        yield replace(drawn, view=functools.partial(_stayed, drawn.calls[0].arguments[1].value))
    nothing = "nothing is learnt: no graph is built, and .grad stays as it is"
    for shapes in (((2, 3),), ((2, 3), (1, 4))):
        batches = [_batch(draw, *shape) for shape in shapes]
        yield _case(nothing, _params(draw), batches, tier=EDGE, trained=True)
    yield _case(every, _params(draw), [_batch(draw, 2, 1), _batch(draw, 2, 3)], tier=EDGE)
    yield _afterwards(draw)
    inputs, targets = _batch(draw, 2, 3)
    empty = inputs, torch.full_like(targets, IGNORED)
    for batches in ([empty, _batch(draw, 2, 3)], [_batch(draw, 1, 4), empty, _batch(draw, 2, 2)]):
        yield _case("a batch of which no target counts", _params(draw), batches, tier=EDGE)
    params = {name: param.double() for name, param in _params(draw).items()}
    yield _case("float64", params, [_batch(draw, 2, 3), _batch(draw, 1, 2)], tier=EDGE)


def _case(
    shows: str, params: dict[str, Tensor], batches: list[Batch], *, tier: str = CORE, trained: bool = False
) -> Case:
    """Parameters are kept so that what happens to them is seen by the cases that ask for it."""
    stub = Stub("bigram_that_is_used" if trained else "bigram")
    return case(shows, stub, Kept("params", params), batches, tier=tier, trained=(1,) if trained else ())


def _afterwards(draw: Draw) -> Case:
    """Two evaluations; the second one's model notes which parameters have been switched off since the first."""
    kept, batches = Kept("params", _params(draw)), [_batch(draw, 2, 3)]
    stubs = Stub("bigram_that_is_used"), Stub("bigram_that_is_used", (kept,))
    calls = tuple(Call((stub, kept, batches), trained=(1,)) for stub in stubs)
    return Case("the parameters can still be trained afterwards", calls, EDGE)


def _stayed(params: dict[str, Tensor], seen: list[Observation]) -> bool:
    """Whether the parameters are what they were."""
    after = seen[0]["arguments"][1]
    return params.keys() == after.keys() and all(torch.equal(one, after[name]) for name, one in params.items())


def _params(draw: Draw) -> dict[str, Tensor]:
    return {"wte": draw.tensor(V, C), "ln_f.weight": draw.tensor(C), "lm_head.weight": draw.tensor(V, C)}


def _batch(draw: Draw, b: int, t: int, left_out: float = 0.0) -> Batch:
    """Inputs and targets (B, T), this share of the targets left out, but not the first two, and always the last."""
    inputs, targets = draw.ids(b, t, below=V), draw.ids(b, t, below=V)
    if left_out:
        targets = targets.masked_fill(draw.mask(b, t, allowed=left_out), IGNORED)  # (B, T)
        targets[0, :2], targets[-1, -1] = 0, IGNORED
    return inputs, targets
