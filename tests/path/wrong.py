"""Wrong implementations as learners write them: (part, source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        "matrix_multiply",
        """
def matrix_multiply(a, b):
    if len(a[0]) != len(b):
        raise ValueError("shapes")
    c = [[0] * len(b[0])] * len(a)
    for i in range(len(a)):
        for j in range(len(b[0])):
            for k in range(len(b)):
                c[i][j] += a[i][k] * b[k][j]
    return c
""",
        "same list",
    ),
    (
        "matrix_multiply",
        """
def matrix_multiply(a, b):
    return [[sum(x * y for x, y in zip(row, column)) for column in zip(*b)] for row in a]
""",
        "not checked",
    ),
    (
        "broadcast_shapes",
        """
def broadcast_shapes(a, b):
    out = []
    for x, y in zip(reversed(a), reversed(b)):
        if x != y and 1 not in (x, y):
            raise ValueError("no")
        out.insert(0, max(x, y))
    return tuple(out)
""",
        "zip",
    ),
    (
        "numerical_gradient",
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
        "numerical_gradient",
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
    (
        "sgd_step",
        """
def sgd_step(params, grads, lr):
    for i, (p, g) in enumerate(zip(params, grads)):
        params[i] = p - lr * g
""",
        "not in place",
    ),
    (
        "backpropagate",
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
        "train_tiny_network",
        """
import numpy as np
def train_tiny_network(x, y, w1, b1, w2, b2, lr, steps):
    for _ in range(steps):
        h = np.tanh(x @ w1.T + b1)
        out = (h @ w2 + b2).reshape(-1, 1)
        d = (2 * (out - y)).mean(axis=1) / len(y)
        dh = d[:, None] * w2 * (1 - h**2)
        w1, b1, w2, b2 = w1 - lr * dh.T @ x, b1 - lr * dh.sum(0), w2 - lr * h.T @ d, b2 - lr * d.sum()
    return w1, b1, w2, b2
""",
        "broadcast",
    ),
    (
        "fit_line",
        """
def fit_line(x, y, lr, steps):
    w = b = 0.0
    for _ in range(steps):
        w -= lr * 2 * ((w * x + b - y) * x).mean()
        b -= lr * 2 * (w * x + b - y).mean()
    return w, b
""",
        "sequential",
    ),
    (
        "random_batch",
        """
import torch
def random_batch(ids, batch_size, context_length, generator):
    ix = torch.randint(len(ids) - context_length + 1, (batch_size,), generator=generator)
    x = torch.stack([ids[i : i + context_length] for i in ix])
    y = torch.stack([ids[i + 1 : i + context_length + 1] for i in ix])
    return x, y
""",
        "off by one.*beyond",
    ),
    (
        "random_batch",
        """
import random
import torch
def random_batch(ids, batch_size, context_length, generator):
    ix = [random.randrange(len(ids) - context_length) for _ in range(batch_size)]
    x = torch.stack([ids[i : i + context_length] for i in ix])
    return x, torch.stack([ids[i + 1 : i + context_length + 1] for i in ix])
""",
        "generator is ignored",
    ),
    (
        "next_token_windows",
        """
def next_token_windows(ids, context_length, stride):
    n = (len(ids) - 1) // context_length
    inputs = ids[: n * context_length].view(n, context_length)
    return inputs, ids[1 : n * context_length + 1].view(n, context_length)
""",
        "stride is ignored",
    ),
    (
        "next_token_windows",
        """
import torch
def next_token_windows(ids, context_length, stride):
    starts = range(0, len(ids) - context_length - 1, stride)
    inputs = torch.stack([ids[i : i + context_length] for i in starts])
    return inputs, torch.stack([ids[i + 1 : i + context_length + 1] for i in starts])
""",
        "off by one.*last window",
    ),
    (
        "token_embedding",
        """
import torch.nn.functional as F
def token_embedding(ids, weight):
    return F.embedding(ids, weight, padding_idx=0)
""",
        "padding",
    ),
    (
        "sinusoidal_positions",
        """
import torch
def sinusoidal_positions(context_length, d_model):
    if d_model % 2:
        raise ValueError("odd")
    angles = torch.arange(context_length)[:, None] / 10000 ** (torch.arange(d_model) / d_model)
    table = torch.empty(context_length, d_model)
    table[:, 0::2], table[:, 1::2] = angles[:, 0::2].sin(), angles[:, 1::2].cos()
    return table
""",
        "frequency of its own",
    ),
    (
        "embed",
        """
def embed(ids, token_weight, position_weight):
    return token_weight[ids] + position_weight[: ids.shape[1]]
""",
        "T > L is not checked",
    ),
    (
        "embed",
        """
import torch
def embed(ids, token_weight, position_weight):
    places = torch.arange(ids.shape[1]) % len(position_weight)
    return token_weight[ids] + position_weight[places]
""",
        "wrap",
    ),
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
]
