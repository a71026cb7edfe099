"""A step against the gradient, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import CORE, EDGE, Call, Case, Draw, Kept, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference


@reference
def sgd_step(params: list[Tensor], grads: list[Tensor], lr: float, *, wrong: Wrong = RIGHT) -> None:
    """Move every parameter against its gradient, in place: by lr times the gradient."""
    if "sgd_step-first-alone" in wrong:
        params, grads = params[:1], grads[:1]
    if "sgd_step-last-alone" in wrong:
        params, grads = params[-1:], grads[-1:]
    if "sgd_step-copies" in wrong:
        params = [param.clone() for param in params]
    for i, (param, grad) in enumerate(zip(params, grads, strict=True)):
        moved = param - _step(param, grad, lr, wrong)
        if "sgd_step-replaced" in wrong:
            params[i] = moved
        else:
            param.copy_(moved)
        if "sgd_step-gradients-cleared" in wrong:
            grad.zero_()
        if "sgd_step-gradients-scaled" in wrong:
            grad.mul_(lr)


def _step(param: Tensor, grad: Tensor, lr: float, wrong: Wrong) -> Any:
    """What is taken off."""
    if "sgd_step-uphill" in wrong:
        return -lr * grad
    if "sgd_step-lr-ignored" in wrong:
        return grad
    if "sgd_step-lr-squared" in wrong:
        return lr * lr * grad
    if "sgd_step-divided" in wrong:
        return grad / lr
    if "sgd_step-lr-alone" in wrong:
        return lr
    if "sgd_step-sign" in wrong:
        return lr * grad.sign()
    if "sgd_step-normalised" in wrong:
        return lr * grad / (grad.norm() + 1e-12)
    if "sgd_step-twice" in wrong:
        return 2 * lr * grad
    if "sgd_step-replaced-by-step" in wrong:
        return param + lr * grad
    return lr * grad


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then several parameters of several shapes, several steps in a row, dtypes."""
    by_hand = [torch.tensor([1.0, 2.0])], [torch.tensor([10.0, -20.0])]
    for lr in (0.1, 1.0):
        yield _case("each number moves by lr times its gradient, downhill", *by_hand, lr)
    for shapes in (
        ((3,),),
        ((2, 3),),
        ((2, 3), (3,)),
        ((4,), (2, 2), (1,)),
        ((3, 3), (3, 3)),
        ((2, 1, 3), (5,)),
        ((6, 2), (2,), (2, 6), (6,)),
    ):
        for lr in (0.1, 0.5, 2.0):
            yield _case("every parameter moves, by its own gradient", *_drawn(draw, *shapes), lr)
    for shapes in (((3,),), ((2, 2), (4,)), ((2, 3), (3,), (1, 2))):
        several = [Kept(f"p{i}", draw.tensor(*shape)) for i, shape in enumerate(shapes)]
        calls = tuple(Call((list(several), _drawn(draw, *shapes)[1], 0.3)) for _ in range(3))
        yield Case("in place: the tensors themselves change, not the list", calls, view=_moved)
    params, grads = _drawn(draw, (2, 3), (4,))
    yield _case("a gradient of 0 moves nothing", params, [torch.zeros(2, 3), grads[1]], 0.1, EDGE)
    yield _case("a learning rate of 0 moves nothing", *_drawn(draw, (2, 3), (4,)), 0.0, EDGE)
    for dtype in (torch.float64, torch.bfloat16):
        params, grads = _drawn(draw, (2, 3))
        yield _case("keeps the dtype", [params[0].to(dtype)], [grads[0].to(dtype)], 0.25, EDGE)


def _drawn(draw: Draw, *shapes: tuple[int, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and gradients."""
    return [draw.tensor(*shape) for shape in shapes], [draw.tensor(*shape) for shape in shapes]


def _case(shows: str, params: list[Tensor], grads: list[Tensor], lr: float, tier: str = CORE) -> Case:
    return case(shows, params, grads, lr, tier=tier, view=_moved)


def _moved(seen: list[Observation]) -> dict[str, Any]:
    """What is compared: where the parameters are in the end, not what is returned, which nobody looks at."""
    return {"params": seen[-1]["arguments"][0], "grads": [one["arguments"][1] for one in seen]}
