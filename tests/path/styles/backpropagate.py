"""Right in unusual ways."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

Ops = list[tuple]
Answer = tuple[float, list[float]]


def forward(ops: Ops, inputs: list[float]) -> list[float]:
    v = list(inputs)
    for op in ops:
        match op:
            case ("add", i, j):
                v.append(v[i] + v[j])
            case ("mul", i, j):
                v.append(v[i] * v[j])
            case (name, i):
                v.append(getattr(math, name)(v[i]))
    return v


def backpropagate_by_cases(ops: Ops, inputs: list[float]) -> Answer:
    v = forward(ops, inputs)
    g = [0] * (len(v) - 1) + [1]
    for k in range(len(v) - 1, len(inputs) - 1, -1):
        op, *args = ops[k - len(inputs)]
        if op == "add":
            g[args[0]] += g[k]
            g[args[1]] += g[k]
        elif op == "mul":
            i, j = args
            g[i] += g[k] * v[j]
            g[j] += g[k] * v[i]
        elif op == "tanh":
            g[args[0]] += g[k] / math.cosh(v[args[0]]) ** 2
        elif op == "exp":
            g[args[0]] += g[k] * v[k]
        else:
            g[args[0]] += g[k] / v[args[0]]
    return v[-1], g[: len(inputs)]


def backpropagate_with_dual_numbers(ops: Ops, inputs: list[float]) -> Answer:
    rows = [(x, [float(i == j) for j in range(len(inputs))]) for i, x in enumerate(inputs)]
    for op, *places in ops:
        a, da = rows[places[0]]
        b, db = rows[places[-1]]
        if op == "add":
            rows.append((a + b, [p + q for p, q in zip(da, db, strict=False)]))
        elif op == "mul":
            rows.append((a * b, [p * b + a * q for p, q in zip(da, db, strict=False)]))
        else:
            y = getattr(math, op)(a)
            slope = {"tanh": 1 - y * y, "exp": y, "log": 1 / a}[op]
            rows.append((y, [slope * p for p in da]))
    return rows[-1]


def backpropagate_with_a_tape(ops: Ops, inputs: list[float]) -> list[Any]:
    v, tape = list(inputs), []
    for op, i, *rest in ops:
        a = v[i]
        b = v[rest[0]] if rest else 0.0
        y, *slopes = {
            "add": lambda a, b: (a + b, 1, 1),
            "mul": lambda a, b: (a * b, b, a),
            "tanh": lambda a, b: (math.tanh(a), 1 - math.tanh(a) ** 2),
            "exp": lambda a, b: (math.exp(a), math.exp(a)),
            "log": lambda a, b: (math.log(a), a**-1),
        }[op](a, b)
        tape.append((len(v), list(zip((i, *rest), slopes, strict=False))))
        v.append(y)
    grads: dict[int, float] = defaultdict(float, {len(v) - 1: 1.0})
    while tape:
        at, edges = tape.pop()
        for place, slope in edges:
            grads[place] += slope * grads[at]
    return [v[-1], [grads[i] for i in range(len(inputs))]]


def backpropagate_in_topological_order(ops: Ops, inputs: list[float]) -> Answer:
    n, v = len(inputs), forward(ops, inputs)
    order, seen = [], set()

    def visit(at: int) -> None:
        if at in seen:
            return
        seen.add(at)
        for i in ops[at - n][1:] if at >= n else ():
            visit(i)
        order.append(at)

    visit(len(v) - 1)
    g = dict.fromkeys(range(len(v)), 0.0)
    g[len(v) - 1] = 1.0
    for at in filter(lambda at: at >= n, reversed(order)):
        name, *places = ops[at - n]
        for k, i in enumerate(places):
            others = [v[j] for m, j in enumerate(places) if m != k]
            slope = {"add": 1.0, "mul": math.prod(others), "tanh": 1 - v[at] ** 2, "exp": v[at], "log": 1 / (v[i] or 1)}
            g[i] += g[at] * slope[name]
    return v[-1], [g[i] for i in range(n)]


def backpropagate_of_torch(ops: Ops, inputs: list[float]) -> Answer:
    import torch

    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    v = list(leaves)
    for op, *places in ops:
        v.append(getattr(torch, op)(*(v[i] for i in places)))
    v[-1].backward()
    return v[-1].item(), [0.0 if leaf.grad is None else leaf.grad.item() for leaf in leaves]


def backpropagate_along_every_way(ops: Ops, inputs: list[float]) -> Answer:
    n, v = len(inputs), forward(ops, inputs)

    def by(at: int, wanted: int) -> float:
        if at < n:
            return float(at == wanted)
        match ops[at - n]:
            case ("add", i, j):
                return by(i, wanted) + by(j, wanted)
            case ("mul", i, j):
                return by(i, wanted) * v[j] + by(j, wanted) * v[i]
            case ("tanh", i):
                return by(i, wanted) * (1 - v[at] ** 2)
            case ("exp", i):
                return by(i, wanted) * v[at]
            case (_, i):
                return by(i, wanted) / v[i]

    return v[-1], [by(len(v) - 1, i) for i in range(n)]
