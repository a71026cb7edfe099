"""The linear layer by another library, with its gradients by hand.

Almost all arithmetic of a transformer is in products of matrices, and torch carries two libraries for them. For float32
on a CPU it asks MKL, which keeps its widest instructions for its own maker's processors; oneDNN takes whatever the
processor has. On an AMD Zen 5 it is twice as fast with many rows (`benchmarks/training_speed.py`), and with the few of
a model that writes, where all is waiting for the weights, it reads better (`benchmarks/decoding_speed.py`); on an Intel
processor MKL is the faster one, and stays. oneDNN also adds the bias and the GELU on the way. Equals
`model.linear.linear`.

It knows no gradients. They are products too, of what came in and what comes back:

    y = x Wᵀ + b        dx = dy W        dW = dyᵀ x        db = Σ dy, over all rows

Read next: `attention.py`; beside this file, `backprop/linear.py`.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from .gelu import gelu


def fused_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product and a bias in one pass. x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
    if not is_for_onednn(x, weight):
        return functional.linear(x, weight, bias)
    if torch.is_grad_enabled():
        return cast("Tensor", Linear.apply(x, weight, bias))
    return product(x, weight, bias)


def linear_gelu(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A linear layer and GPT-2's GELU. x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
    if is_for_onednn(x, weight) and not torch.is_grad_enabled():
        return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "gelu", [], "tanh")
    return gelu(fused_linear(x, weight, bias))


def is_for_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can compute the product, and torch would not by itself do as well."""
    return (
        not torch.compiler.is_compiling()  # asked first: what comes after it would break the compiler's graph
        and x.dtype is weight.dtype is torch.float32
        and x.is_cpu
        and x.dim() > 1
        and x.numel() > 0
        and mkl_holds_back()
        and not torch.is_autocast_enabled("cpu")
    )


@functools.cache
def mkl_holds_back() -> bool:
    """Whether torch has both libraries, and the processor is not of MKL's maker.

    By the name and not by a race: the choice decides the last bits, and a run must repeat them.
    """
    return (
        torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and processor_maker() in ("AuthenticAMD", "HygonGenuine")
    )


def processor_maker() -> str:
    """As the processor itself gives it; empty where the system does not say."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = platform.processor()  # on Windows "AMD64 Family 25 …, AuthenticAMD"
    return next((maker for maker in ("GenuineIntel", "AuthenticAMD", "HygonGenuine") if maker in text), "")


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x Wᵀ + b by oneDNN, without gradients. x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
    return torch.ops.mkldnn._linear_pointwise.default(x, weight, bias, "none", [], "")


class Linear(torch.autograd.Function):
    """The linear layer, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """x: (…, I), weight: (O, I), bias: (O,) or None -> (…, O)."""
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients by x, weight and bias, those that are asked for."""
        (dy,), (x, weight) = grads, ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        rows = dy.flatten(0, -2)
        return (
            product(dy, weight.T) if of_x else None,
            product(rows.T, x.flatten(0, -2).T) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )
