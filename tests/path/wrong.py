"""Wrong implementations as learners write them: (part, source, what must be named)."""

from __future__ import annotations

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
    ),
]
