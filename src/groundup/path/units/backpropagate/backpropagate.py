"""Reverse mode on a list of operations, right or with one of the known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Ops = list[tuple[Any, ...]]
LARGEST = 4.0  # of the numbers in drawn cases


@reference
def backpropagate(
    ops: list[tuple[Any, ...]], inputs: list[float], *, wrong: Wrong = RIGHT
) -> tuple[float, list[float]]:
    """The result of a list of operations, and its gradient by each input: (value, gradients).

    An operation is ("add", i, j), ("mul", i, j), ("tanh", i), ("exp", i) or ("log", i): what to do, and with which
    results. The inputs are results 0, 1, …, and each operation appends one; the last of all is the value. A result that
    is used twice adds up its gradients.
    """
    results = list(inputs)
    for op, *places in ops:
        results.append(_result(op, *(results[i] for i in places)))
    gradients = [0.0] * len(results)
    gradients[-1] = 1.0
    if "backpropagate-seed-value" in wrong:
        gradients[-1] = results[-1]
    if "backpropagate-seed-missing" in wrong:
        gradients[-1] = 0.0
    _back(ops, results, gradients, wrong)
    return _form(results, gradients, len(inputs), ops, wrong)


def _back(ops: Ops, results: list[float], gradients: list[float], wrong: Wrong) -> None:
    """Hand each result's gradient on to what it was made of."""
    first = len(results) - len(ops)
    order = range(len(ops)) if "backpropagate-forwards" in wrong else reversed(range(len(ops)))
    if "backpropagate-sent-again" in wrong:
        return _send(ops, results, gradients, len(results) - 1, first)
    if "backpropagate-last-left-out" in wrong:
        order = reversed(range(1, len(ops)))
    for k in order:
        op, *places = ops[k]
        dy = gradients[first + k]
        if "backpropagate-not-chained" in wrong or (
            "backpropagate-functions-not-chained" in wrong and len(places) == 1
        ):
            dy = 1.0
        slopes = _slopes(op, results[first + k], [results[i] for i in places], wrong)
        for i, slope in zip(places, slopes, strict=True):
            if "backpropagate-overwritten" in wrong:
                gradients[i] = dy * slope
            elif "backpropagate-first-kept" in wrong:
                gradients[i] = gradients[i] or dy * slope
            elif "backpropagate-slopes-added" in wrong:
                gradients[i] += dy + slope
            else:
                gradients[i] += dy * slope
            if "backpropagate-same-twice" in wrong and len(set(places)) < len(places):
                break
    return None


def _send(ops: Ops, results: list[float], gradients: list[float], at: int, first: int) -> None:
    """Recursively, handing on all that has come so far at each visit."""
    if at < first:
        return
    op, *places = ops[at - first]
    for i, slope in zip(places, _slopes(op, results[at], [results[i] for i in places], RIGHT), strict=True):
        gradients[i] += gradients[at] * slope
        _send(ops, results, gradients, i, first)


def _result(op: str, a: float, b: float = 0.0) -> float:
    match op:
        case "add":
            return a + b
        case "mul":
            return a * b
        case _:
            return {"tanh": math.tanh, "exp": math.exp, "log": math.log}[op](a)


def _slopes(op: str, y: float, given: list[float], wrong: Wrong) -> list[float]:
    """How far y moves with each of the numbers that it was made of."""
    a = given[0]
    match op:
        case "add":
            return given if "backpropagate-add-gets-values" in wrong else [1.0, 1.0]
        case "mul" if "backpropagate-mul-own-factor" in wrong:
            return given
        case "mul" if "backpropagate-mul-as-add" in wrong:
            return [1.0, 1.0]
        case "mul":
            return given[::-1]
        case "tanh":
            return [_tanh_slope(a, y, wrong)]
        case "exp":
            return [_exp_slope(a, y, wrong)]
        case _:
            return [_log_slope(a, y, wrong)]


def _tanh_slope(a: float, y: float, wrong: Wrong) -> float:
    if "backpropagate-tanh-of-the-input" in wrong:
        return 1.0 - a * a
    if "backpropagate-tanh-not-squared" in wrong:
        return 1.0 - y
    if "backpropagate-tanh-of-sigmoid" in wrong:
        return y * (1.0 - y)
    return 1.0 if "backpropagate-tanh-straight" in wrong else 1.0 - y * y


def _exp_slope(a: float, y: float, wrong: Wrong) -> float:
    if "backpropagate-exp-as-power" in wrong:
        return a * math.exp(a - 1.0)
    if "backpropagate-exp-gets-input" in wrong:
        return a
    if "backpropagate-exp-of-the-result" in wrong:
        return math.exp(y)
    return 1.0 if "backpropagate-exp-straight" in wrong else y


