"""Watch the gradient on its way back: every part that it passes, and the shape and size of what comes out.

Where a gradient vanishes or explodes, it does so at some part; this shows at which. No chapter had to be changed for
it: a record of parts, each wrapped in one that writes down what came out, is all (`seam.py`).

    >>> import numpy as np
    >>> from groundup.backprop import trace_gradients, trace_table
    >>> rng = np.random.default_rng(0)
    >>> C, F, V, L = 8, 32, 11, 6
    >>> block = {"ln1.weight": C, "ln2.weight": C, "mlp.w_up": (F, C), "mlp.w_down": (C, F)}
    >>> block |= {f"attn.w_{name}": (C, C) for name in "qkvo"}
    >>> sizes = {"wte": (V, C), "wpe": (L, C), "ln_f.weight": C} | {f"h.0.{name}": size for name, size in block.items()}
    >>> p = {name: rng.normal(size=size) for name, size in sizes.items()}
    >>> ids, targets = rng.integers(V, size=(2, L)), rng.integers(V, size=(2, L))
    >>> print(trace_table(trace_gradients(ids, targets, p, n_layers=1, n_heads=2), depth=1))
    part           gradient    shape      norm
    cross_entropy  dlogits     (12, 11)   …
    linear         dx          (2, 6, 8)  …
    …
    h.0 block      dx          (2, 6, 8)  …
    h.0 block      mlp.w_up    (32, 8)    …
    …
    embedding      dweight     (11, 8)    …

Read next: the chapter `kernels`, which makes it fast.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from ..seam import Function
from .gradient_check import aligned
from .parts import BackpropParts

# What each part's answer holds, in order; gradients by name are listed under their names.
ANSWERS = {
    "linear_backward": ("dx", "dweight", "dbias"),
    "gelu_backward": ("dx",),
    "softmax_backward": ("dx",),
    "cross_entropy_backward": ("dlogits",),
    "layer_norm_backward": ("dx", "dweight", "dbias"),
    "embedding_backward": ("dweight",),
    "feed_forward_backward": ("dx", "dw_up", "db_up", "dw_down", "db_down"),
    "attention_backward": ("dq", "dk", "dv"),
    "multi_head_attention_backward": ("dx", ""),
    "block_backward": ("dx", ""),
}


@dataclass(frozen=True)
class Passed:
    """A gradient that came out of a part."""

    part: str  # the part, after those that called it: "h.1 block / feed_forward / gelu"
    gradient: str  # which of its answers: "dx", or a parameter's name
    shape: tuple[int, ...]
    norm: float


def trace_gradients(
    ids: ndarray,
    targets: ndarray,
    p: Mapping[str, ndarray],
    n_layers: int,
    n_heads: int,
    *,
    parts: BackpropParts | None = None,
) -> list[Passed]:
    """Every gradient of one backward pass, from the loss to the embedding, in the order in which they were found.

    ids, targets: (B, T). parts: whose backward passes to watch; the library's by default.
    """
    parts = parts or BackpropParts()
    passed: list[Passed] = []
    calls: list[str] = []  # the parts that are running, the innermost last
    blocks = iter(reversed(range(n_layers)))

    def watched(name: str, function: Function) -> Function:
        @functools.wraps(function)
        def watch(*arguments: Any, **keywords: Any) -> Any:
            label = name.removesuffix("_backward")
            calls.append(f"h.{next(blocks)} block" if name == "block_backward" else label)
            answer = function(*arguments, **keywords)
            passed.extend(named(" / ".join(calls), ANSWERS[name], answer))
            calls.pop()
            return answer

        return watch

    record = parts.with_functions(**{name: watched(name, parts.chosen[name]) for name in ANSWERS})
    record.gpt_backward(ids, targets, p, n_layers, n_heads)
    return passed


def named(part: str, names: tuple[str, ...], answer: Any) -> list[Passed]:
    """The gradients of one answer, one by one; a bias that is not there has none."""
    answers = answer if isinstance(answer, tuple) else (answer,)
    found: list[tuple[str, Any]] = []
    for name, value in zip(names, answers, strict=True):
        found += value.items() if isinstance(value, Mapping) else [(name, value)]
    return [
        Passed(part, name, np.shape(value), math.sqrt(float(np.vdot(value, value))))
        for name, value in found
        if value is not None
    ]


def trace_table(passed: list[Passed], depth: int | None = None) -> str:
    """The trace as text, one line for each gradient. depth: 1 leaves out the parts inside of parts."""
    shown = [item for item in passed if depth is None or item.part.count(" / ") < depth]
    lines = [(item.part, item.gradient, str(item.shape), f"{item.norm:.3g}") for item in shown]
    return aligned([("part", "gradient", "shape", "norm"), *lines])
