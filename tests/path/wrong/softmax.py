"""Wrong implementations of softmax as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def softmax_naive(x, dim):
    return torch.exp(x) / torch.exp(x).sum(dim=dim, keepdim=True)
def softmax(x, dim=-1):
    return softmax_naive(x, dim)
""",
        "overflow",
    ),
    (
        """
import torch
def softmax(x, dim=-1):
    m, _ = torch.max(x, dim=dim, keepdim=True)
    m = torch.where(torch.isinf(m), torch.zeros_like(m), m)
    numer = (x - m).exp()
    denom = numer.sum(dim)
    return numer / denom
""",
        "keepdim",
    ),
    (
        """
import torch
def softmax(x, dim=-1):
    return torch.sigmoid(x)
""",
        "sigmoid",
    ),
    (
        """
import torch
def softmax(x, dim=-1):
    x = x.to(torch.float32)
    m = x.amax(dim=dim, keepdim=True)
    m = m.masked_fill(m == float("-inf"), 0.)
    e = (x - m).exp()
    return (e / e.sum(dim=dim, keepdim=True).masked_fill(m.isinf(), 1)).nan_to_num(0.)
""",
        "float32",
    ),
    (
        """
import torch
def softmax(x, dim=-1):
    w = torch.softmax(torch.clamp(x, min=-1e30), dim)
    return w
""",
        "even|equal",
    ),
]
