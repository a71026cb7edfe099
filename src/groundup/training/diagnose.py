"""Where a number first went bad: the step is run again, and every tensor looked at as it comes to be.

A loss that is NaN says nothing about its cause: one infinite product in one layer reaches everything after it. What
came first is the cause, or stands next to it. So the weights are looked at, then the step is taken again on the same
batch with a hook on every layer, forward and, if all is well up to the loss, backward. It costs two steps and a look at
each tensor, once, when the run ends anyway.

Read next: `run_directory.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .loss import IGNORED
from .state import TrainState
from .step import mean_loss

Fact = dict[str, object]


@dataclass
class Diagnosis:
    """Everything that was seen, in its order, up to the first tensor that is not finite; and what the data were."""

    data: Fact
    tensors: list[Fact] = field(default_factory=list[Fact])
    first: Fact | None = None

    def look(self, kind: str, name: str, tensor: Tensor) -> None:
        """Note one tensor. What comes after the first bad one is bad because of it, and says nothing."""
        if self.first is None:
            self.tensors.append(facts := describe(kind, name, tensor))
            self.first = facts if facts["n_bad"] else None

    def sentence(self) -> str:
        """What came first."""
        if self.first is None:
            return "run again, the step comes out finite: the fault lies outside the model, in a part or in the memory"
        kind, name, n_bad, n = (self.first[key] for key in ("kind", "name", "n_bad", "n"))
        what = {"weight": f"weight {name}", "gradient": f"the gradient of {name}"}.get(str(kind), str(name))
        return f"{what} is the first that is not finite ({n_bad:,} of {n:,} numbers)"

    def where(self) -> str:
        """The data that were read."""
        return "sequences {0[0]} to {0[1]} of the data's order, ids {1[0]} to {1[1]}".format(
            self.data["sequences"], self.data["ids"]
        )


def describe(kind: str, name: str, tensor: Tensor) -> Fact:
    """A tensor in numbers: its shape, how many are not finite, and the range of the others."""
    finite = tensor[torch.isfinite(tensor)].double()
    low, high = (finite.min().item(), finite.max().item()) if len(finite) else (None, None)
    shape, dtype = list(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    n_bad, n = tensor.numel() - len(finite), tensor.numel()
    return {"kind": kind, "name": name, "shape": shape, "dtype": dtype, "n": n, "n_bad": n_bad, "min": low, "max": high}


def diagnose(state: TrainState, inputs: Tensor, targets: Tensor) -> Diagnosis:
    """Find the first tensor that is not finite in the step to come. inputs, targets: (B, T). Changes no weight."""
    first = state.step * state.config.training.batch_size
    data: Fact = {
        "sequences": [first, first + len(inputs) - 1],
        "ids": [int(inputs.min()), int(inputs.max())],
        "n_targets": int((targets != IGNORED).sum()),
    }
    found = Diagnosis(data)
    for name, parameter in state.params.items():
        found.look("weight", name, parameter.detach())
    size = state.config.training.micro_batch_size or len(inputs)
    micro_batches = zip(inputs.split(size), targets.split(size), strict=True)
    with watched(state.model, found) as record:
        for number, (micro_inputs, micro_targets) in enumerate(micro_batches):
            if found.first is None:
                run_again(state, micro_inputs, micro_targets, number, found, record)
    for parameter in state.model.parameters():
        parameter.grad = None
    return found


def run_again(
    state: TrainState, inputs: Tensor, targets: Tensor, number: int, found: Diagnosis, record: dict[str, Tensor]
) -> None:
    """One micro-batch, forward and back."""
    record.clear()
    loss = mean_loss(state, inputs.to(state.device), targets.to(state.device), number, record)  # ()
    found.look("activation", "the loss", loss.detach())
    if found.first is None and loss.requires_grad:
        n_targets = int((targets != IGNORED).sum())
        (loss * n_targets * state.loss_scale.scale).backward()


@contextmanager
def watched(model: nn.Module, found: Diagnosis) -> Generator[dict[str, Tensor]]:
    """While the block runs, every layer's output and its gradient are looked at; so is what the model records."""
    record: dict[str, Tensor] = {}
    n_seen = 0  # of the record's entries

    def layer_hook(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_layer: nn.Module, _inputs: object, output: object) -> None:
            nonlocal n_seen
            for inner in list(record)[n_seen if n_seen <= len(record) else 0 :]:  # a new micro-batch, a new record
                look_at(found, inner, record[inner])
            n_seen = len(record)
            outputs = output if isinstance(output, tuple) else (output,)
            for place, tensor in enumerate(outputs):
                if isinstance(tensor, Tensor):
                    look_at(found, name if place == len(outputs) - 1 else f"the stream before {name}", tensor)

        return hook

    handles = [layer.register_forward_hook(layer_hook(name)) for name, layer in model.named_modules() if name]
    handles += [parameter.register_hook(gradient_hook(found, name)) for name, parameter in model.named_parameters()]
    compiled = model.__dict__.pop("hidden", None)  # hooks inside of a compiled function would compile it anew
    try:
        yield record
    finally:
        for handle in handles:
            handle.remove()
        if compiled is not None:
            model.__dict__["hidden"] = compiled


def look_at(found: Diagnosis, name: str, tensor: Tensor) -> None:
    """Note an activation now, and its gradient when that comes."""
    found.look("activation", name, tensor.detach())
    if tensor.requires_grad:
        tensor.register_hook(gradient_hook(found, name))


def gradient_hook(found: Diagnosis, name: str) -> Callable[[Tensor], None]:
    """A hook that notes a gradient and leaves it as it is."""

    def hook(grad: Tensor) -> None:
        found.look("gradient", name, grad)

    return hook
