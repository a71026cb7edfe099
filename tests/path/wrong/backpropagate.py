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
    (
        """
import math
def backpropagate(ops, inputs):
    v = list(inputs)
    for op in ops:
        f = {"add": math.fsum, "mul": math.prod, "tanh": math.tanh, "exp": math.exp, "log": math.log}[op[0]]
        v.append(f([v[i] for i in op[1:]]) if len(op) == 3 else f(v[op[1]]))
    g = [0.0] * len(v)
    g[-1] = 1.0
    for k, op in reversed(list(enumerate(ops))):
        out = len(inputs) + k
        if op[0] == "add":
            g[op[1]] += g[out]; g[op[2]] += g[out]
        elif op[0] == "mul":
            g[op[1]] += g[out] * v[op[2]]; g[op[2]] += g[out] * v[op[1]]
        elif op[0] == "tanh": g[op[1]] += g[out] * (1 - v[out] ** 2)
        elif op[0] == "exp": g[op[1]] += g[out] * math.exp(v[out])
        elif op[0] == "log": g[op[1]] += g[out] / v[out]
    return v[-1], g[:len(inputs)]
""",
        "exp is taken of the result once more",
    ),
]
