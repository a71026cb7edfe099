"""The smallest input that shows a difference, written as a person would write it.

Read next: `raised.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .case import CORE, Call, Case, Kept, Seed, Stub
from .compare import Difference
from .deferred import torch_if_there
from .wire import Opaque
from .words import say

WIDEST = 160  # characters of one value


def shown_call(name: str, call: Call) -> str:
    """`softmax([[1, 2], [3, 4]], dim=-1)`."""
    words = [shown(value) for value in call.arguments]
    words += [f"{key}={shown(value)}" for key, value in call.keywords.items()]
    return f"{name}({', '.join(words)})"


def shown_difference(name: str, case: Case, difference: Difference, lang: str) -> str:
    """The call, what was expected and what came."""
    call = shown_call(name, case.calls[difference.call])
    if difference.call:
        call = say(lang, "nth-call", nth=ordinal(difference.call + 1, lang), call=call)
    expected, got = difference.expected, difference.got
    match difference.kind:
        case "shape" if hasattr(expected, "shape"):  # of a list or a table of arrays, the arrays themselves are shown
            pair = [str(tuple(value.shape)) for value in (expected, got)]
            return say(lang, "evidence-shape", call=call, expected=pair[0], got=pair[1])
        case "dtype" if hasattr(expected, "dtype"):
            pair = [str(value.dtype).removeprefix("torch.") for value in (expected, got)]
            return say(lang, "evidence-dtype", call=call, expected=pair[0], got=pair[1])
        case "raises":
            line = say(lang, "at-line", line=got["line"]) if got["line"] else ""
            error = f"{got['classes'][0]}: {got['message']}{line}"
            wanted = (
                expected["classes"][0] if isinstance(expected, Mapping) and "classes" in expected else shown(expected)
            )
            return say(lang, "evidence-raises", call=call, expected=wanted, got=error)
        case "silent":
            return say(lang, "evidence-silent", call=call, expected=expected["classes"][0], got=shown(got))
        case "changed":
            return say(
                lang, "evidence-changed", call=call, where=difference.where, expected=shown(expected), got=shown(got)
            )
        case "left":
            return say(lang, "evidence-left", call=call, expected=shown(expected), got=shown(got))
        case "gradient" if got is None:
            return say(lang, "evidence-no-gradient", call=call)
        case "gradient":
            return say(lang, "evidence-gradient", call=call, expected=shown(expected), got=shown(got))
        case _:
            return say(lang, "evidence", call=call, expected=shown(expected), got=shown(got))


def say_kind(lang: str, difference: Difference) -> str:
    """What kind of difference it is, in a sentence; nothing for numbers that are simply others."""
    kind, got = difference.kind, difference.got
    if kind == "type" and got is None:
        kind = "nothing"
    if kind == "gradient" and got is None:
        kind = "no-gradient"
    isnan = getattr(got, "isnan", None)
    if kind == "value" and isnan is not None and bool(isnan().any()):
        kind = "nan"
    if kind == "type" and _type(difference.expected) != _type(got):
        return say(lang, "kind-type", expected=_type(difference.expected), got=_type(got))
    return "" if kind in ("type", "value", "raises") else say(lang, f"kind-{kind}")


def _type(value: Any) -> str:
    return str(value) if isinstance(value, Opaque) else type(value).__name__


def pattern(differences: list[Difference]) -> tuple[str, dict[str, Any]]:
    """(what wrong tensors have in common, as a sentence's name; its values); ("", {}) for nothing."""
    torch = torch_if_there()
    pairs = [(one.expected, one.got) for one in differences]
    if torch is None or not all(isinstance(value, torch.Tensor) for pair in pairs for value in pair):
        return "", {}
    kinds = {one.kind for one in differences}
    if kinds == {"shape"} and len({got.shape for _, got in pairs}) == 1 < len({wanted.shape for wanted, _ in pairs}):
        return "same-shape", {"shape": tuple(pairs[0][1].shape)}
    if not kinds <= {"value", "shape"} or any(value.dtype == torch.bool for pair in pairs for value in pair):
        return "", {}
    flat = [(wanted.double().flatten(), got.double().flatten()) for wanted, got in pairs]
    if all(_close(wanted.sort()[0], got.sort()[0]) for wanted, got in flat):
        return "order", {}
    wanted, got = max(flat, key=lambda pair: float(pair[0].abs().amax()) if pair[0].numel() else 0.0)
    factor = float(got @ wanted / (wanted @ wanted)) if kinds == {"value"} and wanted.any() else 0.0
    if factor and all(_close(factor * wanted, got) for wanted, got in flat):
        return "factor", {"factor": f"{factor:.4g}"}
    return "", {}


def _close(one: Any, other: Any) -> bool:
    """Whether two lists of numbers are the same but for rounding."""
    return one.shape == other.shape and one.allclose(other, rtol=1e-5, atol=1e-6, equal_nan=True)


def shown(value: Any) -> str:
    """A value in at most WIDEST characters: numbers with four digits, a large array by its shape."""
    text = _text(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _text(value: Any) -> str:
    torch, numpy = torch_if_there(), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        if value.numel() > 24:
            return f"<{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}>"
        dtype = str(value.dtype).removeprefix("torch.")
        suffix = "" if dtype in ("float32", "int64", "bool") else f" ({dtype})"
        return f"{_text(value.detach().tolist())}{suffix}"
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _text(value.tolist()) if value.size <= 24 else f"<array {value.shape}>"
    match value:
        case Opaque():
            return str(value)
        case bool() | None | str():
            return repr(value)
        case float():
            return f"{value:.4g}"
        case list():
            return f"[{', '.join(_text(item) for item in value)}]"
        case tuple():
            return f"({', '.join(_text(item) for item in value)}{',' if len(value) == 1 else ''})"
        case Mapping():
            return "{" + ", ".join(f"{_text(key)}: {_text(item)}" for key, item in value.items()) + "}"
        case Seed(number):
            return f"torch.Generator().manual_seed({number})"
        case Stub(name):
            return f"<{name}>"
        case Kept(_name, first):
            return _text(first)
        case _:
            return str(value)


def n_numbers(value: Any) -> int:
    """How many numbers a value holds."""
    if hasattr(value, "shape"):
        n = 1
        for size in value.shape:
            n *= int(size)
        return n
    match value:
        case list() | tuple():
            return sum(n_numbers(item) for item in value)
        case Mapping():
            return sum(n_numbers(item) for item in value.values())
        case str():
            return len(value)
        case Kept(_name, first):
            return n_numbers(first)
        case _:
            return 1


def smallest(cases: list[Case], numbers: Iterable[int]) -> int:
    """The case that is easiest to follow: one that the book needs, with few numbers."""
    return min(
        numbers, key=lambda i: (cases[i].tier != CORE, sum(n_numbers(call.arguments) for call in cases[i].calls))
    )


def ordinal(n: int, lang: str) -> str:
    """1st, 2nd, 3rd, 4th; 第 1 次."""
    if lang == "zh":
        return f"第 {n} 次"
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
