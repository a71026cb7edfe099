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
SEVERAL = 1e-4  # steps: the tolerance
MODEL = ("wte", "wpe", "h.0.attn.w_o", "ln_f.weight", "lm_head.weight")
TIED = ("wte", "ln_f.weight")

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
) -> dict[str, float]:
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
        _learn(params, state, _rate(lr, state, wrong), wrong)
    if "train_step-never-zeroed" not in wrong and "train_step-gradients-left" not in wrong:
        _clear(params)
    if "train_step-loss-after" in wrong:
        loss = _loss(forward, params, batch, wrong)
    return _returned(loss, grad_norm, wrong)


def _returned(loss: Tensor, grad_norm: Any, wrong: Wrong) -> Any:
    if "train_step-pair" in wrong:
        return loss.item(), grad_norm
    if "train_step-only-loss" in wrong:
        return {"loss": loss.item()}
    if "train_step-loss-tensor" in wrong:
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
    if "train_step-zeroed-before-the-update" in wrong:
        for param in params.values():
            param.grad = torch.zeros_like(param)
    return clip_gradients(grads, max_norm, wrong=wrong) if "train_step-norm-after-clipping" in wrong else norm


def _rate(lr: float, state: dict[str, Any], wrong: Wrong) -> float:
    if "train_step-lr-ignored" in wrong:
        return 1e-3
    return state.setdefault("lr", lr) if "train_step-first-lr-kept" in wrong else lr


def _learn(params: Params, state: dict[str, Any], lr: float, wrong: Wrong) -> None:
    """Move the parameters along their gradients. state: the number of steps, and m and v by name."""
    if "train_step-no-update" in wrong:
        return
    if "train_step-plain-gradient" in wrong:
        for param in params.values():
            param.sub_(0.0 if param.grad is None else lr * param.grad)
        return
    if "train_step-state-forgotten" in wrong or "train_step-new-optimizer" in wrong:
        state = {}
    if "train_step-moments-forgotten" in wrong:
        state.pop("moments", None)
    state["step"] = 1 if "train_step-step-stuck" in wrong else state.get("step", 0) + 1
    wrong |= _of_torch(wrong)
    decay, no_decay = decay_groups(list(params.items()), wrong=wrong)
    moves: list[tuple[str, dict[str, Any]]] = [(name, {}) for name in decay]
    if "train_step-no-decay-group-forgotten" not in wrong:
        moves += [(name, {"weight_decay": 0.0}) for name in no_decay]
    if "train_step-step-per-parameter" in wrong or "train_step-moments-shared" in wrong:
        moves.sort(key=lambda move: list(params).index(move[0]))  # in the order of the model
    if "train_step-step-per-parameter" in wrong or "train_step-step-per-parameter-of-groups" in wrong:
        state["step"] -= 1
    for name, options in moves:
        _move(name, params[name], state, lr, options, wrong)


def _move(name: str, param: Tensor, state: dict[str, Any], lr: float, options: dict[str, Any], wrong: Wrong) -> None:
    if param.grad is None:
        if "train_step-unreached-fails" in wrong:
            raise AttributeError("'NoneType' object has no attribute 'mul'")
        return
    if "train_step-moments-shared" in wrong:
        name = "all"
    m, v = state.setdefault("moments", {}).setdefault(name, (torch.zeros_like(param), torch.zeros_like(param)))
    if "train_step-step-per-parameter" in wrong or "train_step-step-per-parameter-of-groups" in wrong:
        state["step"] += 1
    adamw_step(param, param.grad, m, v, state["step"], lr, wrong=wrong, **options)


def _of_torch(wrong: Wrong) -> Wrong:
    """The mistakes of AdamW that come of torch's own optimizer, made from nothing but a list of parameters."""
    if "train_step-optimizer-of-the-book" in wrong:
        return frozenset({"decay_groups-all", "adamw_step-default-beta2"})
    if "train_step-defaults-of-torch" in wrong or "train_step-new-optimizer" in wrong:
        return frozenset({"decay_groups-all", "adamw_step-default-beta2", "adamw_step-default-decay"})
    return RIGHT


