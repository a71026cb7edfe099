"""Wrong implementations of single_head_attention as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import torch, torch.nn as nn
class SelfAttention_v2(nn.Module):
    def __init__(self, w_q, w_k, w_v):
        super().__init__()
        self.W_query, self.W_key, self.W_value = w_q, w_k, w_v
    def forward(self, x):
        keys = x @ self.W_key.T
        queries = x @ self.W_query.T
        values = x @ self.W_value.T
        attn_scores = queries @ keys.transpose(1, 2)
        attn_weights = torch.softmax(attn_scores / keys.shape[-1]**0.5, dim=-1)
        return attn_weights @ values
def single_head_attention(x, w_q, w_k, w_v):
    return SelfAttention_v2(w_q, w_k, w_v)(x)
""",
        "causal",
    ),
    (
        """
import torch
def single_head_attention(x, w_q, w_k, w_v):
    b, t, c = x.shape
    q, k, v = (x @ w.T for w in (w_q, w_k, w_v))
    s = q @ k.transpose(1, 2) / k.shape[-1] ** 0.5
    return (s * torch.tril(torch.ones(t, t))) @ v
""",
        "softmax is left out",
    ),
]
