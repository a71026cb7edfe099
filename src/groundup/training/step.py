"""One step of training: look at a batch, find the slope, go down it a little.

    forward   the model's scores for the batch, and how wrong they are
    backward  the slope of that loss by every parameter
    clip      no single batch may throw the model far
    update    every parameter moves against its slope

Numbers that are no longer finite are noticed before any weight changes, so that a bad step costs nothing but itself.

Read next: `diagnose.py`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DivergedError
from ..processes import one_core
from ..randomness import derived_generator
from .by_hand import mean_loss_by_hand
from .loss import IGNORED
from .precision import autocast
from .state import TrainState


@dataclass(frozen=True)
class StepReport:
    """What one step has to tell. n_tokens: learnt from; overflow: float16 was too small, and nothing was learnt."""

    loss: float
    grad_norm: float
    n_tokens: int
    overflow: bool = False


def take_step(
    state: TrainState, inputs: Tensor, targets: Tensor, lr: float, check: Callable[[], None] = lambda: None
) -> StepReport:
    """One optimizer step on a batch, in micro-batches. Raises DivergedError before any weight changes.

    inputs, targets: (B, T). check is called before each micro-batch, and may raise to stop.
    """
    if "train_step" in state.parts.own:
        return take_own_step(state, inputs, targets, lr)
    with one_core() if state.n_cores > 1 else nullcontext():
        return take_library_step(state, inputs, targets, lr, check)


def take_library_step(
    state: TrainState, inputs: Tensor, targets: Tensor, lr: float, check: Callable[[], None]
) -> StepReport:
    """The library's step: micro-batch after micro-batch, or several side by side."""
    training, parts, params = state.config.training, state.parts, list(state.model.parameters())
    size = math.ceil((training.micro_batch_size or len(inputs)) / state.n_cores)
    micro_batches = list(enumerate(zip(inputs.split(size), targets.split(size), strict=True)))

    def loss_of(micro_batch: tuple[int, tuple[Tensor, Tensor]]) -> tuple[Tensor, int]:
        """The sum of the losses, and of how many: every token weighs the same however the batch was cut."""
        check()
        number, (inputs, targets) = micro_batch
        n_targets = int((targets != IGNORED).sum())
        loss = mean_loss(state, inputs.to(state.device), targets.to(state.device), number)  # ()
        return loss * n_targets * state.loss_scale.scale, n_targets

    loss = parts.accumulate_gradients(loss_of, params, micro_batches) / state.loss_scale.scale
    grads = state.optimizer.gradients()
    if state.loss_scale.scale != 1:
        for grad in grads:
            if grad is not None:
                grad.div_(state.loss_scale.scale)
    grad_norm = parts.clip_gradients(grads, training.max_norm)
    n_tokens = int((targets != IGNORED).sum())
    loss_scale, overflow = state.loss_scale, training.precision == "float16" and not math.isfinite(grad_norm)
    if training.precision == "float16":
        where = f"step {state.step + 1}"
        loss_scale = loss_scale.after(overflow, where, loss_scale_update=parts.loss_scale_update)
    if not overflow:
        require_finite(loss, grad_norm, state.step)
    check()  # the last moment at which the step can still be dropped: from here on the state changes
    state.loss_scale = loss_scale
    if overflow:
        return StepReport(loss, grad_norm, n_tokens=0, overflow=True)
    parts.optimizer_step(state.optimizer, lr)
    return StepReport(loss, grad_norm, n_tokens)


def mean_loss(
    state: TrainState, inputs: Tensor, targets: Tensor, number: int, record: dict[str, Tensor] | None = None
) -> Tensor:
    """The mean loss of one micro-batch. inputs, targets: (B, T) -> a scalar. record: see Transformer."""
    model, config = state.model, state.config
    if config.training.parts == "numpy":
        sizes = (config.model.n_layers, config.model.n_heads)
        return mean_loss_by_hand(state.parts.gpt_backward, state.params, inputs, targets, *sizes)
    generator = dropout_generator(state, inputs.device, number)
    with autocast(config.training.precision, inputs.device.type):
        if "gpt_forward" in state.parts.own:  # an own model gives logits; the library's can go from states to loss
            return state.parts.cross_entropy(model(inputs, record=record, generator=generator), targets)
        hidden = model.hidden(  # (B, T, C)
            inputs, record=record, generator=generator, documents=state.documents(inputs)
        )
        return state.parts.head_loss(hidden, model.output_weight, targets, config.model.logit_soft_cap)


def dropout_generator(state: TrainState, device: torch.device, number: int) -> torch.Generator | None:
    """What one micro-batch draws its dropout from; None where there is none."""
    if state.config.model.dropout == 0:
        return None
    return derived_generator("dropout", state.config.training.seed, state.step, number, device=device)


def require_finite(loss: float, grad_norm: float, step: int) -> None:
    """Raise DivergedError where a number has gone bad."""
    for what, value, code in (("loss", loss, "NUM_LOSS"), ("gradient norm", grad_norm, "NUM_GRAD")):
        if not math.isfinite(value):
            raise DivergedError(
                f"the {what} is {value}",
                where=f"step {step + 1}",
                fix="begin a new run with a lower training.max_lr or a longer training.warmup_steps",
                code=code,
            )


def take_own_step(state: TrainState, inputs: Tensor, targets: Tensor, lr: float) -> StepReport:
    """One step by somebody's own train_step, which does everything itself and keeps its own optimizer state.

    It tells its numbers after the weights have changed. Where bad steps may be left out, what was before is kept.
    """
    training = state.config.training
    before = (
        copy.deepcopy((state.own, [p.detach() for p in state.params.values()])) if training.skip_nonfinite else None
    )

    generator = dropout_generator(state, state.device, 0)

    def forward(inputs: Tensor, params: dict[str, Tensor]) -> Tensor:
        with autocast(training.precision, inputs.device.type):
            return state.model(inputs, generator=generator)

    batch = (inputs.to(state.device), targets.to(state.device))
    result = state.parts.train_step(forward, state.params, batch, state.own, lr=lr, max_norm=training.max_norm)
    loss, grad_norm = float(result["loss"]), float(result["grad_norm"])
    try:
        require_finite(loss, grad_norm, state.step)
    except DivergedError:
        if before is not None:
            put_back(state, *before)
        raise
    return StepReport(loss, grad_norm, int((targets != IGNORED).sum()))


@torch.no_grad()
def put_back(state: TrainState, own: dict[str, object], params: list[Tensor]) -> None:
    """Undo an own step that went bad."""
    state.own = own
    for param, value in zip(state.params.values(), params, strict=True):
        param.copy_(value)
