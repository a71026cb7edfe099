"""A step of AdamW, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

CHANGED = (0, 2, 3)  # param, m and v
BFLOAT = 5e-5  # bfloat16 rounds m, v, the root and the update
LATE = 5000  # steps, after which the bias correction is 1


@reference
def adamw_step(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
    *,
    wrong: Wrong = RIGHT,
) -> None:
    """One step of AdamW, in place on param, m and v. step counts from 1.

    First the weights shrink by lr · weight_decay; then they move by lr · m / (√v + eps), m and v without their bias.
    """
    return _stepped(param, grad, m, v, step, lr, betas, eps, weight_decay, wrong)


def _stepped(
    param: Tensor, grad: Tensor, m: Tensor, v: Tensor, step: int, lr: float,
    betas: tuple[float, float], eps: float, weight_decay: float, wrong: Wrong,
) -> Any:  # fmt: skip
    """What is returned: nothing, if it is right."""
    betas, eps, weight_decay = _settings(betas, eps, weight_decay, wrong)
    if "adamw_step-m-and-v-swapped" in wrong:
        m, v = v, m
    if "adamw_step-decay-in-gradient" in wrong:
        grad, weight_decay = grad + weight_decay * param, 0.0
    if "adamw_step-decay-in-gradient-in-place" in wrong:
        grad.add_(weight_decay * param)
        weight_decay = 0.0
    if "adamw_step-decay-twice" in wrong:
        grad = grad + weight_decay * param
    new_m, new_v = _means(grad, m, v, betas, wrong)
    with_m, with_v = (m.clone(), v.clone()) if "adamw_step-means-too-late" in wrong else (new_m, new_v)
    update = _update(grad, with_m, with_v, step, betas, eps, wrong)
    if "adamw_step-corrected-kept" in wrong:
        new_m, new_v = (one / part for one, part in zip((new_m, new_v), _parts(step, betas, wrong), strict=True))
    new = _moved(param, update, lr, weight_decay, wrong)
    if "adamw_step-gives-new-ones" in wrong:
        return new, new_m, new_v
    if "adamw_step-gives-new-param" in wrong:
        return new
    if "adamw_step-nothing-in-place" in wrong:
        return None
    if "adamw_step-param-not-in-place" not in wrong:
        param.copy_(new)
    if "adamw_step-m-not-in-place" not in wrong and "adamw_step-means-not-in-place" not in wrong:
        m.copy_(new_m)
    if "adamw_step-v-not-in-place" not in wrong and "adamw_step-means-not-in-place" not in wrong:
        v.copy_(new_v)
    if "adamw_step-grad-cleared" in wrong:
        grad.zero_()
    return new if "adamw_step-gives-param" in wrong else None


def _settings(
    betas: tuple[float, float], eps: float, weight_decay: float, wrong: Wrong
) -> tuple[tuple[float, float], float, float]:
    """What is used of the arguments."""
    if betas == (0.9, 0.95) and "adamw_step-default-beta2" in wrong:
        betas = (0.9, 0.999)
    if weight_decay == 0.1 and "adamw_step-default-decay" in wrong:
        weight_decay = 0.01
    if "adamw_step-betas-ignored" in wrong:
        betas = (0.9, 0.95)
    if "adamw_step-one-beta" in wrong:
        betas = betas[0], betas[0]
    if "adamw_step-betas-swapped" in wrong:
        betas = betas[1], betas[0]
    return betas, 1e-8 if "adamw_step-eps-ignored" in wrong else eps, weight_decay


def _means(grad: Tensor, m: Tensor, v: Tensor, betas: tuple[float, float], wrong: Wrong) -> tuple[Tensor, Tensor]:
    """The running means of the gradient and of its square."""
    beta1, beta2 = betas
    if "adamw_step-weights-swapped" in wrong:
        beta1, beta2 = 1 - beta1, 1 - beta2
    new1 = 1.0 if "adamw_step-m-not-averaged" in wrong else 1 - beta1
    new2 = 1.0 if "adamw_step-v-not-averaged" in wrong else 1 - beta2
    square = grad if "adamw_step-v-without-square" in wrong else grad * grad
    new_v = v + square if "adamw_step-v-is-a-sum" in wrong else beta2 * v + new2 * square
    return beta1 * m + new1 * grad, new_v


def _update(
    grad: Tensor, m: Tensor, v: Tensor, step: int, betas: tuple[float, float], eps: float, wrong: Wrong
) -> Tensor:
    """How far the weights move, before the learning rate."""
    part1, part2 = _parts(step, betas, wrong)
    m_hat, v_hat = m / part1, v / part2
    if "adamw_step-no-momentum" in wrong:
        m_hat = grad
    if "adamw_step-not-divided" in wrong:
        return m_hat
    if "adamw_step-no-root" in wrong:
        return m_hat / (v_hat + eps)
    if "adamw_step-eps-inside" in wrong:
        return m_hat / (v_hat + eps).sqrt()
    if "adamw_step-no-eps" in wrong:
        return m_hat / v_hat.sqrt()
    return m_hat / (v_hat.sqrt() + eps)


def _parts(step: int, betas: tuple[float, float], wrong: Wrong) -> tuple[float, float]:
    """How much of a full mean m and v hold after so many steps."""
    if "adamw_step-counts-from-zero" in wrong:
        step += 1
    if "adamw_step-one-step-less" in wrong or "adamw_step-one-step-less-fails" in wrong:
        step -= 1
    if step == 0 and "adamw_step-one-step-less-fails" in wrong:
        raise ZeroDivisionError("float division by zero")
    part1, part2 = 1 - betas[0] ** step, 1 - betas[1] ** step
    if "adamw_step-beta-times-step" in wrong:
        part1, part2 = 1 - betas[0] * step, 1 - betas[1] * step
    if "adamw_step-corrected-for-one" in wrong:
        part1, part2 = 1 - betas[0], 1 - betas[1]
    if "adamw_step-v-corrected-by-beta1" in wrong:
        part2 = part1
    if "adamw_step-correction-after-root" in wrong:
        part2 = part2 * part2
    if "adamw_step-no-correction" in wrong:
        return 1.0, 1.0
    if "adamw_step-m-not-corrected" in wrong:
        return 1.0, part2
    return (part1, 1.0) if "adamw_step-v-not-corrected" in wrong else (part1, part2)


def _moved(param: Tensor, update: Tensor, lr: float, weight_decay: float, wrong: Wrong) -> Tensor:
    """The weights, shrunk and then moved."""
    if "adamw_step-no-decay" in wrong:
        weight_decay = 0.0
    shrink = weight_decay if "adamw_step-decay-without-lr" in wrong else lr * weight_decay
    if "adamw_step-decay-by-lr" in wrong:
        shrink = lr
    if "adamw_step-decay-grows" in wrong:
        shrink = -shrink
    if "adamw_step-lr-ignored" in wrong:
        lr = 1.0
    if "adamw_step-sign" in wrong:
        lr = -lr
    if "adamw_step-decay-after" in wrong:
        return (param - lr * update) * (1 - shrink)
    if "adamw_step-decay-constant" in wrong:
        return param - shrink - lr * update
    return param * (1 - shrink) - lr * update


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, one thing after the other; then whole steps; then dtypes."""
    one, zero = torch.tensor([1.0]), torch.tensor([0.0])
    yield _case("one step from the start", one, torch.tensor([0.5]), zero, zero, 1, 0.1)
    yield _case("one step from the start", one, torch.tensor([-2.0]), zero, zero, 1, 0.5, weight_decay=0.0)
    sizes = torch.tensor([0.5, -3.0, 200.0])
    start = torch.zeros(3)
    yield _case("the first step is as long as lr, however large the gradient", start, sizes, start, start, 1, 0.25)
    for decay in (0.5, 0.2):
        yield _case(
            "decoupled decay: weights shrink by lr · weight_decay",
            sizes,
            start,
            start,
            start,
            1,
            0.4,
            weight_decay=decay,
        )
    yield _case("decoupled decay: weights shrink by lr · weight_decay", *_state(draw, 4), 3, 0.5, weight_decay=0.8)
    for step in (1, 2, 3, 10, 50):
        yield _case("the bias of m and v is corrected", *_state(draw, 2, 3), step, 0.3, weight_decay=0.0)
    for step, betas in ((1, (0.8, 0.9)), (3, (0.5, 0.99)), (7, (0.95, 0.7)), (LATE, (0.6, 0.8))):
        yield _case("betas are those of m and of v", *_state(draw, 5), step, 0.2, betas)
    for eps in (0.5, 2.0):
        yield _case("eps is added to the root of v", *_state(draw, 4), LATE, 0.5, (0.9, 0.95), eps)
        yield _case("eps is added to the root of v", *_state(draw, 2, 2), LATE, 0.5, eps=eps, weight_decay=0.3)
    small = torch.tensor([1e-4, -2e-4])
    yield _case("eps is small by default", torch.zeros(2), small, small, small * small, LATE, 0.5)
    for shape in ((3,), (2, 3), (3, 3), (2, 3, 4)):
        for step in (1, 4):
            yield _case("whole steps", *_state(draw, *shape), step, 0.1)
        yield _case("whole steps", *_state(draw, *shape), 20, 0.5, (0.85, 0.9), 1e-6, 0.4)
    start = torch.zeros(3)
    yield _case("whole steps", draw.tensor(3), draw.tensor(3), start, start, 1, 0.1)
    yield _case(
        "where the gradient is 0 nothing moves",
        torch.tensor([1.0, 2.0]),
        torch.zeros(2),
        *[torch.zeros(2)] * 2,
        1,
        0.2,
        weight_decay=0.0,
        kind=edge,
    )
    yield _case("a weight without axes", *_state(draw), 2, 0.1, kind=edge)
    for dtype in (torch.float64, torch.bfloat16):
        state = [one.to(dtype) for one in _state(draw, 3, 4)]
        yield _case(f"a step in {str(dtype).removeprefix('torch.')}", *state, 3, 0.2, kind=edge, tolerance=BFLOAT)


def _case(shows: str, *arguments: Any, kind: Callable[..., Case] = case, **keywords: Any) -> Case:
    return kind(shows, *arguments, changes=CHANGED, **keywords)


def _state(draw: Draw, *shape: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """param, grad, m and v in the middle of a run."""
    return draw.tensor(*shape), draw.tensor(*shape), draw.tensor(*shape), draw.tensor(*shape) ** 2 + 0.25


EXAMPLE_SIZE = "10,000 weights"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((*_state(Draw(0), 100, 100), 10, 1e-3))
