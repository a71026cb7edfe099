"""Optimizers: from a gradient to a step.

Plain gradient descent takes the same rate for every weight and forgets what it saw. AdamW keeps two running means for
each weight, of its gradient (m) and of the gradient's square (v), and steps by m / √v: about as far for a weight with
small gradients as for one with large ones. "W" is the weight decay done right: weights shrink a little by themselves,
apart from the gradient.

Muon treats a matrix as a matrix. Its step is the momentum with all singular values brought near 1, so that directions
that matter little to the gradient's length, and much to the model, move as far as the others. It is for the matrices
inside the blocks; embeddings, the output layer, norms and biases stay with AdamW.

Read next: `flat_optimizer.py`, the same, fast.
Sources: Kingma and Ba 2015 (Adam), algorithm 1, in the order of computation that the end of section 2 proposes;
Loshchilov and Hutter 2019 (AdamW), algorithm 2; Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural
networks".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import CheckpointError

Method = Literal["adamw", "muon"]
Named = Sequence[tuple[str, Tensor]]


def decay_groups(named: Named) -> tuple[list[str], list[str]]:
    """The names of the parameters that weight decay shrinks, and the names of the others.

    Decay keeps matrices from growing without need. A norm's scale belongs near 1, a bias has little to overfit with,
    and the row of a rare token would only ever shrink.
    """
    decay = [name for name, parameter in named if parameter.dim() >= 2 and not _is_exempt(name)]
    no_decay = [name for name, parameter in named if parameter.dim() < 2 or _is_exempt(name)]
    return decay, no_decay


def _is_exempt(name: str) -> bool:
    """Whether a name is that of an embedding, a bias or a norm, whatever its number of axes."""
    words = name.split(".")
    is_embedding = "wte" in words or "wpe" in words
    is_bias = words[-1] == "bias" or words[-1].startswith("b_")
    is_norm = any(word.startswith("ln") or word.endswith("norm") for word in words)
    return is_embedding or is_bias or is_norm


@torch.no_grad()
def adamw_step(
    param: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    weight_decay: float = 0.1,
) -> None:
    """One step of AdamW, in place on param, m and v; all four tensors have the same shape, step counts from 1."""
    beta1, beta2 = betas
    param.mul_(1 - lr * weight_decay)

    m.mul_(beta1).add_(grad, alpha=1 - beta1)
    v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    # m and v start at 0 and are too small at first: after t steps they hold 1 - beta^t of a full mean. Both corrections
    # are numbers, so they go into the length of the step, and no pass over the tensors is spent on them.
    m_part, v_part = 1 - beta1**step, math.sqrt(1 - beta2**step)
    deviation = v.sqrt().add_(eps * v_part)
    param.addcdiv_(m, deviation, value=-lr * v_part / m_part)


def muon_orthogonalize(g: Tensor, steps: int = 5) -> Tensor:
    """Bring all singular values of a matrix near 1 (0.7 to 1.2 for all but the smallest) and keep its directions.

    g: (m, n), or a stack (…, m, n) of matrices; returns its shape and dtype. An odd polynomial of a matrix is that
    polynomial of its singular values; this one, applied again and again, lifts small ones quickly and settles for
    roughly 1. Products of matrices are all that it needs.
    Source: Jordan et al. 2024, "Newton-Schulz iteration", with its coefficients.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    is_tall = g.shape[-2] > g.shape[-1]
    x = g.mT if is_tall else g  # (…, m, n) with m ≤ n: the products below are (m, m), so m should be the short side
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)  # no singular value is above the Frobenius norm
    for _ in range(steps):
        gram = x @ x.mT  # (…, m, m)
        polynomial = (b * gram).add_(gram @ gram, alpha=c)  # (…, m, m)
        x = (polynomial @ x).add_(x, alpha=a)  # (…, m, n) a·x + (b·gram + c·gram²)·x
    return x.mT if is_tall else x


@torch.no_grad()
def muon_step(
    param: Tensor,
    grad: Tensor,
    momentum_buffer: Tensor,
    lr: float,
    momentum: float = 0.95,
    weight_decay: float = 0.0,
    *,
    muon_orthogonalize=muon_orthogonalize,
) -> None:
    """One step of Muon with Nesterov momentum, in place on param and momentum_buffer.

    All three tensors are matrices (m, n), or stacks of them (…, m, n).
    Sources: Jordan et al. 2024 (a running mean in place of the sum changes only the length, which is normalised away);
    Liu et al. 2025, "Muon is scalable for LLM training", section 2.2 (weight decay, and the length of a step).
    """
    momentum_buffer.lerp_(grad, 1 - momentum)
    ahead = grad.lerp(momentum_buffer, momentum)  # Nesterov: where the momentum will be after this gradient
    update = muon_orthogonalize(ahead)
    # The orthogonalized matrix has entries of about 1/√max(m, n). This length makes them about as large as AdamW's, so
    # that rates and weight decay mean the same for both, and for matrices of every shape.
    length = 0.2 * max(param.shape[-2:]) ** 0.5
    param.mul_(1 - lr * weight_decay)
    param.add_(update, alpha=-lr * length)


