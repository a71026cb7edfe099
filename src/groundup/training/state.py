"""The state of a run: all that a resumed run needs, and nothing else survives a stop.

The weights, what the optimizer remembers of them, and a few numbers. The order of the data, dropout and the schedule
follow from the step number, so that nothing random has to be saved.

Read next: `step.py`, which moves the state by one step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias, cast

import torch
from torch import Tensor

from ..errors import CheckpointError
from ..model.attention import document_numbers
from ..model.transformer import Transformer
from ..randomness import derived_generator
from ..weights.checkpoint import Checkpoint
from .config import TrainConfig
from .flat_optimizer import FlatOptimizer, fused_optimizer_step
from .optimizers import OptimizerState, make_optimizer
from .parts import Parts
from .precision import LossScale
from .side_by_side import MOST_PARAMETERS, accumulate_side_by_side

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


@dataclass
class TrainState:
    """A model in training."""

    config: TrainConfig
    parts: Parts
    model: Transformer
    optimizer: OptimizerState
    loss_scale: LossScale
    n_cores: int = 1  # that take a part of each batch by themselves
    step: int = 0  # steps done
    tokens: int = 0  # targets that a step has learned from
    total_steps: int | None = None  # None until a time budget has been turned into a number of steps
    measured: int = 0  # the last step after which the held-out text was measured
    best: dict[str, float] = field(default_factory=dict)  # step and val_bits_per_byte
    skipped: list[int] = field(default_factory=list)  # recent steps whose numbers went bad
    own: dict[str, object] = field(default_factory=dict)  # what an own train_step keeps between steps
    document_end: int | None = None  # the token at which attention stops, with data.documents = "mask"

    @property
    def params(self) -> dict[str, Tensor]:
        """The model's parameters by name."""
        return dict(self.model.named_parameters())

    def documents(self, inputs: Tensor) -> Tensor | None:
        """Which document each token belongs to; None where attention goes on into the one before. (B, T) -> (B, T)."""
        return None if self.document_end is None else document_numbers(inputs, self.document_end)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.wte.device


def new_state(config: TrainConfig, parts: Parts, device: torch.device) -> TrainState:
    """The state before the first step: first weights drawn from the seed, an optimizer that remembers nothing."""
    training = config.training
    is_own = bool(parts.own)
    parts = parts.for_training(training.parts)
    model = Transformer(config.model, parts).init_weights(derived_generator("init", training.seed)).to(device)
    n_cores = 1 if is_own else cores_side_by_side(config, model)  # own functions may not bear two threads at once
    if n_cores > 1:
        parts = parts.with_functions(accumulate_gradients=partial(accumulate_side_by_side, n_cores=n_cores))
    if training.compile:
        model.hidden = torch.compile(model.hidden)
    optimizer = make_optimizer(
        model.named_parameters(),
        training.optimizer,
        weight_decay=training.weight_decay,
        betas=(training.beta1, training.beta2),
        muon_lr_scale=training.muon_lr / training.max_lr,
        decay_groups=parts.decay_groups,
    )
    if parts.chosen["optimizer_step"] is fused_optimizer_step:
        optimizer = FlatOptimizer(optimizer)
    scale = LossScale() if training.precision == "float16" else LossScale(scale=1.0)
    return TrainState(config, parts, model, optimizer, scale, n_cores, total_steps=training.steps)


def cores_side_by_side(config: TrainConfig, model: Transformer) -> int:
    """How many cores take a part of each batch by themselves; 1 where all of them work on one operation."""
    training, device = config.training, model.wte.device.type
    n_parameters = sum(parameter.numel() for parameter in model.parameters())
    is_fit = device == "cpu" and n_parameters <= MOST_PARAMETERS and training.precision != "float16"
    # Dropout draws its numbers for a whole micro-batch: with another number of cores it would draw others.
    if training.parts != "fast" or not is_fit or training.compile or config.model.dropout > 0:
        return 1
    return min(torch.get_num_threads(), training.micro_batch_size or training.batch_size)


@dataclass(frozen=True)
class Snapshot:
    """A state as a checkpoint keeps it."""

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    numbers: dict[str, Json]


