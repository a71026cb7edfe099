"""A whole training step, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ...case import CORE, EDGE, Call, Case, Draw, Kept, Stub
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference
from ...stubs import make
from ..adamw_step.adamw_step import adamw_step
from ..clip_gradients.clip_gradients import clip_gradients
from ..cross_entropy.cross_entropy import cross_entropy
from ..decay_groups.decay_groups import decay_groups

IGNORED = -100
SMALL = 1e-4  # AdamW gives a gradient this small the step of a large one, and with it its rounding
SEVERAL = 1e-4  # of several steps

Batch = tuple[Tensor, Tensor]
Params = dict[str, Tensor]
Settings = Sequence[tuple[float, float]]  # lr and max_norm of each step


@reference
def train_step(
    forward: Callable[[Tensor, dict[str, Tensor]], Tensor],
    params: dict[str, Tensor],
    batch: tuple[Tensor, Tensor],
    state: dict[str, Any],
    *,
    lr: float,
    max_norm: float,
    wrong: Wrong = RIGHT,
) -> Any:
    """Learn from one batch: loss, gradients, clipping, AdamW in place with decay on the decay group only.

    forward(inputs (B, T), params) -> logits (B, T, V); batch: inputs and targets, both (B, T). state is {} before the
    first step and holds what the next one needs. Returns `loss` and `grad_norm`, before clipping, as floats; no
    gradient is left in .grad.
    """
    if "train_step-never-zeroed" not in wrong:
        _clear(params)
    loss = _loss(forward, params, batch, wrong)
    grad_norm = _gradients(loss, params, max_norm, wrong)
    with torch.no_grad():
        _learn(params, state, 1e-3 if "train_step-lr-ignored" in wrong else lr, wrong)
    if "train_step-never-zeroed" not in wrong and "train_step-gradients-left" not in wrong:
        _clear(params)
    if "train_step-loss-after" in wrong:
        loss = _loss(forward, params, batch, wrong)
    if "train_step-pair" in wrong:
        return loss.item(), grad_norm
    if "train_step-only-loss" in wrong:
        return {"loss": loss.item()}
    if "train_step-loss-attached" in wrong:
        return {"loss": loss, "grad_norm": grad_norm}
    if "train_step-loss-detached" in wrong:
        return {"loss": loss.detach(), "grad_norm": grad_norm}
    if "train_step-norm-tensor" in wrong:
        return {"loss": loss.item(), "grad_norm": torch.tensor(grad_norm)}
    return {"loss": loss.item(), "grad_norm": grad_norm}


def _clear(params: Params) -> None:
    for param in params.values():
        param.grad = None


def _loss(forward: Callable[..., Any], params: Params, batch: Batch, wrong: Wrong) -> Tensor:
    inputs, targets = batch
    if "train_step-inputs-as-targets" in wrong:
        targets = torch.where(targets == IGNORED, targets, inputs)  # (B, T)
    return cross_entropy(forward(inputs, params), targets, wrong=wrong)


def _gradients(loss: Tensor, params: Params, max_norm: float, wrong: Wrong) -> Any:
    """Leave clipped gradients in .grad; gives their norm before."""
    early = [param.grad for param in params.values()]
    if "train_step-no-backward" not in wrong:
        loss.backward()
    grads = [param.grad for param in params.values()]
    if "train_step-zeroed-too-early" in wrong:
        for grad in grads:
            if grad is not None:
                grad.zero_()
    if "train_step-clipped-too-early" in wrong:
        return clip_gradients(early, max_norm, wrong=wrong)
    if "train_step-not-clipped" in wrong:
        return clip_gradients([grad if grad is None else grad.clone() for grad in grads], max_norm, wrong=wrong)
    norm = clip_gradients(grads, max_norm, wrong=wrong)
    return clip_gradients(grads, max_norm, wrong=wrong) if "train_step-norm-after-clipping" in wrong else norm


def _learn(params: Params, state: dict[str, Any], lr: float, wrong: Wrong) -> None:
    """Move the parameters along their gradients. state: the number of steps, and m and v by name."""
    if "train_step-no-update" in wrong:
        return
    if "train_step-plain-gradient" in wrong:
        for param in params.values():
            param.sub_(0.0 if param.grad is None else lr * param.grad)
        return
    if "train_step-state-forgotten" in wrong:
        state = {}
    if "train_step-moments-forgotten" in wrong:
        state.pop("moments", None)
    state["step"] = 1 if "train_step-step-stuck" in wrong else state.get("step", 0) + 1
    decay, no_decay = decay_groups(list(params.items()), wrong=wrong)
    for name in decay:
        _move(name, params[name], state, lr, {}, wrong)
    for name in () if "train_step-no-decay-group-forgotten" in wrong else no_decay:
        _move(name, params[name], state, lr, {"weight_decay": 0.0}, wrong)


def _move(name: str, param: Tensor, state: dict[str, Any], lr: float, options: dict[str, float], wrong: Wrong) -> None:
    if param.grad is None:
        if "train_step-unreached-fails" in wrong:
            raise AttributeError("'NoneType' object has no attribute 'mul'")
        return
    if "train_step-moments-shared" in wrong:
        name = "all"
    m, v = state.setdefault("moments", {}).setdefault(name, (torch.zeros_like(param), torch.zeros_like(param)))
    adamw_step(param, param.grad, m, v, state["step"], lr, wrong=wrong, **options)
    if "train_step-step-per-parameter" in wrong:
        state["step"] += 1


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then single steps, several steps with what they remember, ignored targets, edges."""
    easy = {
        "wte": torch.tensor([[1.0], [2.0]]),
        "ln_f.weight": torch.tensor([1.0]),
        "lm_head.weight": torch.tensor([[0.5], [-0.5]]),
    }
    one = "one step: the loss, the norm of its gradient, and the parameters moved"
    yield _case(one, easy, [(torch.tensor([[0]]), torch.tensor([[1]]))], [(0.1, 10.0)])
    yield _case(one, easy, [(torch.tensor([[0, 1]]), torch.tensor([[1, 1]]))], [(0.1, 10.0)])
    for v, c, shape in ((3, 2, (1, 2)), (5, 3, (2, 3)), (4, 4, (4, 4))):
        yield _drawn(draw, one, v, c, shape, [(0.1, 100.0)])
    for lr, v, shape in ((0.5, 3, (1, 3)), (0.3, 5, (3, 2)), (0.4, 4, (2, 2))):
        yield _drawn(draw, "weight decay shrinks the matrices, no embedding and no norm", v, 3, shape, [(lr, 100.0)])
    for max_norm in (0.01, 0.1):
        yield _drawn(draw, "grad_norm is the norm before clipping", 4, 3, (2, 3), [(0.1, max_norm)])
    again = "the next step: m, v and the step counter go on"
    for n, shape in ((2, (1, 3)), (2, (2, 2)), (3, (2, 3)), (5, (1, 4))):
        yield _drawn(draw, again, 4, 2, shape, [(0.1, 100.0)] * n)
    yield _drawn(
        draw, "every step has its own learning rate", 3, 2, (2, 3), [(0.2, 100.0), (0.05, 100.0), (0.1, 100.0)]
    )
    for norms in ((0.05, 100.0), (0.2, 0.2, 0.2), (100.0, 0.02, 0.5)):
        yield _drawn(draw, "gradients are clipped before the step", 4, 2, (2, 3), [(0.1, norm) for norm in norms])
    for n in (1, 3):
        yield _drawn(
            draw, "every parameter has moments of its own", 3, 2, (2, 2), [(0.1, 100.0)] * n, without="ln_f.weight"
        )
    for n, shape in ((1, (2, 4)), (2, (3, 3))):
        yield _drawn(draw, "ignored targets (-100) do not count", 4, 3, shape, [(0.1, 100.0)] * n, ignored=True)
    for n in (1, 2):
        more = {"ln_f.bias": draw.tensor(2)}
        yield _drawn(draw, "a bias", 4, 2, (2, 3), [(0.1, 1.0)] * n, more, tier=EDGE)
        more = {"wpe": draw.tensor(4, 2)}
        yield _drawn(draw, "a parameter that the loss does not reach", 4, 2, (2, 3), [(0.1, 1.0)] * n, more, tier=EDGE)
        yield _drawn(draw, "float64", 4, 2, (2, 3), [(0.1, 1.0)] * n, dtype=torch.float64, tier=EDGE)
    batch = _batch(draw, 3, (2, 2), ignored=False)
    call = Call(
        (Stub("bigram"), easy | {"wte": draw.tensor(3, 1), "lm_head.weight": draw.tensor(3, 1)}, batch, {}),
        {"lr": 0.1, "max_norm": 1.0},
        trained=(1,),
    )
    yield Case("the loss and the norm are Python floats", (call,), EDGE, view=_kinds)


