"""The cross-entropy, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

IGNORED = -100
DRAWN = 1e-4  # a small loss is the difference of larger numbers
FINITE = 100.0  # -ln of the smallest probability that float32 can tell from 0


@reference
def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = -100, *, wrong: Wrong = RIGHT) -> Tensor:
    """How surprised the model is: the mean of -ln softmax(logits)[target] over all targets but the ignored ones.

    logits: (…, V), targets: (…) -> a scalar in float32 (float64 for float64 logits); 0 if all targets are ignored.
    """
    logits, targets = _arranged(logits, targets, wrong)
    ignored = _ignored(targets, ignore_index, wrong)  # (…)
    if "cross_entropy-changes-targets" in wrong:
        targets[ignored] = 0
    if "cross_entropy-changes-logits" in wrong:
        logits -= logits.amax(-1, keepdim=True)
    wide = _wide(logits, wrong)  # (…, V)
    losses = _losses(wide, targets, ignored, wrong)  # (…)
    loss = _mean(losses, ignored, wide.shape[-1], wrong)
    if "cross_entropy-perplexity" in wrong:
        loss = loss.exp()
    if "cross_entropy-detached" in wrong:
        loss = loss.detach()
    if "cross_entropy-always-float32" in wrong:
        loss = loss.float()
    return loss.bfloat16() if "cross_entropy-gives-bfloat16" in wrong and logits.dtype == torch.bfloat16 else loss


def _arranged(logits: Tensor, targets: Tensor, wrong: Wrong) -> tuple[Tensor, Tensor]:
    """The predictions and what they are compared with."""
    if "cross_entropy-only-matrices" in wrong and logits.ndim != 2:
        raise ValueError("too many values to unpack")
    if "cross_entropy-only-sequences" in wrong and logits.ndim != 3:
        raise ValueError("not enough values to unpack")
    if "cross_entropy-needs-a-batch" in wrong and logits.ndim == 1:
        raise ValueError("not enough values to unpack")
    if "cross_entropy-classes-second" in wrong and logits.ndim > 2:
        if logits[:, 0].shape != targets.shape:
            raise ValueError("Expected target size")
        return logits.movedim(1, -1), targets
    if "cross_entropy-shifts-again" in wrong and targets.ndim:
        return logits[..., :-1, :], targets[..., 1:]
    if "cross_entropy-first-alone" in wrong and targets.ndim > 1:
        return logits[0], targets[0]
    if "cross_entropy-last-alone" in wrong and targets.ndim > 1:
        return logits[..., -1, :], targets[..., -1]
    return logits, targets


def _ignored(targets: Tensor, ignore_index: int, wrong: Wrong) -> Tensor:
    """Which targets do not count."""
    if "cross_entropy-ignore-hard-coded" in wrong:
        return targets == IGNORED
    if "cross_entropy-never-ignored" in wrong or "cross_entropy-counts-from-the-end" in wrong:
        return torch.zeros_like(targets, dtype=torch.bool)
    if "cross_entropy-negatives-ignored" in wrong:
        return targets < 0
    if "cross_entropy-zero-ignored" in wrong:
        return (targets == ignore_index) | (targets == 0)
    return targets == ignore_index


def _wide(logits: Tensor, wrong: Wrong) -> Tensor:
    """The logits as they are computed with."""
    if "cross_entropy-softmax-twice" in wrong:
        logits = logits.softmax(-1)
    if "cross_entropy-in-bfloat16" in wrong or "cross_entropy-gives-bfloat16" in wrong:
        return logits
    if "cross_entropy-always-float32" in wrong:
        return logits.float()
    return logits if logits.dtype == torch.float64 else logits.float()


def _losses(wide: Tensor, targets: Tensor, ignored: Tensor, wrong: Wrong) -> Tensor:
    """Of each prediction. wide: (…, V) -> (…)."""
    counted = targets if "cross_entropy-never-ignored" in wrong else targets.masked_fill(ignored, 0)  # (…)
    if "cross_entropy-classes-from-one" in wrong:
        counted = (counted - 1) % wide.shape[-1]  # (…)
    if "cross_entropy-counts-from-the-end" in wrong:
        counted = torch.where(counted < 0, counted + wide.shape[-1], counted)  # (…)
    if "cross_entropy-only-negatives-replaced" in wrong and (targets >= wide.shape[-1]).any():
        raise IndexError("index out of bounds")
    if ((counted < 0) | (counted >= wide.shape[-1])).any():
        raise IndexError("index out of bounds")
    hot = torch.nn.functional.one_hot(counted, wide.shape[-1]).to(wide.dtype)  # (…, V)
    if "cross_entropy-squared-error" in wrong:
        return (wide.softmax(-1) - hot).square().mean(-1)
    if "cross_entropy-each-class-alone" in wrong:
        return torch.nn.functional.binary_cross_entropy_with_logits(wide, hot, reduction="none").mean(-1)
    logs = _log_probabilities(wide, wrong)  # (…, V)
    if "cross_entropy-in-bfloat16" in wrong and logs.dtype == torch.bfloat16:
        logs = logs.float()
    if "cross_entropy-all-pairs" in wrong:
        flat = logs.reshape(-1, logs.shape[-1])[:, counted.flatten()]  # (…, …)
        return -flat.mean(0).reshape(targets.shape)
    if "cross_entropy-most-likely" in wrong:
        return -logs.amax(-1)
    if "cross_entropy-all-classes" in wrong:
        return -logs.sum(-1)
    losses = -logs.gather(-1, counted.unsqueeze(-1)).squeeze(-1)  # (…)
    if "cross_entropy-smoothed" in wrong:
        return 0.9 * losses - 0.1 * logs.mean(-1)
    if "cross_entropy-sign" in wrong:
        return -losses
    return losses


def _log_probabilities(wide: Tensor, wrong: Wrong) -> Tensor:
    """Minus these are the losses. wide: (…, V)."""
    axis = _axis(wide, wrong)
    if "cross_entropy-no-softmax" in wrong:
        return wide
    if "cross_entropy-no-logarithm" in wrong:
        return wide.softmax(axis)
    if "cross_entropy-over-everything" in wrong:
        return wide - wide.flatten().logsumexp(0)
    if "cross_entropy-not-shifted" in wrong:
        return wide - wide.exp().sum(axis, keepdim=True).log()
    if "cross_entropy-shifted-by-all" in wrong:
        shifted = wide - wide.detach().amax()
        return shifted - shifted.exp().sum(axis, keepdim=True).log()
    if "cross_entropy-largest-not-put-back" in wrong:
        return wide - (wide - wide.amax(axis, keepdim=True)).exp().sum(axis, keepdim=True).log()
    if "cross_entropy-exponentials-not-shifted" in wrong:
        return _logarithms(wide.exp() / wide.exp().sum(axis, keepdim=True), wrong)
    if "cross_entropy-log-of-softmax" in wrong or "cross_entropy-capped" in wrong:
        return _logarithms(wide.softmax(axis), wrong)
    logs = wide.log_softmax(axis)  # (…, V)
    if "cross_entropy-base-2" in wrong:
        return logs / math.log(2)
    return logs / math.log(10) if "cross_entropy-base-10" in wrong else logs


def _logarithms(probabilities: Tensor, wrong: Wrong) -> Tensor:
    """Of what has been rounded to probabilities already. probabilities: (…, V)."""
    return (probabilities + 1e-9).log() if "cross_entropy-capped" in wrong else probabilities.log()


def _axis(wide: Tensor, wrong: Wrong) -> int:
    """The axis along which probabilities add up to 1."""
    if "cross_entropy-first-axis" in wrong:
        return 0
    if "cross_entropy-second-axis" in wrong:
        return 1
    return -2 if "cross_entropy-over-positions" in wrong and wide.ndim > 1 else -1


def _mean(losses: Tensor, ignored: Tensor, v: int, wrong: Wrong) -> Tensor:
    """Of those that count."""
    if "cross_entropy-ignored-as-zero" in wrong:
        ignored = torch.zeros_like(ignored)  # (…)
    losses = losses.masked_fill(ignored, 0.0)  # (…)
    if "cross_entropy-not-averaged" in wrong:
        return losses
    n_counted = (~ignored).sum()  # ()
    if "cross_entropy-ignored-in-the-mean" in wrong:
        n_counted = torch.tensor(ignored.numel())  # ()
    if "cross_entropy-nan-for-nothing" not in wrong:
        n_counted = n_counted.clamp(min=1)  # ()
    total = losses.sum()  # ()
    if "cross_entropy-summed" in wrong:
        return total
    if "cross_entropy-divided-by-batch" in wrong and losses.ndim:
        return total / len(losses)
    if "cross_entropy-divided-by-length" in wrong and losses.ndim:
        return total / losses.shape[-1]
    if "cross_entropy-divided-by-classes" in wrong:
        return total / n_counted / v
    if "cross_entropy-mean-of-means" in wrong and losses.ndim > 1:
        return (losses.sum(-1) / (~ignored).sum(-1).clamp(min=1)).mean()
    return total / n_counted


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then shapes, ignored targets, large scores, gradients, and dtypes."""
    yield case("-ln of the target's probability", torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([0]))
    two = torch.tensor([[0.0, math.log(3.0)], [math.log(4.0), 0.0]])
    yield case("the mean over the targets", two, torch.tensor([0, 0]))
    yield case("-ln of the target's probability", torch.zeros(3, 8), torch.tensor([1, 5, 2]))
    yield case("any leading shape", two.unsqueeze(1), torch.tensor([[0], [1]]))
    yield case("ignored targets do not count", two, torch.tensor([0, -100]))
    yield case("the target that ignore_index names", two, torch.tensor([1, 0]), 0)
    for shape in ((4, 3), (3, 3), (5, 7), (2, 3, 4), (3, 3, 3), (2, 4, 4), (3, 1, 5)):
        yield case("any leading shape", *_drawn(draw, *shape), tolerance=DRAWN)
    for shape, n in (((6, 4), 2), ((3, 4, 5), 4), ((4, 4, 4), 5), ((2, 5, 3), 3)):
        logits, targets = _drawn(draw, *shape)
        yield case("ignored targets do not count", logits, _without(draw, targets, n), tolerance=DRAWN)
    few = torch.tensor([[0, 1, 2, -100], [1, -100, -100, -100]])
    yield case("every target that counts weighs the same", draw.tensor(2, 4, 3, scale=2), few, tolerance=DRAWN)
    for index, shape in ((0, (6, 3)), (-1, (5, 4)), (2, (2, 4, 3)), (99, (4, 5))):
        logits, targets = _drawn(draw, *shape)
        targets[..., 0] = 1
        yield case("the target that ignore_index names", logits, _without(draw, targets, 2, index), index)
    yield case("the target that ignore_index names", *_drawn(draw, 4, 3), ignore_index=7)
    yield from _large_scores(draw)
    for shape in ((1, 4), (3, 5), (2, 3, 4)):
        yield case("the gradient flows", *_drawn(draw, *shape), gradients=True, tolerance=DRAWN)
    logits, targets = _drawn(draw, 3, 4, 5)
    some = _without(draw, targets, 4)
    yield case("ignored targets do not count", logits, some, gradients=True, tolerance=DRAWN)
    for shape in ((1, 2), (3, 4), (2, 3, 5)):
        nothing = torch.full(shape[:-1], IGNORED)
        yield edge("all targets ignored: 0", draw.tensor(*shape), nothing)
        yield edge("all targets ignored: no gradient", draw.tensor(*shape), nothing, gradients=True)
    yield edge("a single prediction", *_drawn(draw, 5), tolerance=DRAWN)
    yield edge("any leading shape", *_drawn(draw, 2, 2, 3, 4), tolerance=DRAWN)
    yield edge("float64 stays float64", two[:1].double(), torch.tensor([0]))
    yield edge("float64 stays float64", *_drawn(draw, 4, 5, dtype=torch.float64))
    wide = "bfloat16 is computed in and given as float32"
    near_one = torch.tensor([[0.0, 0.546875]], dtype=torch.bfloat16)  # it loses 1.0035, in bfloat16 just 1
    yield edge(wide, near_one, torch.tensor([0]), tolerance=2e-6)
    for shape, gradients in (((2, 4), False), ((4, 6, 7), False), ((3, 4), True)):
        drawn = _drawn(draw, *shape, dtype=torch.bfloat16)
        yield edge(wide, *drawn, gradients=gradients, tolerance=DRAWN)