def cases(draw: Draw) -> Iterator[Case]:
    """What a single step gives and does, one thing after the other; then several steps; then edges.

    Each case looks at one thing alone, so that two mistakes at once can be told from one another.
    """
    easy = {
        "wte": torch.tensor([[1.0], [2.0]]),
        "ln_f.weight": torch.ones(1),
        "lm_head.weight": torch.tensor([[0.5], [-0.5]]),
    }
    batch = torch.tensor([[0, 1]]), torch.tensor([[1, 1]])
    loss, norm = "the loss of the batch, before the update", "the norm of all gradients together, before clipping"
    left, moved = "no gradient is left in .grad", "one step: every parameter moves, and matrices shrink"
    yield _case(loss, _loss_of, easy, [batch], [(0.1, 10.0)])
    yield _case(norm, _norm_of, easy, [batch], [(0.1, 10.0)])
    yield _case(left, _left, easy, [batch], [(0.1, 10.0)])
    yield _case(moved, _params_after, easy, [batch], [(0.1, 10.0)])
    for v, c, shape in ((3, 2, (1, 2)), (5, 3, (2, 3)), (4, 4, (4, 4))):
        yield _drawn(draw, loss, _loss_of, MODEL, v, c, shape, [(0.1, 100.0)])
    for max_norm in (0.01, 0.1, 100.0):
        yield _drawn(draw, norm, _norm_of, MODEL, 4, 3, (2, 3), [(0.1, max_norm)])
    yield _drawn(draw, left, _left, MODEL, 4, 2, (2, 3), [(0.1, 1.0)] * 2)
    for view, v, shape in ((_loss_of, 4, (2, 4)), (_norm_of, 3, (3, 3)), (_params_after, 3, (3, 3))):
        settings = [(0.1, 100.0)]
        yield _drawn(draw, "ignored targets (-100) do not count", view, MODEL, v, 2, shape, settings, ignored=True)
    for lr, v, shape in ((0.5, 3, (1, 3)), (0.3, 5, (3, 2)), (0.4, 4, (4, 4))):
        yield _drawn(draw, moved, _params_after, MODEL, v, 2, shape, [(lr, 100.0)])
    for lr, shape in ((0.5, (1, 3)), (0.4, (2, 2))):
        yield _drawn(draw, "embeddings and norms do not shrink", _params_after, TIED, 4, 2, shape, [(lr, 100.0)])
    again = "the next step: m, v and the step counter go on"
    for n, shape in ((2, (1, 3)), (2, (2, 2)), (3, (2, 3)), (5, (1, 4))):
        yield _drawn(draw, again, _params_after, TIED, 4, 2, shape, [(0.1, 100.0)] * n)
    for n in (2, 3):
        yield _drawn(draw, again, _params_after, MODEL, 3, 2, (2, 3), [(0.1, 100.0)] * n)
        yield _drawn(draw, again, _params_after, ("wte", "lm_head.weight"), 3, 2, (2, 2), [(0.1, 100.0)] * n)
    for rates in ((0.05, 0.2), (0.2, 0.05, 0.1)):
        settings = [(lr, 100.0) for lr in rates]
        yield _drawn(draw, "every step has its own learning rate", _params_after, TIED, 3, 2, (2, 3), settings)
    for norms in ((0.02, 100.0), (0.2, 0.2, 0.2), (100.0, 0.02, 0.5)):
        settings = [(0.1, max_norm) for max_norm in norms]
        yield _drawn(draw, "gradients are clipped before the update", _params_after, TIED, 4, 2, (2, 3), settings)
    yield from _edges(draw)


def _edges(draw: Draw) -> Iterator[Case]:
    for n in (1, 2):
        settings = [(0.1, 1.0)] * n
        bias = (*MODEL, "ln_f.bias")
        yield _drawn(draw, "a bias", _params_after, bias, 4, 2, (2, 3), settings, tier=EDGE)
        unused = "a parameter that the loss does not reach"
        more = {"h.1.ln1.weight": draw.tensor(2)}
        yield _drawn(draw, unused, _params_after, MODEL, 4, 2, (2, 3), settings, more, tier=EDGE)
        yield _drawn(draw, "float64", _params_after, MODEL, 4, 2, (2, 3), settings, dtype=torch.float64, tier=EDGE)
    yield _drawn(draw, "the loss and the norm are Python floats", _kinds, TIED, 3, 2, (2, 2), [(0.1, 1.0)], tier=EDGE)
    ignored = "the batch stays as it is"
    yield _drawn(draw, ignored, _batch_after, TIED, 3, 2, (2, 2), [(0.1, 1.0)], ignored=True, tier=EDGE)


