"""Right in unusual ways."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Forward = Callable[[Tensor, dict[str, Tensor]], Tensor]
Batch = tuple[Tensor, Tensor]
Result = dict[str, float]


def _decays(name: str, param: Tensor) -> bool:
    return param.dim() >= 2 and name not in ("wte", "wpe")


def train_step_of_torch(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """torch's own optimizer lives in the state; gradients are cleared after the step, never before."""
    if "optimizer" not in state:
        groups = [
            {"params": [p for n, p in params.items() if _decays(n, p)], "weight_decay": 0.1},
            {"params": [p for n, p in params.items() if not _decays(n, p)], "weight_decay": 0.0},
        ]
        state["optimizer"] = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), eps=1e-8)
    optimizer = state["optimizer"]
    for group in optimizer.param_groups:
        group["lr"] = lr
    loss = F.cross_entropy(forward(batch[0], params).flatten(0, 1), batch[1].flatten())
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(list(params.values()), max_norm)
    optimizer.step()
    optimizer.zero_grad()
    return {"loss": loss.item(), "grad_norm": norm.item()}


def train_step_without_grad_fields(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """Gradients from autograd.grad, moments in float64, all written out."""
    inputs, targets = batch
    logs = torch.log_softmax(forward(inputs, params), -1)
    kept = targets != -100
    loss = -logs[kept].gather(-1, targets[kept].unsqueeze(-1)).mean()
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True)
    grads = [torch.zeros_like(p) if g is None else g for g, p in zip(found, params.values(), strict=True)]
    norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in grads))
    factor = min(1.0, max_norm / norm)
    t = state["t"] = state.get("t", 0) + 1
    for (name, param), grad in zip(params.items(), grads, strict=True):
        g = grad.double() * factor
        m = state[f"m.{name}"] = 0.9 * state.get(f"m.{name}", 0.0) + 0.1 * g
        v = state[f"v.{name}"] = 0.95 * state.get(f"v.{name}", 0.0) + 0.05 * g * g
        move = (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)) ** 0.5 + 1e-8)
        shrunk = param.detach().double() * (1 - lr * (0.1 if _decays(name, param) else 0.0))
        param.data.copy_(shrunk - lr * move)
    return {"grad_norm": norm, "loss": float(loss.detach())}


