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
    (
        "cross_entropy",
        """
import torch.nn.functional as F
def cross_entropy(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits, targets, ignore_index=ignore_index)
""",
        "flatten",
    ),
    (
        "cross_entropy",
        """
import torch
def cross_entropy(logits, targets, ignore_index=-100):
    wide = logits if logits.dtype == torch.float64 else logits.float()
    keep = targets != ignore_index
    p = torch.exp(wide) / torch.exp(wide).sum(-1, keepdim=True)
    chosen = p.gather(-1, targets.masked_fill(~keep, 0).unsqueeze(-1)).squeeze(-1)
    return -(torch.log(chosen + 1e-12) * keep).sum() / keep.sum().clamp(min=1)
""",
        "eps.*overflow|overflow.*eps",
    ),
    (
        "cross_entropy",
        """
import torch
def cross_entropy(logits, targets, ignore_index=-100):
    logs = logits.float().log_softmax(-1).reshape(-1, logits.shape[-1])
    flat = targets.flatten()
    return -logs[torch.arange(len(flat)), flat].mean()
""",
        "not left out",
    ),
    (
        "learning_rate",
        """
import math
def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if step > total_steps:
        return min_lr
    ratio = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + 0.5 * (1.0 + math.cos(math.pi * ratio)) * (max_lr - min_lr)
""",
        "off by one",
    ),
    (
        "learning_rate",
        """
import math
def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    ratio = (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps)
    return max(min_lr, 0.5 * (1.0 + math.cos(math.pi * min(1.0, ratio))) * max_lr)
""",
        "min_lr only cuts",
    ),
    (
        "clip_gradients",
        """
def clip_gradients(grads, max_norm):
    for g in grads:
        norm = g.norm().item()
        if norm > max_norm:
            g.mul_(max_norm / norm)
    return norm
""",
        "own norm",
    ),
    (
        "clip_gradients",
        """
def clip_gradients(grads, max_norm):
    total = sum(g.double().pow(2).sum().item() for g in grads if g is not None) ** 0.5
    factor = min(1.0, max_norm / (total + 1e-6))
    for i, g in enumerate(grads):
        if g is not None:
            grads[i] = g * factor
    return total
""",
        "put into the list",
    ),
    (
        "decay_groups",
        """
def decay_groups(named):
    decay = [name for name, p in named if p.dim() >= 2]
    return decay, [name for name, p in named if p.dim() < 2]
""",
        "embeddings decay",
    ),
    (
        "decay_groups",
        """
def decay_groups(named):
    exempt = lambda name: "bias" in name or "ln" in name
    return [n for n, _ in named if not exempt(n)], [n for n, _ in named if exempt(n)]
""",
        "by the word",
    ),
    (
        "adamw_step",
        """
def adamw_step(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    grad.add_(param, alpha=weight_decay)
    m.mul_(betas[0]).add_(grad, alpha=1 - betas[0])
    v.mul_(betas[1]).addcmul_(grad, grad, value=1 - betas[1])
    param.sub_(lr * (m / (1 - betas[0] ** step)) / ((v / (1 - betas[1] ** step)).sqrt() + eps))
""",
        "L2",
    ),
    (
        "adamw_step",
        """
def adamw_step(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    m = betas[0] * m + (1 - betas[0]) * grad
    v = betas[1] * v + (1 - betas[1]) * grad**2
    param -= lr * weight_decay * param
    param -= lr * (m / (1 - betas[0] ** step)) / ((v / (1 - betas[1] ** step)).sqrt() + eps)
""",
        "not updated in place",
    ),
    (
        "adamw_step",
        """
def adamw_step(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    m.lerp_(grad, 1 - betas[0])
    v.lerp_(grad * grad, 1 - betas[1])
    param.mul_(1 - weight_decay)
    param.addcdiv_(m, v.sqrt() + eps, value=-lr)
""",
        "bias correction.*not multiplied by lr|not multiplied by lr.*bias correction",
        "apply_temperature",
        """
def apply_temperature(logits, temperature):
    assert temperature > 0
    return logits / temperature
""",
        "a temperature of 0 is a ValueError; it raises AssertionError",
        "beam_step",
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    best = log_probs.argmax(axis=1)
    totals = scores + log_probs[np.arange(len(scores)), best]
    order = np.argsort(-totals)[:beams]
    return order, best[order], totals[order]
""",
        "own best token",
    ),
    (
        "beam_step",
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    flat = (scores[:, None] + log_probs).reshape(-1)
    best = np.argsort(flat)[-beams:][::-1]
    tokens, parents = np.divmod(best, log_probs.shape[1])
    return parents, tokens, flat[best]
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
        "beam_step",
        """
import numpy as np
def beam_step(scores, log_probs, beams):
    flat = (scores + log_probs).reshape(-1)
    best = np.argsort(-flat)[:beams]
    return best // log_probs.shape[1], best % log_probs.shape[1], flat[best]
""",
        "wrong axis",
    ),
    (
        "beam_search",
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    texts = [(list(prompt), 0.0)]
    for _ in range(max_new_tokens):
        grown = []
        for ids, score in texts:
            if len(ids) > len(prompt) and ids[-1] == eos_id:
                grown.append((ids, score))
                continue
            for token, log_prob in enumerate(next_log_probs([ids])[0]):
                grown.append((ids + [token], score + float(log_prob)))
        texts = sorted(grown, key=lambda text: -text[1])[:beams]
    ranked = [(ids, score / max(len(ids) - len(prompt), 1) ** length_penalty) for ids, score in texts]
    return sorted(ranked, key=lambda text: -text[1])
""",
        "stay in the beam",
    ),
    (
        "beam_search",
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    live, done = [(list(prompt), 0.0)], []
    while live and len(done) < beams and len(live[0][0]) < len(prompt) + max_new_tokens:
        rows = next_log_probs([ids for ids, _ in live])
        grown = [(ids + [t], s + float(p)) for (ids, s), row in zip(live, rows) for t, p in enumerate(row)]
        grown = sorted(grown, key=lambda text: -text[1])[:beams]
        done += [text for text in grown if text[0][-1] == eos_id]
        live = [text for text in grown if text[0][-1] != eos_id]
    done = done or live
    ranked = [(ids, s / max(len(ids) - len(prompt), 1) ** length_penalty) for ids, s in done]
    return sorted(ranked, key=lambda text: -text[1])[:beams]
""",
        "as soon as .* finished",
    ),
    (
        "beam_search",
        """
def beam_search(next_log_probs, prompt, beams, max_new_tokens, eos_id=None, length_penalty=0.0):
    live, done = [(list(prompt), 0.0)], []
    for _ in range(max_new_tokens):
        rows = next_log_probs([ids for ids, _ in live])
        grown = [(ids + [t], s + float(p)) for (ids, s), row in zip(live, rows) for t, p in enumerate(row)]
        grown = sorted(grown, key=lambda text: -text[1])[:beams]
        done += [text for text in grown if text[0][-1] == eos_id]
        live = [text for text in grown if text[0][-1] != eos_id]
        if not live:
            break
    ranked = [(ids, s / len(ids) ** length_penalty) for ids, s in done + live]
    return sorted(ranked, key=lambda text: -text[1])[:beams]
""",
        "prompt included",
    ),
    (
        "cached_attention",
        """
import torch
import torch.nn.functional as F
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache["k"], cache["v"] = k, v
    n = q.shape[1] // k.shape[1]
    return F.scaled_dot_product_attention(q, k.repeat_interleave(n, 1), v.repeat_interleave(n, 1), is_causal=True)
""",
        "top left",
    ),
    (
        "cached_attention",
        """
import torch
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache = {"k": k, "v": v}
    t, s, n = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    scores = q @ k.repeat_interleave(n, 1).mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.ones(t, s, dtype=torch.bool).tril(s - t), float("-inf"))
    return scores.softmax(-1) @ v.repeat_interleave(n, 1)
