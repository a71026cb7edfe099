"""Gradients of many micro-batches, right or with one of the known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...case import CORE, EDGE, Case, Draw, Kept, Stub, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

MicroBatch = tuple[Tensor, ...]


@reference
def accumulate_gradients(
    loss_fn: Callable[[Any], tuple[Tensor, int]],
    params: list[Tensor],
    micro_batches: list[Any],
    *,
    wrong: Wrong = RIGHT,
) -> float:
    """Leave in .grad the gradient of the mean loss over all tokens of all micro-batches; returns that mean.

    loss_fn(micro_batch) -> (the sum of its losses, its number of tokens). What was in .grad before is dropped.
    """
    wrong = _in_both(wrong)
    if "accumulate_gradients-first-alone" in wrong:
        micro_batches = micro_batches[:1]
    if "accumulate_gradients-last-left-out" in wrong:
        micro_batches = micro_batches[:-1]
    losses, counts, gradients = [], [], []
    for micro_batch in micro_batches:
        loss, n = loss_fn(micro_batch)
        losses.append(loss.item())
        counts.append(int(n))
        gradients.append(torch.autograd.grad(loss, params, allow_unused=True))
    for i, param in enumerate(params):
        _leave(param, [of_one[i] for of_one in gradients], counts, i, wrong)
    if "accumulate_gradients-step-taken" in wrong:
        for param in params:
            param.data -= 0.1 * (0.0 if param.grad is None else param.grad)
    return _returned(losses, counts, wrong)


def _in_both(wrong: Wrong) -> Wrong:
    """With the two halves of what is wrong in the gradient and in the returned loss alike."""
    if "accumulate_gradients-mean-of-means" in wrong:
        wrong |= {"accumulate_gradients-mean-of-means-in-gradient", "accumulate_gradients-mean-of-means-returned"}
    if "accumulate_gradients-means-added" in wrong:
        wrong |= {"accumulate_gradients-means-added-in-gradient", "accumulate_gradients-means-added-returned"}
    if "accumulate_gradients-not-divided" in wrong:
        wrong |= {"accumulate_gradients-not-divided-in-gradient", "accumulate_gradients-sum-returned"}
    if "accumulate_gradients-by-micro-batches" in wrong:
        wrong |= {"accumulate_gradients-by-micro-batches-in-gradient", "accumulate_gradients-by-micro-batches-returned"}
    return wrong


def _leave(param: Tensor, gradients: list[Tensor | None], counts: list[int], i: int, wrong: Wrong) -> None:
    """Put into .grad what belongs there. gradients: of the sum of each micro-batch; None where nothing reached it."""
    if "accumulate_gradients-nothing-left" in wrong:
        param.grad = None
        return
    if "accumulate_gradients-grad-untouched" in wrong:
        return
    if "accumulate_gradients-none-fails" in wrong and any(gradient is None for gradient in gradients):
        raise TypeError("unsupported operand type(s) for +=: 'Tensor' and 'NoneType'")
    if "accumulate_gradients-unreached-fails" in wrong and all(gradient is None for gradient in gradients):
        raise AttributeError("'NoneType' object has no attribute 'div_'")
    total = torch.zeros_like(param)
    for gradient, weight in zip(gradients, _weights(counts, i, wrong), strict=True):
        total = total if gradient is None else total + weight * gradient
    if "accumulate_gradients-old-kept" in wrong and param.grad is not None:
        total = total + param.grad
    if "accumulate_gradients-old-divided" in wrong and param.grad is not None:
        total = total + param.grad / sum(counts)
    param.grad = total.detach()


def _weights(counts: list[int], i: int, wrong: Wrong) -> list[float]:
    """By what the gradient of each micro-batch's sum is multiplied, for parameter number i."""
    n, k, last = max(sum(counts), 1), len(counts), len(counts) - 1
    if "accumulate_gradients-mean-of-means-in-gradient" in wrong:
        return [_inverse(count) / k for count in counts]
    if "accumulate_gradients-means-added-in-gradient" in wrong:
        return [_inverse(count) for count in counts]
    if "accumulate_gradients-not-divided-in-gradient" in wrong:
        return [1.0] * k
    if "accumulate_gradients-first-divided-alone" in wrong and i > 0:
        return [1.0] * k
    if "accumulate_gradients-by-micro-batches-in-gradient" in wrong:
        return [1 / k] * k
    if "accumulate_gradients-divided-twice" in wrong:
        return [1 / n / n] * k
    if "accumulate_gradients-divided-by-both" in wrong:
        return [1 / n / k] * k
    if "accumulate_gradients-divided-each-time" in wrong:
        return [math.prod(_inverse(count) for count in counts[j:]) for j in range(k)]
    if "accumulate_gradients-by-the-count-so-far" in wrong:
        return [_inverse(sum(counts[: j + 1])) for j in range(k)]
    if "accumulate_gradients-earlier-again" in wrong:
        return [(k - j) / n for j in range(k)]
    if "accumulate_gradients-last-count" in wrong:
        return [_inverse(counts[-1])] * k
    if "accumulate_gradients-equal-sizes" in wrong:
        return [_inverse(counts[0]) / k] * k
    if "accumulate_gradients-last-gradient" in wrong:
        return [_inverse(counts[j]) if j == last else 0.0 for j in range(k)]
    if "accumulate_gradients-zeroed-between" in wrong:
        return [1 / n if j == last else 0.0 for j in range(k)]
    return [-1 / n if "accumulate_gradients-sign" in wrong else 1 / n] * k