def train_step_clearing_with_zeros(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """Fields are filled with zeros instead of being emptied, and the state is a list for each name."""
    for param in params.values():
        if param.grad is not None:
            param.grad.zero_()
    logits = forward(batch[0], params)
    loss = F.cross_entropy(logits.transpose(1, 2), batch[1], ignore_index=-100)
    loss.backward()
    grads = [param.grad for param in params.values() if param.grad is not None]
    norm = torch.linalg.vector_norm(torch.cat([grad.flatten() for grad in grads])).item()
    state["step"] = state.get("step", 0) + 1
    with torch.no_grad():
        if norm > max_norm:
            torch._foreach_mul_(grads, max_norm / norm)
        for name, param in params.items():
            if param.grad is None:
                continue
            if name not in state:
                state[name] = [torch.zeros(param.shape), torch.zeros(param.shape)]
            m, v = state[name]
            m.lerp_(param.grad.to(m.dtype), 0.1)
            v.mul_(0.95).addcmul_(param.grad.to(v.dtype), param.grad.to(v.dtype), value=0.05)
            if _decays(name, param):
                param.mul_(1 - 0.1 * lr)
            scale = math.sqrt(1 - 0.95 ** state["step"])
            param.addcdiv_(m, v.sqrt() / scale + 1e-8, value=-lr / (1 - 0.9 ** state["step"]))
            param.grad.zero_()
    return {"loss": loss.detach().tolist(), "grad_norm": norm}


def train_step_on_copies(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """The model runs on copies; the caller's tensors are only written to."""
    copies = {name: param.detach().clone().requires_grad_() for name, param in params.items()}
    scores = forward(batch[0], copies)
    answers = batch[1].masked_fill(batch[1] < 0, 0)
    losses = scores.logsumexp(-1) - scores.gather(-1, answers[..., None])[..., 0]
    loss = (losses * (batch[1] >= 0)).sum() / (batch[1] >= 0).sum()
    loss.backward()
    grads = {name: copy.grad for name, copy in copies.items() if copy.grad is not None}
    norm = sum(grad.norm() ** 2 for grad in grads.values()) ** 0.5
    state.setdefault("steps", []).append(float(norm))
    n = len(state["steps"])
    for name, grad in grads.items():
        clipped = grad * (max_norm / norm).clamp(max=1.0)
        m, v = state.get(name, (torch.zeros_like(grad), torch.zeros_like(grad)))
        m, v = m + 0.1 * (clipped - m), v + 0.05 * (clipped.square() - v)
        state[name] = (m, v)
        new = copies[name].detach() * (1 - lr * 0.1) if _decays(name, grad) else copies[name].detach()
        new = new - lr * m / (1 - 0.9**n) / (v.div(1 - 0.95**n).sqrt() + 1e-8)
        with torch.no_grad():
            params[name][...] = new
    return {"loss": loss.item(), "grad_norm": float(norm)}


def train_step_that_replaces(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """New tensors under the old names of the caller's dict."""
    loss = F.cross_entropy(forward(batch[0], params).flatten(0, -2), batch[1].flatten())
    names = list(params)
    grads = dict(zip(names, torch.autograd.grad(loss, [params[n] for n in names], allow_unused=True), strict=True))
    norm = math.hypot(*(float(g.norm()) for g in grads.values() if g is not None))
    count, means = state.get("kept", (0, {}))
    new_means: dict[str, Any] = {}
    for name, grad in grads.items():
        if grad is None:
            continue
        g = grad / max(1.0, norm / max_norm)
        m, v = means.get(name, (0 * g, 0 * g))
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g**2
        new_means[name] = (m, v)
        old = params[name].detach() * (1 - 0.1 * lr * _decays(name, g))
        step = m / (1 - 0.9 ** (count + 1)) / (torch.sqrt(v / (1 - 0.95 ** (count + 1))) + 1e-8)
        params[name] = (old - lr * step).requires_grad_()
    state["kept"] = (count + 1, new_means)
    return {"loss": loss.item(), "grad_norm": norm}


def train_step_of_fused_groups(
    forward: Forward, params: dict[str, Tensor], batch: Batch, state: dict, *, lr: float, max_norm: float
) -> Result:
    """All parameters of a group as one long vector."""
    for param in params.values():
        param.grad = None
    loss = F.nll_loss(F.log_softmax(forward(batch[0], params), dim=-1).flatten(0, 1), batch[1].flatten())
    loss.backward()
    reached = {name: param for name, param in params.items() if param.grad is not None}
    norm = torch.nn.utils.get_total_norm([param.grad for param in reached.values()]).item()
    n = state["n"] = state.get("n", 0) + 1
    for decay in (0.1, 0.0):
        members = [param for name, param in reached.items() if _decays(name, param) == (decay > 0)]
        if not members:
            continue
        flat = torch.cat([param.detach().flatten() for param in members])
        grad = torch.cat([param.grad.flatten() for param in members]) * min(1.0, max_norm / norm)
        m, v = state.setdefault(decay, [torch.zeros_like(flat), torch.zeros_like(flat)])
        m.mul_(0.9).add_(grad, alpha=0.1)
        v.mul_(0.95).add_(grad.square(), alpha=0.05)
        flat = flat * (1 - lr * decay) - lr * (m / (1 - 0.9**n)) / ((v / (1 - 0.95**n)).sqrt() + 1e-8)
        for param, new in zip(members, flat.split([param.numel() for param in members]), strict=True):
            param.data = new.view_as(param).clone()
            param.grad = None
    return {"loss": loss.item(), "grad_norm": norm}


def train_step_in_float64_by_foreach(
    forward: Callable[..., Tensor],
    params: dict[str, Tensor],
    batch: Any,
    state: dict[str, Any],
    *,
    lr: float,
    max_norm: float,
) -> dict[str, float]:
    wide = {name: param.detach().double().requires_grad_() for name, param in params.items()}
    logs = forward(batch[0], {name: one.to(params[name].dtype) for name, one in wide.items()}).log_softmax(-1)
    kept = batch[1] != -100
    loss = -logs[kept].gather(1, batch[1][kept].unsqueeze(1)).sum() / kept.sum().clamp(min=1)
    grads = list(torch.autograd.grad(loss, list(wide.values()), materialize_grads=True))
    norm = math.sqrt(math.fsum(float(number) ** 2 for grad in grads for number in grad.flatten()))
    if norm > max_norm:
        torch._foreach_mul_(grads, max_norm / norm)
    state["t"] = t = state.get("t", 0) + 1
    ms, vs = (state.setdefault(key, [torch.zeros_like(grad) for grad in grads]) for key in "mv")
    torch._foreach_lerp_(ms, grads, 0.1)
    torch._foreach_mul_(vs, 0.95)
    torch._foreach_addcmul_(vs, grads, grads, 0.05)
    for (name, param), m, v in zip(params.items(), ms, vs, strict=True):
        shrink = 0.1 * lr if _decays(name, param) else 0.0
        move = (m / (1 - 0.9**t)) / ((v / (1 - 0.95**t)).sqrt() + 1e-8)
        param.data.copy_(param.detach().double() * (1 - shrink) - lr * move)
        param.grad = None
    return {"grad_norm": norm, "loss": loss.item()}
