"""Precision: fewer bits where they are enough, all of them where they are not.

Matrix products in 16 bits take half the memory and, on hardware made for them, a fraction of the time. The weights
themselves stay in float32 ("master weights"): a step is often less than a thousandth of a weight, and bfloat16, which
keeps three digits, would round it away.

bfloat16 has the range of float32 and needs nothing else. float16 has more digits and little range: gradients below
6e-8 become 0. So the loss is multiplied by a large scale, gradients come out that much larger, and are divided by it in
float32. When something overflows the step is dropped and the scale halved; after a long time without, it is doubled.

Read next: `optimizers.py`.
Source: Micikevicius et al. 2018 (mixed precision training), section 3.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import DivergedError
from ..model.linear import linear

Precision = Literal["float32", "bfloat16", "float16"]

MOST_HALVINGS = 20  # in a row: the scale has lost a factor of a million, and still something overflows


def mixed_precision_linear(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16, *, linear=linear
) -> Tensor:
    """A linear layer computed in a narrow dtype from wide weights; gradients arrive in the weights' own dtype.

    x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O) in x's dtype. `autocast` does this to a whole model.
    """
    y = linear(x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype))  # (…, O)
    return y.to(x.dtype)


def autocast(precision: Precision, device_type: str) -> AbstractContextManager[object]:
    """A context in which matrix products are computed in `precision`; sums, norms and losses stay in float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device_type, torch.bfloat16 if precision == "bfloat16" else torch.float16)


def loss_scale_update(scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000) -> tuple[float, int]:
    """The scale for the next step, and how many good steps it has behind it.

    good_steps: those before the present one. Source: Micikevicius et al. 2018, section 3.2 (automatic loss scaling).
    """
    if found_inf:
        return scale / 2, 0
    if good_steps + 1 >= growth_interval:
        return scale * 2, 0
    return scale, good_steps + 1


@dataclass(frozen=True)
class LossScale:
    """The state of float16's loss scale: part of what a resume needs."""

    scale: float = 65536.0
    good_steps: int = 0  # since the scale last changed
    halvings: int = 0  # in a row

    def after(self, found_inf: bool, where: str = "", *, loss_scale_update=loss_scale_update) -> LossScale:
        """The state after one more step. Raises DivergedError (NUM_SCALE) when halving does not help."""
        scale, good_steps = loss_scale_update(self.scale, found_inf, self.good_steps)
        halvings = self.halvings + 1 if found_inf else 0
        if halvings >= MOST_HALVINGS:
            raise DivergedError(
                f"the gradients overflow float16 even at a loss scale of {scale:g}, after {halvings} halvings in a row",
                where=where,
                fix="use training.precision=bfloat16 or float32, or lower training.max_lr",
                code="NUM_SCALE",
            )
        return LossScale(scale, good_steps, halvings)
