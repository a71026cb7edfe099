"""Clipping: no single batch may throw the model far.

Now and then a batch has a gradient many times longer than usual, and one step along it can undo hours. Clipping keeps
the direction and limits the length: the norm is taken over all gradients at once, as if they were one long vector, and
all are scaled by the same factor. The norm is also the best early sign of a run that goes wrong, so it is handed back.

Read next: `accumulation.py`.
Source: Pascanu et al. 2013, section 3.2, algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

NORMAL = (1e-15, 1e15)  # between them no square is too large or too small for float32


@torch.no_grad()
def clip_gradients(grads: Sequence[Tensor | None], max_norm: float) -> float:
    """Scale all gradients in place so that their joint norm is at most max_norm; returns the norm before.

    None stands for a parameter without a gradient. A norm that is no finite number leaves the gradients alone: scaling
    by it would spread one NaN to all of them.
    """
    present = [grad for grad in grads if grad is not None]
    norm = global_norm(present)
    if math.isfinite(norm) and norm > max_norm:
        factor = max_norm / norm
        # A factor below 1e-20 may be too small a number for the gradient's dtype: take it in two halves.
        for part in [factor] if factor > 1e-20 else [math.sqrt(factor)] * 2:
            for grad in present:
                grad.mul_(part)
    return norm


def global_norm(tensors: Sequence[Tensor]) -> float:
    """The Euclidean length of all tensors taken as one vector; 0 for none."""
    if not tensors:
        return 0.0
    # Squares of bfloat16 or float16 numbers lose digits or overflow: add up in float32 at least.
    wide = torch.float64 if any(tensor.dtype == torch.float64 for tensor in tensors) else torch.float32
    # The norm of the norms is the norm of all, and leaves one number to wait for when the tensors are on a GPU.
    norms = torch.stack([torch.linalg.vector_norm(tensor, dtype=wide) for tensor in tensors])  # (N,)
    norm = torch.linalg.vector_norm(norms).item()
    return norm if NORMAL[0] < norm < NORMAL[1] else _norm_of_extremes(tensors, wide)


def _norm_of_extremes(tensors: Sequence[Tensor], wide: torch.dtype) -> float:
    """The norm where squares leave the range of float32: the largest number is taken out of them first."""
    largest = max((tensor.abs().max().to(wide).item() for tensor in tensors if tensor.numel()), default=0.0)
    if largest == 0 or not math.isfinite(largest):  # max of a tensor with a NaN is NaN; Python's own may pass it over
        return torch.stack([tensor.to(wide).abs().sum() for tensor in tensors]).sum().item()
    norms = [torch.linalg.vector_norm(tensor.to(wide) / largest).item() for tensor in tensors]
    return largest * math.hypot(*norms)
