"""Wrong implementations of backpropagate as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import math
def backpropagate(ops, inputs):
    v = list(inputs)
    for op, i, *rest in ops:
        j = rest[0] if rest else i
        v.append({"add": lambda: v[i] + v[j], "mul": lambda: v[i] * v[j]}.get(op, lambda: getattr(math, op)(v[i]))())
    g = [0.0] * len(v)
    g[-1] = 1.0
    def back(at, grad):
        g[at] += grad
        if at < len(inputs):
            return
        op, i, *rest = ops[at - len(inputs)]
        if op == "add":
            back(i, g[at]), back(rest[0], g[at])
        elif op == "mul":
            back(i, g[at] * v[rest[0]]), back(rest[0], g[at] * v[i])
        else:
            back(i, g[at] * {"tanh": 1 - v[at] ** 2, "exp": v[at], "log": 1 / (v[i] or 1)}[op])
    g[-1] = 0.0
    back(len(v) - 1, 1.0)
    return v[-1], g[: len(inputs)]
""",
        "too often",
    ),
]
