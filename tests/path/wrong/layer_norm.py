"""Wrong implementations of layer_norm as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
def layer_norm(x, weight, bias, eps=1e-6):
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True)
    return weight * (x - mean) / (std + eps) + bias
""",
        "unbiased",
    ),
    (
        """
import torch
def layer_norm(x, weight, bias, eps=1e-5):
    mean, var = x.mean(dim=1, keepdim=True), x.var(dim=1, keepdim=True, unbiased=False)
    y = weight * (x - mean) / torch.sqrt(var + eps)
    return y if bias is None else y + bias
""",
        "axis 1",
    ),
    (
        """
import torch.nn.functional as F
def layer_norm(x, weight, bias, eps=1e-5):
    return F.rms_norm(x, x.shape[-1:], weight, eps) + (0 if bias is None else bias)
""",
        "RMSNorm",
    ),
    (
        """
import torch
def layer_norm(x, weight, bias, eps=1e-5):
    with torch.no_grad():
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    y = (x - mean) * torch.rsqrt(var + eps) * weight
    return y if bias is None else y + bias
""",
        "no_grad",
    ),
]
