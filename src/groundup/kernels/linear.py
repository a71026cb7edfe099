"""The linear layer, for the few rows of a model that writes.

In training a product has thousands of rows, and every weight that comes from memory is used thousands of times. A model
that writes has one row for each text: it uses a weight once, and is as fast as memory can bring them. On a CPU in
float32, torch's own product gets about half of what memory gives; oneDNN's, which torch carries too, reads better and
adds the bias and the GELU on the way (`benchmarks/decoding_speed.py`). It knows no gradients, so it is for writing
alone. Equals `model.linear.linear`.

Read next: `attention.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .gelu import gelu

FEW_ROWS = 32  # with more, a product is arithmetic, and torch's own is as good


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product and a bias in one pass. x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
    if is_reading(x, weight):
        return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")
    return functional.linear(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer and GPT-2's GELU. x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
    if is_reading(x, weight):
        return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "gelu", [], "tanh")
    return gelu(functional.linear(x, weight, bias))


def is_reading(x: Tensor, weight: Tensor) -> bool:
    """Whether the product is one of few rows, without gradients, that oneDNN does better than torch."""
    return (
        not torch.is_grad_enabled()
        and x.numel() <= FEW_ROWS * x.shape[-1]
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
        and torch.backends.mkldnn.is_available()
    )
