"""Wrong implementations of attention_weights as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch
def attention_weights(q, k, mask=None):
    attn_scores = q @ k.transpose(-2, -1)
    if mask is not None:
        attn_scores = attn_scores.masked_fill(mask, -torch.inf)
    return torch.nan_to_num(torch.softmax(attn_scores / k.shape[-1] ** 0.5, dim=-1))
""",
        "inverted",
    ),
    (
        """
import torch
def attention_weights(q, k, mask=None):
    w = torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1)
    if mask is not None:
        w = w * mask
    return w
""",
        "after the softmax",
    ),
    (
        """
import torch
def attention_weights(q, k, mask=None):
    scores = (q @ k.transpose(-1, -2)) / (q.shape[-1] ** 0.5)
    if mask is not None:
        scores = scores + (1.0 - mask.float()) * -10000.0
    return torch.softmax(scores, dim=-1)
""",
        "finite",
    ),
    (
        """
import torch
def attention_weights(q, k, mask=None):
    scores = (q @ k.transpose(-1, -2)) / (q.shape[-1] ** 0.5)
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    return scores
""",
        "softmax is left out",
    ),
    (
        """
import torch
import torch.nn.functional as F
def attention_weights(q, k, mask=None):
    scores = (q @ k.transpose(-1, -2)) / (q.shape[-1] ** 0.5)
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    return F.dropout(torch.nan_to_num(torch.softmax(scores, dim=-1)), 0.1)
""",
        "random",
    ),
]
