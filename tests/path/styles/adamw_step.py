"""Right in unusual ways."""

from __future__ import annotations

import math

import torch


def adamw_step_as_the_paper_writes_it(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    beta1, beta2 = betas
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**step)
    v_hat = v / (1 - beta2**step)
    param[...] = param - lr * (m_hat / (v_hat.sqrt() + eps) + weight_decay * param)


def adamw_step_of_torch(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    weight = torch.nn.Parameter(param)  # the same memory
    weight.grad = grad
    optimizer = torch.optim.AdamW([weight], lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
    optimizer.state[weight] = {"step": torch.tensor(float(step - 1)), "exp_avg": m, "exp_avg_sq": v}
    optimizer.step()


def adamw_step_by_lerp(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    with torch.no_grad():
        param *= 1 - lr * weight_decay
        m.lerp_(grad, 1 - betas[0])
        v.lerp_(grad.square(), 1 - betas[1])
        bias1, bias2 = (1 - beta**step for beta in betas)
        param -= lr / bias1 * m / (v.sqrt() / math.sqrt(bias2) + eps)


def adamw_step_in_the_order_of_section_2(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    param.data.add_(param.data, alpha=-lr * weight_decay)
    m.data.mul_(betas[0]).add_(grad.data, alpha=1 - betas[0])
    v.data.mul_(betas[1]).addcmul_(grad.data, grad.data, value=1 - betas[1])
    rate = lr * (1 - betas[1] ** step) ** 0.5 / (1 - betas[0] ** step)
    param.data.addcdiv_(m, v.sqrt() + eps, value=-rate)


def adamw_step_in_float64(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    p, g, a, b = (one.double() for one in (param, grad, m, v))
    a = a + (g - a) * (1 - betas[0])
    b = b + (g * g - b) * (1 - betas[1])
    p = p - p * lr * weight_decay
    p = p - lr * (a / -math.expm1(step * math.log(betas[0]))) / (
        eps + (b / -math.expm1(step * math.log(betas[1]))) ** 0.5
    )
    for old, new in ((param, p), (m, a), (v, b)):
        old.copy_(new)


def adamw_step_number_by_number(param, grad, m, v, step, lr, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1):
    ps, gs, ms, vs = (one.reshape(-1).tolist() for one in (param, grad, m, v))
    for i, g in enumerate(gs):
        ps[i] *= 1 - lr * weight_decay
        ms[i] = betas[0] * ms[i] + (1 - betas[0]) * g
        vs[i] = betas[1] * vs[i] + (1 - betas[1]) * g * g
        ps[i] -= lr * (ms[i] / (1 - betas[0] ** step)) / (math.sqrt(vs[i] / (1 - betas[1] ** step)) + eps)
    for tensor, numbers in ((param, ps), (m, ms), (v, vs)):
        tensor.copy_(torch.tensor(numbers, dtype=torch.float64).reshape(tensor.shape))