def _drawn(draw: Draw, *shape: int, dtype: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
    """(logits, targets). shape: (…, V)."""
    return draw.tensor(*shape, scale=2, dtype=dtype), draw.ids(*shape[:-1], below=shape[-1])


def _without(draw: Draw, targets: Tensor, n: int, index: int = IGNORED) -> Tensor:
    """The targets, of which n are ignored, never a whole row of them."""
    flat = targets.flatten().clone()
    first = range(0, len(flat), targets.shape[-1])
    flat[draw.sample([i for i in range(len(flat)) if i not in first], n)] = index
    return flat.reshape(targets.shape)


def _large_scores(draw: Draw) -> Iterator[Case]:
    """Where an exponential overflows, or a probability is too small for a number."""
    stable = "stable for large scores"
    for row, target in (([200.0, 0.0], 1), ([-500.0, -300.0, -301.0], 0)):
        yield case(stable, torch.tensor([row]), torch.tensor([target]), view=_size)
    logits, targets = torch.tensor([[1000.0, 1001.0], [-1000.0, -1001.0]]), torch.tensor([0, 1])
    yield case(stable, logits, targets, tolerance=DRAWN)
    for gradients in (False, True):
        flat = torch.full((2, 4), 1000.0)
        yield case(stable, flat, draw.ids(2, below=4), gradients=gradients, tolerance=DRAWN)


def _size(seen: list[Observation]) -> str:
    """A large loss; of one that is too small, only that it is: there are many ways to cut it off."""
    loss = float(seen[0]["value"])
    return f"less than {FINITE:g}" if loss < FINITE else f"{loss:.4g}"


EXAMPLE_SIZE = "256 predictions, V = 512"


def example() -> Call:
    """A larger one, for the time it takes."""
    draw = Draw(0)
    return Call((draw.tensor(4, 64, 512), draw.ids(4, 64, below=512)))