def _log_slope(a: float, y: float, wrong: Wrong) -> float:
    if "backpropagate-log-of-the-result" in wrong:
        return 1.0 / (y or 1e-9)
    if "backpropagate-log-negated" in wrong:
        return -1.0 / a
    return 1.0 if "backpropagate-log-straight" in wrong else 1.0 / a


def _form(results: list[float], gradients: list[float], n: int, ops: Ops, wrong: Wrong) -> Any:
    """The value and a gradient for each input."""
    if "backpropagate-all-gradients" in wrong:
        return results[-1], gradients
    if "backpropagate-unused-left-out" in wrong:
        used = {i for _, *places in ops for i in places}
        return results[-1], [gradients[i] for i in range(n) if i in used]
    if "backpropagate-reversed" in wrong:
        return results[-1], gradients[:n][::-1]
    if "backpropagate-gradients-alone" in wrong:
        return gradients[:n]
    if "backpropagate-all-results" in wrong:
        return results, gradients[:n]
    if "backpropagate-exchanged" in wrong:
        return gradients[:n], results[-1]
    if "backpropagate-negated" in wrong:
        return results[-1], [-gradient for gradient in gradients[:n]]
    return results[-1], gradients[:n]


def cases(draw: Draw) -> Iterator[Case]:
    """Each operation by itself, then chains, results that are used several times, and whole nets."""
    yield case("the slope of add", [("add", 0, 1)], [2.0, 3.0])
    yield case("the slope of mul: the other factor", [("mul", 0, 1)], [2.0, 3.0])
    for x in (0.5, -1.5):
        yield case("the slope of tanh: 1 - tanh²", [("tanh", 0)], [x])
        yield case("the slope of exp: exp itself", [("exp", 0)], [x])
    for x in (4.0, 0.5):
        yield case("the slope of log: 1 / x", [("log", 0)], [x])
    chain = "the chain rule: slopes along a way are multiplied"
    yield case(chain, [("mul", 0, 1), ("add", 3, 2)], [2.0, -3.0, 10.0])
    yield case(chain, [("mul", 0, 1), ("tanh", 2)], [0.5, 0.8])
    yield case(chain, [("exp", 0), ("mul", 1, 1), ("log", 2)], [0.7])
    yield case(chain, [("add", 0, 1), ("mul", 2, 2), ("tanh", 3)], [0.3, 0.4])
    twice = "a result that is used twice adds up its gradients"
    yield case(twice, [("mul", 0, 0)], [3.0])
    yield case(twice, [("add", 0, 0)], [3.0])
    yield case(twice, [("mul", 0, 1), ("add", 2, 0)], [2.0, 3.0])
    yield case(twice, [("exp", 0), ("tanh", 0), ("mul", 1, 2)], [0.4])
    yield case(twice, [("mul", 0, 1), ("mul", 2, 2), ("add", 3, 2), ("mul", 4, 3)], [0.5, 1.5])
    yield case(twice, [("add", 0, 1), ("exp", 2), ("mul", 2, 3), ("add", 4, 3), ("mul", 5, 2)], [0.2, 0.3])
    yield case("an input that is not used has the gradient 0", [("mul", 0, 2)], [2.0, 5.0, 3.0])
    yield case("an input that is not used has the gradient 0", [("tanh", 1), ("add", 3, 1)], [9.0, 0.5, 7.0])
    yield case(
        "the last result is the value; what does not lead there counts nothing", [("exp", 0), ("tanh", 0)], [0.5]
    )
    for n, k in ((2, 4), (3, 6), (1, 5), (4, 8), (2, 10), (3, 12), (5, 12), (2, 14), (3, 9), (1, 8), (4, 14), (2, 7)):
        yield case("nets of all operations", *_net(draw, n, k))
    yield edge("long chains", [("tanh", 0), *(("tanh", i) for i in range(1, 40))], [0.8])
    yield edge("long chains", [("add", i, i) for i in range(12)], [0.1])


def _net(draw: Draw, n: int, k: int) -> tuple[Ops, list[float]]:
    """So many inputs and operations, among which no number gets large; most use what has come last."""
    inputs = [draw.choice((-1.0, 1.0)) * draw.uniform(0.3, 1.5) for _ in range(n)]
    ops, results = list[tuple[Any, ...]](), list(inputs)
    while len(ops) < k:
        late = range(max(0, len(results) - 4), len(results))
        i, j = draw.choice(late), draw.randrange(len(results))
        op = draw.choice(("add", "mul", "mul", "tanh", "exp", "log"))
        if op == "log" and results[i] < 0.2:
            continue
        if op == "exp" and results[i] > 1.3:
            continue
        places = (i, j) if op in ("add", "mul") else (i,)
        result = _result(op, *(results[place] for place in places))
        if 0.05 < abs(result) < LARGEST:
            ops.append((op, *places))
            results.append(result)
    return ops, inputs
