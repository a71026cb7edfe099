"""Wrong implementations of adamw_step as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
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