def snapshot(state: TrainState) -> Snapshot:
    """What a checkpoint holds of a state. Raises CheckpointError where an own train_step keeps what no file can."""
    tensors = state.optimizer.tensors()
    numbers: dict[str, Json] = {
        "step": state.step,
        "tokens": state.tokens,
        "position": state.step * state.config.training.batch_size,
        "total_steps": state.total_steps,
        "optimizer_step": state.optimizer.step,
        "loss_scale": cast("Json", dataclasses.asdict(state.loss_scale)),
        "measured": state.measured,
        "best": cast("Json", state.best),
        "skipped": cast("Json", state.skipped),
    }
    if "train_step" in state.parts.own:  # it keeps its own moments; the library's were never used
        tensors = {}
        numbers["own"] = packed(state.own, tensors)
    return Snapshot({name: value.detach() for name, value in state.params.items()}, tensors, numbers)


@torch.no_grad()
def restore(state: TrainState, checkpoint: Checkpoint) -> None:
    """Put a checkpoint into a fresh state. Raises CheckpointError (CKPT_FIT) if it is of another one."""
    numbers = checkpoint.state
    require_fit(state, checkpoint)
    for name, parameter in state.model.named_parameters():
        parameter.copy_(checkpoint.model[name])
    if "train_step" in state.parts.own:
        state.own = cast("dict[str, object]", unpacked(numbers["own"], checkpoint.optimizer))
    else:
        state.optimizer.load(checkpoint.optimizer, int(numbers["optimizer_step"]))
    state.step, state.tokens = int(numbers["step"]), int(numbers["tokens"])
    # training.steps may have been raised since, so that a finished run can go on; a budget's number of steps is kept.
    state.total_steps = state.config.training.steps or numbers["total_steps"]
    state.loss_scale = LossScale(**numbers["loss_scale"])
    state.measured = int(numbers.get("measured", state.step))
    state.best, state.skipped = dict(numbers["best"]), list(numbers["skipped"])


def require_fit(state: TrainState, checkpoint: Checkpoint) -> None:
    """Raise CheckpointError (CKPT_FIT) unless the checkpoint is of this model, trained by the same kind of step."""
    was_own, is_own = "own" in checkpoint.state, "train_step" in state.parts.own
    if was_own != is_own:
        whose = ("the library's train_step", "a train_step of your own")
        raise CheckpointError(
            f"the run was begun with {whose[was_own]}, and goes on with {whose[is_own]}: "
            "neither can use what the other has kept",
            where=str(checkpoint.path),
            fix="resume with the --parts folder that it was begun with"
            if was_own
            else "resume without that train_step",
            code="CKPT_FIT",
            status=2,
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.model.items()}
    wanted = {name: tuple(parameter.shape) for name, parameter in state.params.items()}
    problems = [name for name in shapes.keys() | wanted.keys() if shapes.get(name) != wanted.get(name)]
    if problems:
        name = min(problems)
        raise CheckpointError(
            f"the weights do not fit the model: {name} is {shapes.get(name)}, not {wanted.get(name)}",
            where=str(checkpoint.path),
            fix="resume with the config that the run was started with",
            code="CKPT_FIT",
            status=2,
        )


def packed(value: object, tensors: dict[str, Tensor]) -> Json:
    """What an own train_step keeps, as JSON; tensors go into `tensors`, and their names in their places."""
    match value:
        case Tensor():
            tensors[name := f"own.{len(tensors)}"] = value.detach()
            return {"tensor": name}
        case dict():
            items = cast("Mapping[object, object]", value)
            if all(isinstance(key, str) for key in items):
                return {"dict": [[str(key), packed(item, tensors)] for key, item in items.items()]}  # in its order
        case list() | tuple():
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [packed(item, tensors) for item in cast("list[object]", value)]}
        case None | bool() | int() | float() | str():
            return value
        case _:
            pass
    raise CheckpointError(
        f"the state of your train_step holds a {type(value).__name__}, which no checkpoint can keep",
        where="train_step's state",
        fix="keep tensors, numbers and text in it, in dictionaries with text as keys, lists and tuples",
        code="CKPT_OWN",
        status=2,
    )


def unpacked(value: Json, tensors: Mapping[str, Tensor]) -> object:
    """The inverse of `packed`."""
    match value:
        case {"tensor": str(name)}:
            return tensors[name].clone()
        case {"dict": list(items)}:
            pairs = cast("list[tuple[str, Json]]", items)
            return {key: unpacked(item, tensors) for key, item in pairs}
        case {"list": list(items)}:
            return [unpacked(item, tensors) for item in items]
        case {"tuple": list(items)}:
            return tuple(unpacked(item, tensors) for item in items)
        case _:
            return value
