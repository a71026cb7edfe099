"""The clipping of gradients, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import Call, Case, Draw, Kept, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def clip_gradients(grads: list[Tensor | None], max_norm: float, *, wrong: Wrong = RIGHT) -> float:
    """Scale all gradients in place so that their joint L2 norm is at most max_norm; returns the norm before.

    None stands for a parameter without a gradient. A norm that is no finite number leaves the gradients alone.
    """
    if "clip_gradients-fails-for-none" in wrong and any(grad is None for grad in grads):
        raise AttributeError("'NoneType' object has no attribute 'norm'")
    end = len(grads)
    if "clip_gradients-stops-at-none" in wrong:
        end = next((i for i, grad in enumerate(grads) if grad is None), end)
    present = [grad for grad in grads[:end] if grad is not None]
    norm = _norm(present, wrong)
    if "clip_gradients-by-value" in wrong:
        for grad in present:
            grad.clamp_(-max_norm, max_norm)
        return norm
    if "clip_gradients-each-alone" in wrong:
        for grad in present:
            grad.mul_(_factor(grad.norm().item(), max_norm, wrong))
        return norm
    if "clip_gradients-nan-to-zero" in wrong and not math.isfinite(norm):
        for grad in present:
            grad.zero_()
    factor = _factor(norm, max_norm, wrong)
    if "clip_gradients-scaled-twice" in wrong:
        factor *= factor
    if "clip_gradients-gives-new-ones" in wrong:
        return [grad if grad is None else grad * factor for grad in grads]  # pyright: ignore[reportReturnType]
    if "clip_gradients-put-into-the-list" in wrong:
        grads[:] = [grad if grad is None else grad * factor for grad in grads]
    elif "clip_gradients-not-in-place" not in wrong and factor != 1.0:
        for grad in present[: 1 if "clip_gradients-scales-the-first" in wrong else None]:
            grad.mul_(factor)
    return _returned(norm, factor, wrong)


def _returned(norm: float, factor: float, wrong: Wrong) -> Any:
    if "clip_gradients-gives-nothing" in wrong or (factor == 1 and "clip_gradients-gives-nothing-unclipped" in wrong):
        return None
    if "clip_gradients-gives-norm-after" in wrong:
        return norm * factor
    if "clip_gradients-gives-square" in wrong:
        return norm * norm
    return factor if "clip_gradients-gives-factor" in wrong else norm


def _norm(present: list[Tensor], wrong: Wrong) -> float:
    """The length of all of them."""
    if "clip_gradients-first-alone" in wrong:
        present = present[:1]
    if "clip_gradients-last-alone" in wrong:
        present = present[-1:]
    wide = [grad.double() for grad in present]
    norms = [grad.norm().item() for grad in wide]
    if "clip_gradients-norms-added" in wrong:
        return sum(norms)
    if "clip_gradients-largest-norm" in wrong:
        return max(norms)
    if "clip_gradients-mean-of-norms" in wrong:
        return sum(norms) / len(norms)
    if "clip_gradients-absolute-values" in wrong:
        return sum(grad.abs().sum().item() for grad in wide)
    if "clip_gradients-largest-number" in wrong:
        return max(grad.abs().max().item() for grad in wide)
    squares = sum(norm * norm for norm in norms)
    if "clip_gradients-mean-square" in wrong:
        return math.sqrt(squares / sum(grad.numel() for grad in wide))
    return squares if "clip_gradients-no-root" in wrong else math.sqrt(squares)


def _factor(norm: float, max_norm: float, wrong: Wrong) -> float:
    """What the gradients are multiplied by."""
    if not math.isfinite(norm):
        return _factor_of_no_number(norm, max_norm, wrong)
    if norm == 0 and "clip_gradients-fails-for-zero" not in wrong:
        return math.nan if "clip_gradients-nan-for-zero" in wrong else 1.0
    ratio = max_norm / norm
    if "clip_gradients-inverse" in wrong:
        return max(1.0, 1 / ratio)
    if "clip_gradients-to-one" in wrong:
        return min(1.0, 1 / norm)
    if "clip_gradients-divided-by-norm" in wrong and norm > max_norm:
        return 1 / norm
    if "clip_gradients-always" in wrong:
        return ratio
    return max(1.0, ratio) if "clip_gradients-short-ones-alone" in wrong else min(1.0, ratio)


def _factor_of_no_number(norm: float, max_norm: float, wrong: Wrong) -> float:
    """Of gradients whose norm is infinite or NaN."""
    if "clip_gradients-fails-for-nan" in wrong:
        raise RuntimeError("the norm of the gradients is not finite")
    if "clip_gradients-nan-spreads" in wrong or ("clip_gradients-infinity-spreads" in wrong and norm == math.inf):
        return max_norm / norm
    return 1.0


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then several tensors of any shape, short gradients, ones that are missing, and no numbers."""
    for max_norm in (1.0, 2.5, 10.0):
        yield _case("one L2 norm over all gradients", [torch.tensor([3.0]), torch.tensor([4.0])], max_norm)
    yield _case("one L2 norm over all gradients", [torch.tensor([[1.0, 2.0], [2.0, 4.0]])], 2.0)
    yield _case("one L2 norm over all gradients", [torch.tensor([2.0, -2.0]), torch.tensor([[1.0]])], 1.5)
    for shapes in (((3,),), ((2, 3), (4,)), ((2, 3), (3,), (2, 2, 2)), ((4, 4), (1,), (), (5,))):
        for max_norm in (0.5, 1.0):
            grads = _drawn(draw, *shapes)
            yield _case("longer ones are scaled down to max_norm, all by one factor", grads, max_norm)
    for shapes in (((3,),), ((2, 3), (4,)), ((2, 3), (3,), (2, 2, 2))):
        yield _case("shorter ones stay as they are", _drawn(draw, *shapes), 50.0)
        yield _case("shorter ones stay as they are", [0.1 * grad for grad in _drawn(draw, *shapes)], 8.0)
    yield _case("one of the tensors by itself is short", [torch.tensor([0.3, 0.4]), torch.tensor([12.0])], 1.0)
    yield _case("each tensor by itself is short, all together are not", [torch.full((4,), 0.4) for _ in range(4)], 1.0)
    # What has only been put into the list is gone when the same tensors come again.
    for numbers in ([3.0, 4.0], [0.0, -12.0]):
        grads = [Kept("one", torch.tensor(numbers)), Kept("two", torch.tensor([[5.0]]))]
        calls = tuple(Call((grads, max_norm)) for max_norm in (4.0, 2.0))
        yield Case("the tensors themselves are scaled, in place", calls, changes=(0,))
    missing = "a parameter without a gradient is passed over"
    yield _case(missing, [torch.tensor([3.0]), None, torch.tensor([4.0])], 1.0)
    yield _case(missing, [None, *_drawn(draw, (2, 3), (3,))], 0.5)
    yield _case(missing, [*_drawn(draw, (2, 2)), None], 50.0)
    for value in (math.inf, math.nan):
        alone = "a norm that is no finite number leaves the gradients alone"
        yield _case(alone, [torch.tensor([1.0, value]), torch.tensor([2.0])], 1.0, edge)
        yield _case(alone, [torch.tensor([3.0]), torch.tensor([[value, 1.0]]), torch.tensor([4.0])], 2.0, edge)
    yield _case("a norm of 0", [torch.zeros(2), torch.zeros(3)], 1.0, edge)
    yield _case(
        "gradients in float64", [draw.tensor(2, 3, dtype=torch.float64), draw.tensor(4, dtype=torch.float64)], 0.5, edge
    )
    pair = [torch.tensor([3.0], dtype=torch.bfloat16), torch.tensor([4.0, 0.0], dtype=torch.bfloat16)]
    for max_norm in (2.5, 10.0):
        yield _case("gradients in bfloat16", pair, max_norm, edge)


def _case(shows: str, grads: list[Any], max_norm: float, kind: Callable[..., Case] = case) -> Case:
    return kind(shows, grads, max_norm, changes=(0,))


def _drawn(draw: Draw, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Gradients of these shapes, of a norm above 1."""
    drawn = [draw.tensor(*shape) for shape in shapes]
    drawn[0].flatten()[0] = draw.uniform(1.0, 2.0)
    return drawn
