"""Whether two results are the same, and if not, the first difference that a person would name.

What counts is the meaning. A tuple may be a list, a float may be a tensor of one number; a shape, a dtype or a missing
gradient is a difference. Numbers are compared on the scale of the largest expected one, as coarsely as the dtype is.

Read next: `evidence.py`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .case import Call, Case, Kept
from .deferred import torch_if_there
from .observe import Observation
from .wire import Opaque

COARSER = {"bfloat16": 1000.0, "float16": 100.0}  # than float32, whose tolerance a case names
DISCRETE = math.inf
LEAST = 1e-3  # scale on which numbers are compared


@dataclass(frozen=True)
class Difference:
    """kind: value, shape, dtype, type, raises, silent, changed, gradient, left, call. size: in tolerances.

    call: which one of the case's it is in.
    """

    kind: str
    expected: Any
    got: Any
    size: float = DISCRETE
    where: str = ""
    call: int = 0


def differ(case: Case, expected: list[Observation], got: list[Observation]) -> Difference | None:
    """The first difference between what was expected of a case's calls and what came; None when there is none."""
    for i, (wanted, seen) in enumerate(zip(expected, got, strict=True)):
        if fault := _raised(wanted, seen):
            return replace(fault, call=i)
    if case.view is not None:
        return unlike(_viewed(case.view, expected), _viewed(case.view, got), case)
    for i, (call, wanted, seen) in enumerate(zip(case.calls, expected, got, strict=True)):
        if fault := _call_differs(case, call, wanted, seen):
            return replace(fault, call=i)
    return None


def _call_differs(case: Case, call: Call, wanted: Observation, seen: Observation) -> Difference | None:
    """The first difference in what one call gave and did; None when there is none."""
    if wanted["error"] is None:
        if fault := unlike(wanted["value"], seen["value"], case):
            return fault
        if fault := _gradients_differ("gradient", wanted.get("gradients", ()), seen.get("gradients", ()), case):
            return fault
    if fault := _arguments_differ(case, call.arguments, wanted, seen):
        return fault
    if fault := _gradients_differ("left", wanted.get("left", ()), seen.get("left", ()), case):
        return fault
    return None if wanted["log"] == seen["log"] else Difference("call", wanted["log"], seen["log"])


def _viewed(view: Callable[[list[Any]], Any], observations: list[Observation]) -> Any:
    """The view of a case; of what cannot be looked at in that way, only that it cannot."""
    try:
        return view(observations)
    except Exception:  # a view is written for right values: on wrong ones of any shape it may fail in any way
        return Opaque(str([seen["value"] for seen in observations]))


def _raised(wanted: Observation, seen: Observation) -> Difference | None:
    wanted_error, error = wanted["error"], seen["error"]
    if error is not None and wanted_error is None:
        return Difference("raises", wanted["value"], error)
    if wanted_error is not None and error is None:
        return Difference("silent", wanted_error, seen["value"])
    if wanted_error is not None and error is not None and wanted_error["classes"][0] not in error["classes"]:
        return Difference("raises", wanted_error, error)
    return None


def _gradients_differ(kind: str, wanted: Sequence[Any], seen: Sequence[Any], case: Case) -> Difference | None:
    """On the scale of the call's largest gradient, since one that must be 0 is never quite. None is 0 too."""
    pairs = list(zip(wanted, seen, strict=False))
    scale = max([LEAST, *(float(one.abs().max()) for one, _ in pairs if one is not None and one.numel())])
    for expected, got in pairs:
        if expected is None and got is None:
            continue
        one = got.new_zeros(got.shape) if expected is None else expected
        other = one.new_zeros(one.shape) if got is None else got
        if fault := unlike(one, other, case, scale):
            return Difference(kind, expected, got, DISCRETE if got is None else fault.size)
    return None


def _arguments_differ(case: Case, given: tuple[Any, ...], wanted: Observation, seen: Observation) -> Difference | None:
    """What the call has done to its arguments: first to those that it is meant to change, then to the others.

    What is kept from call to call is meant to change, and is compared where the case asks for it.
    """
    for i in sorted(range(len(given)), key=lambda i: i not in case.changes):
        before = given[i]
        if isinstance(before, Kept) and i not in case.changes:
            continue
        fault = unlike(wanted["arguments"][i], seen["arguments"][i], case)
        if fault and i in case.changes:
            return Difference(fault.kind, fault.expected, fault.got, fault.size, where=f"argument {i + 1}")
        if fault:
            return Difference("changed", before, seen["arguments"][i], fault.size, where=f"argument {i + 1}")
    return None


def changes_input(case: Case, seen: list[Observation]) -> bool:
    """Whether some argument is not what it was, though it should be."""
    return any(
        unlike(before, one["arguments"][i], case) is not None
        for call, one in zip(case.calls, seen, strict=True)
        for i, before in enumerate(call.arguments)
        if not (i in case.changes or isinstance(before, Kept) or one["arguments"][i] is None)
    )


