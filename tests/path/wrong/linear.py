"""Wrong implementations of linear as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def linear(x, weight, bias=None):
    y = torch.einsum("...i,io->...o", x, weight)
    if bias is not None:
        y += bias
    return y
""",
        "transposed",
    ),
    (
        """
import torch
def linear(x, weight, bias=None):
    y = torch.matmul(x, weight.transpose(0, 1))
    if bias:
        y = y + bias
    return y
""",
        "None",
    ),
    (
        """
import torch
def linear(x, weight, bias=None):
    def _affine(a, w, b):
        return a @ w.t() + b if b is not None else a @ w.t()
    out = _affine(x, weight, bias)
    if bias is not None:
        out = out + bias
    return out
""",
        "twice",
    ),
    (
        """
import torch
def linear(x, weight, bias=None):
    y = torch.matmul(x, weight.T)
    x.mul_(0)
    return y if bias is None else y + bias
""",
        "in place",
    ),
    (
        """
import torch
from torch import nn
def linear(x, weight, bias=None):
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    return layer(x)
""",
        "random",
    ),
    (
        """
import torch
def linear(x, weight, bias=None):
    xs = x.reshape(-1, x.shape[-1]).tolist()
    ws = weight.tolist()
    bs = [0.0] * len(ws) if bias is None else bias.tolist()
    rows = [[sum(a * b for a, b in zip(row, w)) + c for w, c in zip(ws, bs)] for row in xs]
    return torch.tensor(rows, dtype=x.dtype).reshape(*x.shape[:-1], len(ws))
""",
        "gradient",
    ),
]
