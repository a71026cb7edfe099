"""The optimizer's step, fast: the same arithmetic on a few long vectors.

A small model has a hundred parameters, most of them short, and a step runs a dozen operations on each: more time goes
into calling than into computing. A large model has the opposite trouble: each operation walks through memory that the
one before has just walked through. Both go away when all parameters of one rule, their gradients and their moments lie
in flat buffers. AdamW treats every number by itself, so that one kernel, in one pass over memory, steps a whole buffer.
Muon takes several matrices of one shape as a stack, as many as the processor's cache holds.

    flat     |  wte  |    h.0.attn.w_q    |    h.0.mlp.w_up    | …     the model's parameters are views of it

Read next: `train_step.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from .optimizers import OptimizerState, Rule, adamw_step, muon_orthogonalize, muon_step, optimizer_step

# Numbers in a stack of matrices: four float32 buffers of it fit into the caches of two cores.
STACK = 262_144


@dataclass(frozen=True)
class Segment:
    """All parameters of one rule (and of one shape, for Muon), end to end in flat buffers."""

    rule: Rule
    params: list[Tensor]
    param: Tensor  # (N,)
    grad: Tensor  # (N,)
    grad_views: list[Tensor]  # of grad, one in the shape of each parameter
    moments: list[Tensor]  # (N,) each: m and v, or momentum

    def gather(self) -> None:
        """Move this step's gradients into the flat buffer; each .grad is then a view of it."""
        if any(param.grad is not view for param, view in zip(self.params, self.grad_views, strict=True)):
            torch.cat([param.grad.reshape(-1) for param in self.params if param.grad is not None], out=self.grad)
            for param, view in zip(self.params, self.grad_views, strict=True):
                param.grad = view

    def stacks(self) -> Iterator[tuple[Tensor, ...]]:
        """The matrices of Muon's parameters, this step's gradients and the momentum, a few at a time: (…, m, n)."""
        matrix = self.params[0]
        tensors = [tensor.view(-1, *matrix.shape) for tensor in (self.param, self.grad, *self.moments)]  # (…, m, n)
        on_cpu = self.param.device.type == "cpu"  # on a GPU it is the calls that cost
        n_matrices = max(1, STACK // matrix.numel()) if on_cpu else len(self.params)
        return zip(*(tensor.split(n_matrices) for tensor in tensors), strict=True)


class FlatOptimizer(OptimizerState):
    """An optimizer state whose tensors, and the model's parameters with them, are views of flat buffers."""

    def __init__(self, plain: OptimizerState) -> None:
        """Take an optimizer state over, tensor by tensor: a large model has no room for its moments twice."""
        self.params, self.rules, self.step = plain.params, plain.rules, plain.step
        self.betas, self.muon_momentum = plain.betas, plain.muon_momentum
        self.m, self.v, self.momentum = plain.m, plain.v, plain.momentum
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, param in self.params.items():
            rule = self.rules[name]
            shape = param.shape if rule.method == "muon" else None
            groups.setdefault((rule, shape, param.dtype, param.device), []).append(name)
        self.segments = [self._segment(names) for names in groups.values()]

    def _segment(self, names: list[str]) -> Segment:
        rule, params = self.rules[names[0]], [self.params[name] for name in names]
        flat = _end_to_end(params)  # (N,)
        for param, view in zip(params, _views(flat, params), strict=True):
            param.data = view
        moments: list[Tensor] = []
        for by_name in (self.momentum,) if rule.method == "muon" else (self.m, self.v):
            moments.append(_end_to_end([by_name[name] for name in names]))
            by_name.update(zip(names, _views(moments[-1], params), strict=True))
        grad = torch.zeros_like(flat)  # (N,)
        return Segment(rule, params, flat, grad, _views(grad, params), moments)

    def gradients(self) -> list[Tensor | None]:
        """The flat gradients of this step: clipping them clips what each .grad then shows."""
        if any(param.grad is None for param in self.params.values()):
            return super().gradients()
        for segment in self.segments:
            segment.gather()
        return [segment.grad for segment in self.segments]


def _end_to_end(tensors: list[Tensor]) -> Tensor:
    """The numbers of all tensors in one flat buffer."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _views(flat: Tensor, like: list[Tensor]) -> list[Tensor]:
    """The pieces of a flat buffer, one in the shape of each tensor."""
    pieces = flat.split([tensor.numel() for tensor in like])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, like, strict=True)]


@torch.no_grad()
def fused_optimizer_step(
    optimizer: FlatOptimizer, lr: float, *, adamw_step=adamw_step, muon_orthogonalize=muon_orthogonalize
) -> None:
    """`optimizer_step` on flat buffers. A step in which some parameter has no gradient takes the plain form."""
    if any(param.grad is None for param in optimizer.params.values()):
        optimizer_step(optimizer, lr, adamw_step=adamw_step, muon_orthogonalize=muon_orthogonalize)
        return
    optimizer.gradients()
    optimizer.step += 1
    for segment in optimizer.segments:
        rate, decay = lr * segment.rule.lr_scale, segment.rule.weight_decay
        if segment.rule.method == "adamw":
            adamw_in_one_pass(segment, optimizer.step, rate, optimizer.betas)
            continue
        for param, grad, buffer in segment.stacks():
            momentum = optimizer.muon_momentum
            muon_step(param, grad, buffer, rate, momentum, decay, muon_orthogonalize=muon_orthogonalize)


def adamw_in_one_pass(segment: Segment, step: int, lr: float, betas: tuple[float, float], eps: float = 1e-8) -> None:
    """`adamw_step` on a whole flat buffer, by torch's kernel, which reads and writes every number once."""
    m, v = segment.moments
    done = torch.tensor(float(step - 1), device=segment.param.device)  # the kernel counts this step itself
    adamw(
        [segment.param], [segment.grad], [m], [v], [], [done], fused=True, amsgrad=False, maximize=False,
        lr=lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=segment.rule.weight_decay,
    )  # fmt: skip