def _case(
    shows: str,
    view: Callable[[list[Observation]], Any],
    params: Params,
    batches: list[Batch],
    settings: Settings,
    tier: str = CORE,
) -> Case:
    """One step after the other, with the same parameters and the same state."""
    kept, state = Kept("params", params), Kept("state", {})
    calls = tuple(
        Call((Stub("bigram", (kept,)), kept, batch, state), {"lr": lr, "max_norm": max_norm}, trained=(1,))
        for batch, (lr, max_norm) in zip(batches, settings, strict=True)
    )
    return Case(shows, calls, tier, view, tolerance=SEVERAL)


def _drawn(
    draw: Draw,
    shows: str,
    view: Callable[[list[Observation]], Any],
    names: Sequence[str],
    v: int,
    c: int,
    shape: tuple[int, int],
    settings: Settings,
    more: Params | None = None,
    *,
    ignored: bool = False,
    dtype: torch.dtype = torch.float32,
    tier: str = CORE,
) -> Case:
    """Random parameters and a random batch for each step; drawn again until no gradient is too small to be told."""
    sizes = {"wte": (v, c), "wpe": (shape[1], c), "h.0.attn.w_o": (c, c), "lm_head.weight": (v, c)}
    while True:
        params = {name: draw.tensor(*sizes.get(name, (c,))) for name in names} | (more or {})
        params = {name: param.to(dtype) for name, param in params.items()}
        batches = [_batch(draw, v, shape, ignored) for _ in settings]
        if _is_steady(params, batches, settings):
            return _case(shows, view, params, batches, settings, tier)


def _batch(draw: Draw, v: int, shape: tuple[int, int], ignored: bool) -> Batch:
    inputs, targets = draw.ids(*shape, below=v), draw.ids(*shape, below=v)
    if ignored:
        targets = targets.masked_fill(draw.mask(*shape, allowed=0.3), IGNORED)  # (B, T)
        targets[0, 0], targets[-1, -1] = 0, IGNORED
    return inputs, targets


def _is_steady(params: Params, batches: list[Batch], settings: Settings) -> bool:
    """Whether every gradient on the way is 0 or well away from it."""
    params = {name: param.clone() for name, param in params.items()}
    forward, state = make("bigram", (params,), []), {}
    for batch, (lr, max_norm) in zip(batches, settings, strict=True):
        loss = cross_entropy(forward(batch[0], params), batch[1])
        grads = torch.autograd.grad(loss, list(params.values()), materialize_grads=True)
        if any(((grad.abs() < SMALL) & (grad != 0)).any() for grad in grads):
            return False
        train_step(forward, params, batch, state, lr=lr, max_norm=max_norm)
    return True


# --- what of a step is looked at --------------------------------------------------------------------------------------


def _loss_of(seen: list[Observation]) -> Any:
    return [step["value"]["loss"] for step in seen]


def _norm_of(seen: list[Observation]) -> Any:
    return [step["value"]["grad_norm"] for step in seen]


def _left(seen: list[Observation]) -> str:
    """Whether there is a gradient after some step."""
    left = [grad for step in seen for grad in step["left"] if grad is not None]
    return "a gradient" if any(grad.any() for grad in left) else "none"


def _params_after(seen: list[Observation]) -> Any:
    return [step["arguments"][1] for step in seen]


def _batch_after(seen: list[Observation]) -> Any:
    return seen[0]["arguments"][2]


def _kinds(seen: list[Observation]) -> dict[str, str]:
    """Whether what is returned are numbers or tensors."""
    value = seen[0]["value"]
    return {key: "float" if isinstance(value[key], int | float) else type(value[key]).__name__ for key in value}
