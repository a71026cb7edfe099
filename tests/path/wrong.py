"""Wrong implementations as learners write them: (part, source, what must be named)."""

from __future__ import annotations

BLOCK = """
import torch, math, torch.nn.functional as F
def drop(x, p, g):
    return x if p == 0 else x * (torch.rand(x.shape, generator=g) >= p) / (1 - p)
def norm(x, p, name):
    return F.layer_norm(x, x.shape[-1:], p[name + ".weight"], p.get(name + ".bias"))
def attn(x, p, h, d, g):
    lin = lambda y, o: F.linear(y, p["attn.w_" + o], p.get("attn.b_" + o))
    q, k, v = (lin(x, o).unflatten(-1, (h, -1)).transpose(1, 2) for o in "qkv")
    s = (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(torch.ones(x.shape[1], x.shape[1]).triu(1).bool(), -math.inf)
    return lin((drop(s.softmax(-1), d, g) @ v).transpose(1, 2).flatten(2), "o")
def mlp(x, p):
    hidden = F.gelu(F.linear(x, p["mlp.w_up"], p.get("mlp.b_up")), approximate="tanh")
    return F.linear(hidden, p["mlp.w_down"], p.get("mlp.b_down"))
def transformer_block(x, p, n_heads, *, dropout=0.0, generator=None):
"""

WRONG = [
    (
        "linear",
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
        "linear",
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
        "linear",
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
        "linear",
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
        "linear",
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
        "linear",
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
    (
        "softmax",
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
        "softmax",
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
        "softmax",
        """
import torch
def softmax(x, dim=-1):
    return torch.sigmoid(x)
""",
        "sigmoid",
    ),
    (
        "softmax",
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
        "softmax",
        """
import torch
def softmax(x, dim=-1):
    w = torch.softmax(torch.clamp(x, min=-1e30), dim)
    return w
""",
        "even|equal",
    ),
    (
        "causal_mask",
        """
import torch
def causal_mask(t, device=None):
    return torch.triu(torch.ones(t, t, device=device), diagonal=1).bool()
""",
        "inverted",
    ),
    (
        "causal_mask",
        """
import torch
CONTEXT = 16
MASK = torch.tril(torch.ones(CONTEXT, CONTEXT)).bool()
def causal_mask(t, device=None):
    return MASK
""",
        "size is fixed",
    ),
    (
        "causal_mask",
        """
def causal_mask(t, device=None):
    return [[j <= i for j in range(t)] for i in range(t)]
""",
        "list",
    ),
    (
        "causal_mask",
        """
import torch
def causal_mask(t, device=None):
    return torch.ones(t, t).tril() > 0
""",
        "device",
    ),
    (
        "attention_weights",
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
        "attention_weights",
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
        "attention_weights",
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
        "attention_weights",
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
        "attention_weights",
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
    (
        "scaled_dot_product_attention",
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
        "scaled_dot_product_attention",
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
        "scaled_dot_product_attention",
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
    (
        "split_heads",
        """
import torch
def split_heads(x, n_heads):
    return torch.stack([x[..., h::n_heads] for h in range(n_heads)], dim=1)
""",
        "in turn",
    ),
    (
        "split_heads",
        """
import torch
def split_heads(x, n_heads):
    b, t, c = x.shape
    return x.view(b, t, n_heads, c // n_heads).permute(0, 3, 1, 2)
""",
        "wrong axes",
    ),
    (
        "split_heads",
        """
import torch
def split_heads(x, n_heads):
    return torch.stack(x.chunk(n_heads, dim=-1)[::-1], dim=1)
""",
        "reverse",
    ),
    (
        "merge_heads",
        """
import torch
def merge_heads(x):
    b, h, t, d = x.shape
    return x.transpose(1, 2).view(b, t, h * d)
""",
        "contiguous",
    ),
    (
        "merge_heads",
        """
import torch
def merge_heads(x):
    return torch.cat([x[:, i] for i in reversed(range(x.shape[1]))], dim=-1)
""",
        "reverse",
    ),
    (
        "single_head_attention",
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
        "single_head_attention",
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
    (
        "dropout",
        """
import torch
def dropout(x, p, training=True, generator=None):
    if not training:
        return x * (1 - p)
    keep = torch.rand(x.shape, generator=generator) >= p
    return x * keep
""",
        "training",
    ),
    (
        "dropout",
        """
import torch
def dropout(x, p, training=True, generator=None):
    torch.manual_seed(123)
    if not training or p == 0:
        return x
    return torch.nn.functional.dropout(x, p)
""",
        "generator|same",
    ),
    (
        "layer_norm",
        """
def layer_norm(x, weight, bias, eps=1e-6):
    mean = x.mean(-1, keepdim=True)
    std = x.std(-1, keepdim=True)
    return weight * (x - mean) / (std + eps) + bias
""",
        "unbiased",
    ),
    (
        "layer_norm",
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
        "layer_norm",
        """
import torch.nn.functional as F
def layer_norm(x, weight, bias, eps=1e-5):
    return F.rms_norm(x, x.shape[-1:], weight, eps) + (0 if bias is None else bias)
""",
        "RMSNorm",
    ),
    (
        "layer_norm",
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
    (
        "gelu",
        """
import torch.nn.functional as F
def gelu(x):
    return F.gelu(x)
""",
        "erf",
    ),
    (
        "gelu",
        """
import torch, math
def gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * x + 0.044715 * x**3))
""",
        "bracket",
    ),
    (
        "feed_forward",
        """
import torch.nn.functional as F
def feed_forward(x, w_up, b_up, w_down, b_down):
    h = F.gelu(x @ w_down + b_up, approximate="tanh")
    return h @ w_up + b_down
""",
        "exchanged",
    ),
    (
        "feed_forward",
        """
import torch.nn.functional as F
def feed_forward(x, w_up, b_up, w_down, b_down):
    h = F.gelu(F.linear(x, w_up), approximate="tanh") + b_up
    return F.linear(h, w_down, b_down)
""",
        "after the GELU",
    ),
    (
        "transformer_block",
        BLOCK
        + """
    x = norm(x + drop(attn(x, p, n_heads, dropout, generator), dropout, generator), p, "ln1")
    return norm(x + drop(mlp(x, p), dropout, generator), p, "ln2")
""",
        "post-norm",
    ),
    (
        "transformer_block",
        BLOCK
        + """
    x = norm(x, p, "ln1")
    x = x + drop(attn(x, p, n_heads, dropout, generator), dropout, generator)
    x = norm(x, p, "ln2")
    return x + drop(mlp(x, p), dropout, generator)
""",
        "normalised x instead",
    ),
    (
        "transformer_block",
        BLOCK
        + """
    a = drop(attn(norm(x, p, "ln1"), p, n_heads, dropout, generator), dropout, generator)
    return x + a + drop(mlp(norm(x, p, "ln2"), p), dropout, generator)
""",
        "parallel",
    ),
    (
        "transformer_block",
        BLOCK
        + """
    x = x + attn(norm(x, p, "ln1"), p, n_heads, dropout, generator)
    return x + mlp(norm(x, p, "ln2"), p)
""",
        "no dropout on the outputs",
    ),
]