def _kinds(seen: list[Observation]) -> dict[str, str]:
    """Whether what is returned are numbers or tensors."""
    return {
        key: "float" if isinstance(value, int | float) else type(value).__name__
        for key, value in seen[0]["value"].items()
    }


def _case(shows: str, params: Params, batches: list[Batch], settings: Settings, tier: str = CORE) -> Case:
    """One step after the other, with the same parameters and the same state.

    gradients: only so that the parameters require them, and have none from before: to drop that is no duty.
    """
    fixed = Stub("bigram"), Kept("params", params), Kept("state", {})
    calls = tuple(
        Call((*fixed[:2], batch, fixed[2]), {"lr": lr, "max_norm": max_norm}, gradients=True, trained=(1,))
        for batch, (lr, max_norm) in zip(batches, settings, strict=True)
    )
    return Case(shows, calls, tier, changes=(1,), tolerance=SEVERAL)


def _drawn(
    draw: Draw,
    shows: str,
    v: int,
    c: int,
    shape: tuple[int, int],
    settings: Settings,
    more: Params | None = None,
    *,
    without: str = "",
    ignored: bool = False,
    dtype: torch.dtype = torch.float32,
    tier: str = CORE,
) -> Case:
    """Random parameters and a random batch for each step; drawn again until no gradient is too small to be told."""
    while True:
        params = {"wte": draw.tensor(v, c), "ln_f.weight": draw.tensor(c) + 1, "lm_head.weight": draw.tensor(v, c)}
        params = {name: param.to(dtype) for name, param in (params | (more or {})).items() if name != without}
        batches = [_batch(draw, v, shape, ignored) for _ in settings]
        if _is_steady(params, batches, settings):
            return _case(shows, params, batches, settings, tier)


def _batch(draw: Draw, v: int, shape: tuple[int, int], ignored: bool) -> Batch:
    inputs, targets = draw.ids(*shape, below=v), draw.ids(*shape, below=v)
    if ignored:
        targets = targets.masked_fill(draw.mask(*shape, allowed=0.3), IGNORED)  # (B, T)
        targets[0, 0], targets[-1, -1] = 0, IGNORED
    return inputs, targets


def _is_steady(params: Params, batches: list[Batch], settings: Settings) -> bool:
    """Whether every gradient on the way is 0 or well away from it."""
    params = {name: param.clone().requires_grad_() for name, param in params.items()}
    forward, state = make("bigram", (), []), {}
    for batch, (lr, max_norm) in zip(batches, settings, strict=True):
        loss = cross_entropy(forward(batch[0], params), batch[1])
        grads = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
        if any(((grad.abs() < SMALL) & (grad != 0)).any() for grad in grads if grad is not None):
            return False
        train_step(forward, params, batch, state, lr=lr, max_norm=max_norm)
    return True
