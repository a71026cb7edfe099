"""Parts as a learner might write them, each the source of one file: the tests of the seam train with them."""

from __future__ import annotations

RIGHT = {
    "softmax": """
import torch
def softmax(x, dim=-1):
    '''Own.'''
    e = torch.exp(x - x.max(dim=dim, keepdim=True).values)
    return e / e.sum(dim=dim, keepdim=True)
""",
    "causal_mask": """
import torch
def causal_mask(t, device=None):
    i = torch.arange(t, device=device)
    return i[:, None] >= i[None, :]
""",
    "layer_norm": """
def layer_norm(x, weight, bias, eps=1e-5):
    y = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + eps) ** 0.5 * weight
    return y if bias is None else y + bias
""",
    "cross_entropy": """
import torch
def cross_entropy(logits, targets, ignore_index=-100):
    logits, targets = logits.reshape(-1, logits.shape[-1]).float(), targets.reshape(-1)
    return -torch.log_softmax(logits, -1)[torch.arange(len(targets)), targets].mean()
""",
    "adamw_step": """
import torch
@torch.no_grad()
def adamw_step(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    param -= lr * weight_decay * param
    m.copy_(betas[0] * m + (1 - betas[0]) * grad)
    v.copy_(betas[1] * v + (1 - betas[1]) * grad**2)
    param -= lr * (m / (1 - betas[0] ** step)) / ((v / (1 - betas[1] ** step)) ** 0.5 + eps)
""",
    "learning_rate": """
import math
def learning_rate(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    if step >= total_steps - 1:
        return min_lr if total_steps - 1 > warmup_steps else max_lr
    t = (step - warmup_steps) / (total_steps - 1 - warmup_steps)
    return min_lr + 0.5 * (1 + math.cos(math.pi * t)) * (max_lr - min_lr)
""",
    "transformer_block": """
from parts import feed_forward, layer_norm, multi_head_attention
def transformer_block(x, p, n_heads, *, dropout=0.0, generator=None):
    a = layer_norm(x, p["ln1.weight"], p["ln1.bias"])
    x = x + multi_head_attention(a, p["attn.w_q"], p["attn.w_k"], p["attn.w_v"], p["attn.w_o"], n_heads,
                                 p["attn.b_q"], p["attn.b_k"], p["attn.b_v"], p["attn.b_o"])
    a = layer_norm(x, p["ln2.weight"], p["ln2.bias"])
    return x + feed_forward(a, p["mlp.w_up"], p["mlp.b_up"], p["mlp.w_down"], p["mlp.b_down"])
""",
    "gpt_forward": """
from parts import embed, layer_norm, linear, transformer_block
def gpt_forward(ids, p, n_layers, n_heads, *, dropout=0.0, generator=None):
    x = embed(ids, p["wte"], p["wpe"])
    for i in range(n_layers):
        x = transformer_block(x, {k[len(f"h.{i}."):]: v for k, v in p.items() if k.startswith(f"h.{i}.")}, n_heads)
    x = layer_norm(x, p["ln_f.weight"], p["ln_f.bias"])
    return linear(x, p.get("lm_head.weight", p["wte"]))
""",
    "train_step": """
from parts import adamw_step, clip_gradients, cross_entropy, decay_groups
import torch
def train_step(forward, params, batch, state, *, lr, max_norm):
    inputs, targets = batch
    loss = cross_entropy(forward(inputs, params), targets)
    loss.backward()
    norm = clip_gradients([p.grad for p in params.values()], max_norm)
    decay, _ = decay_groups(list(params.items()))
    state["step"] = state.get("step", 0) + 1
    for name, p in params.items():
        m, v = state.setdefault(name, (torch.zeros_like(p), torch.zeros_like(p)))
        adamw_step(p, p.grad, m, v, state["step"], lr, weight_decay=0.1 if name in decay else 0.0)
        p.grad = None
    return {"loss": loss.item(), "grad_norm": norm}
""",
}  # fmt: skip