""",
        "not updated",
    ),
    (
        "cached_attention",
        """
import torch
def cached_attention(q, k, v, cache):
    if "k" in cache:
        k, v = torch.cat([cache["k"], k], dim=2), torch.cat([cache["v"], v], dim=2)
    cache["k"], cache["v"] = k, v
    t, s, n = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    scores = q @ k.repeat(1, n, 1, 1).mT / q.shape[-1] ** 0.5
    scores = scores.masked_fill(~torch.ones(t, s, dtype=torch.bool).tril(s - t), float("-inf"))
    return scores.softmax(-1) @ v.repeat(1, n, 1, 1)
""",
        "repeat_interleave",
    ),
    (
        "convert_gpt2_weights",
        """
def convert_gpt2_weights(tensors, n_layers):
    t = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    out = {"wte": t["wte.weight"], "wpe": t["wpe.weight"]}
    for i in range(n_layers):
        h = f"h.{i}."
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].chunk(3, dim=1), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"].T
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and not t["lm_head.weight"].equal(out["wte"]):
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "not transposed",
    ),
    (
        "convert_gpt2_weights",
        """
def convert_gpt2_weights(tensors, n_layers):
    t = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    out = {"wte": t["wte.weight"], "wpe": t["wpe.weight"]}
    for i in range(n_layers):
        h = f"h.{i}."
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].T.chunk(3), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"]
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and not t["lm_head.weight"].equal(out["wte"]):
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "only c_attn is transposed",
    ),
    (
        "convert_gpt2_weights",
        """
def convert_gpt2_weights(tensors, n_layers):
    t = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    out = {"wte": t["wte.weight"], "wpe": t["wpe.weight"]}
    for i in range(n_layers):
        h = f"h.{i}."
        for x, w, b in zip("qkv", t[h + "attn.c_attn.weight"].T.chunk(3), t[h + "attn.c_attn.bias"].chunk(3)):
            out[f"{h}attn.w_{x}"], out[f"{h}attn.b_{x}"] = w, b
        for old, new in {"attn.c_proj": "attn.#_o", "mlp.c_fc": "mlp.#_up", "mlp.c_proj": "mlp.#_down"}.items():
            out[h + new.replace("#", "w")] = t[f"{h}{old}.weight"].T
            out[h + new.replace("#", "b")] = t[f"{h}{old}.bias"]
        for n in "12":
            out[f"{h}ln{n}.weight"], out[f"{h}ln{n}.bias"] = t[f"{h}ln_{n}.weight"], t[f"{h}ln_{n}.bias"]
    out["ln_f.weight"], out["ln_f.bias"] = t["ln_f.weight"], t["ln_f.bias"]
    if "lm_head.weight" in t and t["lm_head.weight"] is not out["wte"]:
        out["lm_head.weight"] = t["lm_head.weight"]
    return out
""",
        "always kept",
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