def _inverse(count: int) -> float:
    return 1 / count if count else 0.0


def _returned(losses: list[float], counts: list[int], wrong: Wrong) -> Any:
    n, k = sum(counts), len(counts)
    means = [loss / count if count else math.nan for loss, count in zip(losses, counts, strict=True)]
    if "accumulate_gradients-mean-of-means-returned" in wrong:
        return sum(means) / k
    if "accumulate_gradients-means-added-returned" in wrong:
        return sum(means)
    if "accumulate_gradients-sum-returned" in wrong:
        return sum(losses)
    if "accumulate_gradients-by-micro-batches-returned" in wrong:
        return sum(losses) / k
    if "accumulate_gradients-last-returned" in wrong:
        return means[-1]
    if "accumulate_gradients-last-sum-returned" in wrong:
        return losses[-1]
    if "accumulate_gradients-nothing-returned" in wrong:
        return None
    if "accumulate_gradients-pair-returned" in wrong:
        return sum(losses), n
    return sum(losses) / n


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then micro-batches of equal and of unequal sizes, parameters that nothing reaches."""
    weight, bias = torch.tensor([1.0]), torch.tensor(0.0)
    first, second = (
        (torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 1.0])),
        (torch.tensor([[2.0]]), torch.tensor([3.0])),
    )
    yield _case("one micro-batch: the mean over its tokens", [weight, bias], [first])
    yield _case("every token weighs the same, whatever its micro-batch", [weight, bias], [first, second])
    yield _case("every token weighs the same, whatever its micro-batch", [weight, bias], [second, first])
    for sizes in ((1,), (4,), (7,)):
        yield _drawn_case(draw, "one micro-batch: the mean over its tokens", 3, sizes)
    for sizes in ((2, 2), (3, 3, 3), (1, 1, 1, 1), (5, 5)):
        yield _drawn_case(draw, "micro-batches of one size", 2, sizes)
    for sizes in ((1, 3), (5, 2), (2, 7, 3), (4, 1, 1), (1, 2, 3, 4, 5), (6, 2, 2, 6), (3, 8, 1, 2, 4, 2, 5, 1)):
        yield _drawn_case(draw, "every token weighs the same, whatever its micro-batch", 3, sizes)
    for sizes in ((3,), (2, 4)):
        drawn = _drawn_case(draw, "the parameters themselves stay as they are", 2, sizes)
        yield replace(drawn, view=functools.partial(_stayed, drawn.calls[0].arguments[1].value))
    for sizes in ((2, 3), (3, 1, 2), (4, 2)):
        params = [draw.tensor(2), draw.tensor(), draw.tensor(), draw.tensor()]
        micro_batches = [_micro_batch(draw, 2, n, 2) for n in sizes]
        yield _case("every parameter gets its gradient", params, micro_batches)
    for sizes in ((2, 3), (3,), (4, 1, 2)):
        yield _drawn_case(draw, "what was in .grad before is dropped", 2, sizes)
    unreached = "a parameter that no loss reaches"
    params = [draw.tensor(2), draw.tensor(), draw.tensor()]
    yield _case(unreached, params, [_micro_batch(draw, 2, n) for n in (2, 3)], tier=EDGE)
    yield _case(unreached, params, [_micro_batch(draw, 2, n) for n in (3, 1, 2)], tier=EDGE)
    some = "a parameter that only some micro-batches reach"
    for reaching in ((1, 0, 1), (0, 1, 1), (1, 1, 0)):
        micro_batches = [_micro_batch(draw, 2, n, one) for n, one in zip((3, 1, 2), reaching, strict=True)]
        yield _case(some, params, micro_batches, tier=EDGE)
    for sizes in ((3, 0, 2), (0, 4), (2, 0)):
        yield _drawn_case(draw, "a micro-batch without tokens adds nothing", 2, sizes, tier=EDGE)
    params = [draw.tensor(2, dtype=torch.float64), draw.tensor(dtype=torch.float64)]
    micro_batches = [tuple(one.double() for one in _micro_batch(draw, 2, n)) for n in (3, 1)]
    yield _case("keeps the dtype", params, micro_batches, tier=EDGE)


def _case(shows: str, params: list[Tensor], micro_batches: list[MicroBatch], tier: str = CORE) -> Case:
    """A call with parameters that the loss knows too."""
    kept = Kept("params", params)
    return case(shows, Stub("sum_of_losses", (kept,)), kept, micro_batches, trained=(1,), tier=tier)


def _stayed(params: list[Tensor], seen: list[Observation]) -> bool:
    """Whether the parameters are what they were."""
    return all(torch.equal(one, after) for one, after in zip(params, seen[0]["arguments"][1], strict=True))


def _drawn_case(draw: Draw, shows: str, width: int, sizes: tuple[int, ...], tier: str = CORE) -> Case:
    params = [draw.tensor(width), draw.tensor()]
    return _case(shows, params, [_micro_batch(draw, width, n) for n in sizes], tier)


def _micro_batch(draw: Draw, width: int, n: int, more: int = 0) -> MicroBatch:
    """An x (N, I), a y (N,) and further numbers (N,)."""
    return draw.tensor(n, width), draw.tensor(n), *(draw.tensor(n) for _ in range(more))
