"""What the tests of `backprop` share: small models as arrays, autograd as the judge, and what "equal" means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy import ndarray
from small import random_tensor
from torch import Tensor

from groundup.model.transformer import gpt_forward, init_gpt
from groundup.training.loss import cross_entropy

Arrays = dict[str, ndarray]


def array(*shape: int, seed: int = 0, dtype: Any = np.float64) -> ndarray:
    """Normal numbers."""
    return random_tensor(*shape, seed=seed, dtype=torch.float64).numpy().astype(dtype)


def random_ids(*shape: int, vocab_size: int = 13, seed: int = 0) -> ndarray:
    return np.random.default_rng(seed).integers(vocab_size, size=shape)


def assert_equal(found: Any, wanted: Any, tolerance: float = 1e-9) -> None:
    """Equal, relative to the largest number wanted; gradients that are 0 in exact arithmetic may be rounding."""
    wanted = wanted.detach().numpy() if isinstance(wanted, Tensor) else np.asarray(wanted)
    assert np.shape(found) == wanted.shape
    assert np.isfinite(found).all()
    size = max(float(np.abs(wanted).max(initial=0.0)), 1e-4)
    assert float(np.abs(found - wanted).max(initial=0.0)) <= tolerance * size


def autograd(forward: Callable[..., Tensor], dy: ndarray, *inputs: ndarray | None) -> list[ndarray | None]:
    """torch's gradients of forward's output, weighted by dy, by each of the inputs."""
    tensors = [None if x is None else torch.tensor(x, requires_grad=True) for x in inputs]
    forward(*tensors).backward(torch.tensor(dy))
    return [None if tensor is None else tensor.grad.numpy() for tensor in tensors]


def small_gpt(
    *, tied: bool = True, bias: bool = True, v: int = 13, length: int = 10, n: int = 2, h: int = 4, c: int = 16
) -> Arrays:
    """Weights large enough that every one of them shows."""
    p = init_gpt(v, length, n, h, c, torch.Generator().manual_seed(0))
    p = {name: value.double() + 0.3 * random_tensor(*value.shape, seed=i, dtype=torch.float64)
         for i, (name, value) in enumerate(p.items())}  # fmt: skip
    if not bias:
        p = {name: value for name, value in p.items() if not name.endswith("bias") and ".b_" not in name}
    if not tied:
        p["lm_head.weight"] = random_tensor(v, c, seed=99, dtype=torch.float64)
    return {name: value.numpy() for name, value in p.items()}


def autograd_gpt(ids: ndarray, targets: ndarray, p: Arrays, n_layers: int, n_heads: int) -> tuple[float, Arrays]:
    """torch's loss and gradients of the same model."""
    tensors = {name: torch.tensor(value, requires_grad=True) for name, value in p.items()}
    loss = cross_entropy(gpt_forward(torch.tensor(ids), tensors, n_layers, n_heads), torch.tensor(targets))
    loss.backward()
    gradients = {name: t.grad for name, t in tensors.items()}
    return loss.item(), {name: np.zeros_like(p[name]) if g is None else g.numpy() for name, g in gradients.items()}