@dataclass(frozen=True)
class Rule:
    """How one parameter is trained."""

    method: Method
    weight_decay: float
    lr_scale: float = 1.0  # times the step's learning rate


class OptimizerState:
    """The parameters by name, the rule of each, and what an optimizer remembers of them from step to step."""

    def __init__(
        self,
        params: Mapping[str, Tensor],
        rules: Mapping[str, Rule],
        *,
        betas: tuple[float, float] = (0.9, 0.95),
        muon_momentum: float = 0.95,
    ) -> None:
        self.params, self.rules = dict(params), dict(rules)
        self.betas, self.muon_momentum = betas, muon_momentum
        self.step = 0  # steps taken
        adamw = [name for name in self.params if self.rules[name].method == "adamw"]
        muon = [name for name in self.params if self.rules[name].method == "muon"]
        self.m = {name: torch.zeros_like(self.params[name].detach()) for name in adamw}
        self.v = {name: torch.zeros_like(self.params[name].detach()) for name in adamw}
        self.momentum = {name: torch.zeros_like(self.params[name].detach()) for name in muon}

    def gradients(self) -> list[Tensor | None]:
        """The gradients of this step, to be clipped in place."""
        return [param.grad for param in self.params.values()]

    def tensors(self) -> dict[str, Tensor]:
        """All moments by name, `m.wte`, `v.wte`, `momentum.h.0.attn.w_q`: with `step`, all that a resume needs."""
        kinds = {"m": self.m, "v": self.v, "momentum": self.momentum}
        return {f"{kind}.{name}": tensor for kind, moments in kinds.items() for name, tensor in moments.items()}

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take over saved moments. Raises CheckpointError unless names, shapes and dtypes are exactly these."""
        own = self.tensors()
        problems = [f"{name} is missing" for name in own if name not in tensors]
        problems += [f"{name} is unknown" for name in tensors if name not in own]
        for name in own.keys() & tensors.keys():
            found, wanted = (f"{tuple(t.shape)} {t.dtype}" for t in (tensors[name], own[name]))
            problems += [f"{name} is {found}, not {wanted}"] if found != wanted else []
        if problems:
            raise CheckpointError(
                f"the optimizer state does not fit the model: {min(problems)} ({len(problems)} such in all)",
                fix="resume with the config that the run was started with",
                code="CKPT_FIT",
            )
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
        self.step = step


def make_optimizer(
    named: Iterable[tuple[str, Tensor]],
    optimizer: Method = "adamw",
    *,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    muon_momentum: float = 0.95,
    muon_lr_scale: float = 1.0,
    decay_groups=decay_groups,
) -> OptimizerState:
    """An optimizer for a model's named parameters, before its first step.

    With "muon", the matrices inside the blocks (`h.*`) are trained by Muon, at muon_lr_scale times the learning rate,
    and all others by AdamW.
    """
    params = dict(named)
    decay = set(decay_groups(list(params.items()))[0])
    rules: dict[str, Rule] = {}
    for name, param in params.items():
        is_muon = optimizer == "muon" and name.startswith("h.") and param.dim() == 2
        decays = weight_decay if name in decay else 0.0
        rules[name] = Rule("muon", decays, muon_lr_scale) if is_muon else Rule("adamw", decays)
    return OptimizerState(params, rules, betas=betas, muon_momentum=muon_momentum)


def optimizer_step(
    optimizer: OptimizerState, lr: float, *, adamw_step=adamw_step, muon_orthogonalize=muon_orthogonalize
) -> None:
    """A joint: one step of every parameter along its .grad. A parameter without a gradient stays as it is."""
    optimizer.step += 1
    for name, param in optimizer.params.items():
        if param.grad is None:
            continue
        rule = optimizer.rules[name]
        rate, decay = lr * rule.lr_scale, rule.weight_decay
        if rule.method == "muon":
            tensors = (param, param.grad, optimizer.momentum[name])
            muon_step(*tensors, rate, optimizer.muon_momentum, decay, muon_orthogonalize=muon_orthogonalize)
        else:
            tensors = (param, param.grad, optimizer.m[name], optimizer.v[name])
            adamw_step(*tensors, optimizer.step, rate, optimizer.betas, weight_decay=decay)