def unlike(expected: Any, got: Any, case: Case, scale: float = LEAST) -> Difference | None:
    """How two values differ in meaning. scale: at least, of the numbers of a tensor."""
    torch, numpy = torch_if_there(), sys.modules.get("numpy")
    if isinstance(got, Opaque):
        return None if isinstance(expected, Opaque) else Difference("type", expected, got)
    if torch is not None and isinstance(expected, torch.Tensor):
        return _unlike_tensor(expected, got, case, scale)
    if numpy is not None and isinstance(expected, numpy.ndarray):
        return _unlike_array(expected, got, case)
    if (torch is not None and isinstance(got, torch.Tensor)) or (
        numpy is not None and isinstance(got, numpy.ndarray | numpy.generic)
    ):
        got = got.tolist()
    match expected:
        case None | str() | bool():
            same = got == expected and (expected is None) == (got is None)
            return None if same else Difference("value", expected, got)
        case int():
            same = isinstance(got, int | float) and got == expected
            return None if same else Difference("value", expected, got)
        case float():
            if not isinstance(got, int | float):
                return Difference("type", expected, got)
            size = _distance(expected, float(got), case.tolerance, max(1.0, abs(expected)))
            return None if size <= 1 else Difference("value", expected, got, size)
        case list() | tuple():
            if not isinstance(got, list | tuple):
                return Difference("type", expected, got)
            if len(got) != len(expected):
                return Difference("value", expected, got)
            faults = [fault for pair in zip(expected, got, strict=True) if (fault := unlike(*pair, case))]
            return _of_several(faults, expected, got) if faults else None
        case Mapping():
            if not isinstance(got, Mapping):
                return Difference("type", expected, got)
            return _unlike_mapping(expected, got, case)
        case _:
            return None if expected == got else Difference("value", expected, got)


def _of_several(faults: list[Difference], expected: Any, got: Any) -> Difference:
    """The difference of two lists; where shape, dtype or type differ, those of the first items that do."""
    first, size = faults[0], max(fault.size for fault in faults)
    if first.kind in ("shape", "dtype", "type"):
        return replace(first, size=size)
    return Difference(first.kind, expected, got, size)


def _unlike_mapping(expected: Mapping[Any, Any], got: Mapping[Any, Any], case: Case) -> Difference | None:
    """How they differ, with those entries alone: a model has many."""
    if set(expected) != set(got):
        missing = {key: item for key, item in expected.items() if key not in got}
        return Difference("value", missing, {key: item for key, item in got.items() if key not in expected})
    faults = {key: fault for key, item in expected.items() if (fault := unlike(item, got[key], case))}
    if not faults:
        return None
    return _of_several([*faults.values()], {key: expected[key] for key in faults}, {key: got[key] for key in faults})


def _distance(expected: float, got: float, tolerance: float, scale: float) -> float:
    if expected == got or (math.isnan(expected) and math.isnan(got)):
        return 0.0
    distance = abs(expected - got) / scale
    return distance / tolerance if tolerance and math.isfinite(distance) else DISCRETE


def _unlike_tensor(expected: Any, got: Any, case: Case, scale: float) -> Difference | None:
    import torch

    if isinstance(got, int | float) and expected.ndim == 0:
        got = torch.tensor(got, dtype=expected.dtype)
    if not isinstance(got, torch.Tensor) or got.layout is not torch.strided or got.device.type != "cpu":
        return Difference("type", expected, got)
    if got.shape != expected.shape:
        return Difference("shape", expected, got)
    if got.dtype != expected.dtype and (case.dtype_counts or got.is_floating_point() != expected.is_floating_point()):
        return Difference("dtype", expected, got)
    if torch.equal(expected, got):
        return None
    if not expected.is_floating_point():
        return Difference("value", expected, got)
    coarser = COARSER.get(str(expected.dtype).removeprefix("torch."), 1.0)
    size = _array_distance(expected.double().numpy(), got.double().numpy(), case.tolerance * coarser, scale)
    return None if size <= 1 else Difference("value", expected, got, size)


def _unlike_array(expected: Any, got: Any, case: Case) -> Difference | None:
    import numpy

    if type(got).__name__ == "Tensor":
        got = got.numpy()
    if not isinstance(got, numpy.ndarray | list | tuple | int | float):
        return Difference("type", expected, got)
    try:
        found = numpy.asarray(got, dtype=expected.dtype if expected.dtype.kind == "f" else None)
    except (ValueError, TypeError):
        return Difference("type", expected, got)
    if found.shape != expected.shape:
        return Difference("shape", expected, found)
    if expected.dtype.kind != "f":
        return None if numpy.array_equal(expected, found) else Difference("value", expected, got)
    size = _array_distance(expected, found, case.tolerance)
    return None if size <= 1 else Difference("value", expected, got, size)


def _array_distance(expected: Any, got: Any, tolerance: float, scale: float = LEAST) -> float:
    """The largest distance of two float arrays, in tolerances on the scale of the largest finite expected number."""
    import numpy

    finite = numpy.isfinite(expected)
    if not numpy.array_equal(expected[~finite], got[~finite], equal_nan=True):
        return DISCRETE
    if not finite.any():
        return 0.0
    if not numpy.isfinite(got[finite]).all():
        return DISCRETE
    distance = float(numpy.abs(expected[finite] - got[finite]).max())
    scale = max(float(numpy.abs(expected[finite]).max()), scale)
    return distance / (tolerance * scale) if tolerance else (DISCRETE if distance else 0.0)
