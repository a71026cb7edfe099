"""Wrong implementations of numerical_gradient as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import numpy as np
def numerical_gradient(f, x, eps=1e-5):
    grad, base = np.zeros_like(x), f(x)
    for i in np.ndindex(x.shape):
        x[i] += eps
        grad[i] = (f(x) - base) / eps
    return grad
""",
        "forward difference.*not restored",
    ),
    (
        """
import numpy as np
def numerical_gradient(f, x, eps=1e-5):
    grad = np.zeros_like(x)
    for i in range(len(x)):
        up, down = x.copy(), x.copy()
        up[i] += eps
        down[i] -= eps
        grad[i] = (f(up) - f(down)) / (2 * eps)
    return grad
""",
        "first axis",
    ),
]
