"""One call of a part, and everything of it that can be looked at.

The learner's part and the reference are called by the very same lines, the one in a process of its own, the other in
the judge's. What comes out is made of plain values, so that it can travel (`wire.py`) and be compared (`compare.py`).

    value       what the call returned
    error       or what it raised: the names of its class and their bases, the message, the line
    arguments   as they are after the call: most parts must leave them alone, some change them on purpose
    gradients   by each floating-point tensor among the arguments, of the sum of the value's numbers, each weighted
    left        in `.grad` of each parameter among the arguments
    log         what the part asked of the functions that it was given

Read next: `reference.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..randomness import seeded_generator
from .case import Call, Kept, Seed, Stub
from .deferred import torch_if_there
from .stubs import make
from .wire import Opaque

Observation = dict[str, Any]

MESSAGE = 300  # characters of an error's message that are kept


def observe(
    function: Callable[..., Any], calls: Sequence[Call], place: Callable[[BaseException], int] = lambda _: 0
) -> list[Observation]:
    """Make the calls of a case. place: the line of the learner's file where an error came from, 0 for none."""
    kept: dict[str, Any] = {}
    return [_observed(function, call, place, kept) for call in calls]


def _observed(
    function: Callable[..., Any], call: Call, place: Callable[[BaseException], int], kept: dict[str, Any]
) -> Observation:
    log: list[Any] = []
    watched: list[Any] = []
    arguments = tuple(_prepared(value, call.gradients, log, watched, kept) for value in call.arguments)
    keywords = {name: _prepared(value, call.gradients, log, watched, kept) for name, value in call.keywords.items()}
    parameters = [leaf for i in call.trained for leaf in _leaves(arguments[i])]
    for parameter in parameters:
        if not parameter.requires_grad:
            parameter.requires_grad_().grad = parameter.detach() + 1.0  # from before: it must not be added to
    seen: Observation = {"value": None, "error": None, "log": log}
    try:
        seen["value"] = function(*arguments, **keywords)
        if call.gradients:
            seen["gradients"] = _gradients(seen["value"], watched)
        seen["value"] = _detached(seen["value"], copied=bool(kept))
    except Exception as error:  # whatever a part raises is what is observed
        seen["value"] = None
        seen["error"] = {
            "classes": [kind.__name__ for kind in type(error).__mro__[:-1]],
            "message": message_of(error),
            "line": place(error),
        }
    seen["arguments"] = [
        None if isinstance(value, Seed | Stub) else _detached(arguments[i], copied=isinstance(value, Kept))
        for i, value in enumerate(call.arguments)
    ]
    if parameters:
        seen["left"] = [_detached(parameter.grad, copied=True) for parameter in parameters]
    return seen


def message_of(error: BaseException) -> str:
    """The beginning of what an error says of itself, if it can say anything."""
    try:
        return str(error)[:MESSAGE]
    except Exception as another:  # somebody's own class of errors, whose words fail in turn
        return type(another).__name__


def seconds_of(function: Callable[..., Any], call: Call) -> float:
    """How long the call takes, the shortest of three; it may fail."""
    shortest = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        observe(function, [call])
        shortest = min(shortest, time.perf_counter() - start)
    return shortest


def _prepared(value: Any, gradients: bool, log: list[Any], watched: list[Any], kept: dict[str, Any]) -> Any:
    """An argument as the part gets it: generators and functions made, tensors copied and watched where asked."""
    torch = torch_if_there()

    def prepared(inner: Any) -> Any:
        return _prepared(inner, gradients, log, watched, kept)

    match value:
        case Seed(number):
            return seeded_generator(number)
        case Stub(name, values):
            return make(name, prepared(values), log)
        case Kept(name, first):
            if name not in kept:
                kept[name] = prepared(first)
            return kept[name]
        case dict():
            return {key: prepared(item) for key, item in value.items()}
        case list() | tuple():
            return type(value)(prepared(item) for item in value)
        case _ if torch is not None and isinstance(value, torch.Tensor):
            copy = value.clone()
            if gradients and copy.is_floating_point():
                watched.append(copy.requires_grad_())
            return copy
        case _ if hasattr(value, "copy"):
            return value.copy()  # an array
        case _:
            return value


def _gradients(value: Any, watched: list[Any]) -> list[Any]:
    """The gradient by each watched tensor; None where the value does not depend on it as autograd can see."""
    import torch

    outputs = [leaf for leaf in _leaves(value) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    if not outputs:
        return [None] * len(watched)
    # One number, and not the outputs with their weights: for those torch imports sympy, which takes half a second.
    total: Any = sum(
        (out * torch.linspace(-1.0, 1.5, out.numel(), dtype=torch.float64).view(out.shape).to(out.dtype)).sum()
        for out in outputs
    )
    return list(torch.autograd.grad(total, watched, allow_unused=True))


def _leaves(value: Any) -> list[Any]:
    match value:
        case list() | tuple():
            return [leaf for item in value for leaf in _leaves(item)]
        case Mapping():
            return [leaf for item in value.values() for leaf in _leaves(item)]
        case _:
            return [value]


def _detached(value: Any, *, copied: bool = False) -> Any:
    """The same without its history. copied: since the tensors in it go on to change."""
    match value:
        case list() | tuple() if type(value) in (list, tuple):
            return type(value)(_detached(item, copied=copied) for item in value)
        case dict():
            return {key: _detached(item, copied=copied) for key, item in value.items()}
        case _ if type(value).__name__ in ("Tensor", "Parameter"):
            return value.detach().clone() if copied else value.detach()
        case BaseException():  # returned instead of raised; no two of them are equal
            return Opaque(f"{type(value).__name__}({message_of(value)!r})")
        case _:
            return value
