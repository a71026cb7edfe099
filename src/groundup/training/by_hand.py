"""Training with the gradients of `backprop/`: what `training.parts = "numpy"` puts in place of torch's.

The model keeps its parameters; NumPy sees the same memory, so that nothing is copied on the way in. The whole forward
and backward pass is one node for torch, with a slope that `gpt_backward` has already computed. So all around it is the
one trainer: micro-batches, clipping, schedule, checkpoints, resume and evaluation do not notice.

    torch parameters ── .numpy() ──> gpt_backward ──> loss, dp ── .grad ──> clipping, AdamW (in NumPy too)

Read next: `parts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ..backprop import optimizer
from ..errors import ShapeError
from ..seam import Function


def mean_loss_by_hand(
    gpt_backward: Function, params: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, n_layers: int, n_heads: int
) -> Tensor:
    """The mean loss of one micro-batch, whose backward pass hands out what gpt_backward found.

    inputs, targets: (B, T) -> a scalar.
    """
    arrays = {name: param.detach().numpy() for name, param in params.items()}
    with np.errstate(all="ignore"):  # the trainer notices numbers that have gone bad, and says at which step
        loss, dp = gpt_backward(inputs.numpy(), targets.numpy(), arrays, n_layers, n_heads)
    gradients = [as_gradient(name, dp.get(name), param) for name, param in params.items()]
    return cast("Tensor", GivenSlope.apply(float(loss), gradients, *params.values()))


def as_gradient(name: str, gradient: Any, param: Tensor) -> Tensor:
    """One gradient as torch wants it. Raises ShapeError where somebody's own part gave none, or one that cannot be."""
    array = None if gradient is None else np.array(gradient, order="C")
    if array is None or array.shape != tuple(param.shape) or array.dtype.kind == "c":
        found = "missing" if array is None else f"{array.shape}{' of complex numbers' * (array.dtype.kind == 'c')}"
        raise ShapeError(
            f"the gradient of {name} is {found}, not {tuple(param.shape)}",
            where="gpt_backward",
            fix="run your backward parts through groundup.backprop.check_gradients",
        )
    # A copy: clipping works in place, and somebody's own part may hand out one array twice, or a view of its input.
    return torch.from_numpy(array).to(param.dtype)


class GivenSlope(torch.autograd.Function):
    """A number whose gradients are known already: torch need only hand them out."""

    @staticmethod
    def forward(ctx: Any, loss: float, gradients: list[Tensor], *params: Tensor) -> Tensor:
        """The loss as a tensor that depends on the parameters."""
        ctx.gradients = gradients
        return torch.tensor(loss, dtype=params[0].dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Each gradient, times that of what the loss was made into."""
        scale = grad_outputs[0].item()
        return None, None, *(gradient if scale == 1 else gradient * scale for gradient in ctx.gradients)


def adamw_step_by_hand(param: Tensor, grad: Tensor, m: Tensor, v: Tensor, *numbers: Any, **options: Any) -> None:
    """`backprop`'s AdamW on the memory of tensors, in place; step, rate and all the rest as there."""
    optimizer.adamw_step(param.detach().numpy(), grad.numpy(), m.numpy(), v.numpy(), *numbers, **options)


def clip_gradients_by_hand(grads: list[Tensor | None], max_norm: float) -> float:
    """`backprop`'s clipping on the memory of tensors, in place."""
    return optimizer.clip_gradients([None if grad is None else grad.numpy() for grad in grads], max_norm)
