"""Wrong implementations of scaled_dot_product_attention as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import math, torch
def scaled_dot_product_attention(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-2])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return torch.softmax(scores, -1).nan_to_num(0) @ v
""",
        "√D",
    ),
    (
        """
import math, torch
def scaled_dot_product_attention(queries, keys, values, mask=None):
    attn_scores = torch.matmul(queries, keys.transpose(-2, -1))
    if mask is not None:
        attn_scores.masked_fill_(mask == False, -torch.inf)
    attn_weights = torch.softmax(attn_scores / keys.shape[-1] ** 0.5, dim=-1)
    context = attn_weights @ keys
    return context
""",
        "keys are mixed",
    ),
    (
        """
import math, torch
@torch.no_grad()
def scaled_dot_product_attention(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    w = torch.softmax(scores, -1).nan_to_num(0)
    return w @ v
""",
        "gradient",
    ),
]
