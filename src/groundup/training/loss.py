"""The loss: how surprised the model is by what the text really says next.

A model gives a score for every token of the vocabulary; the softmax of the scores are probabilities, and the loss of
one prediction is minus the logarithm of the probability that the true next token got. A sure and right model loses
nearly 0, one that knows nothing of V tokens loses ln V, and one that is sure and wrong loses without limit.

    loss = -ln softmax(logits)[target] = ln Σ exp(logits) - logits[target]

The form on the right is the one to compute: it never builds the probabilities, and the logarithm of the sum can be
taken without any number growing too large.

Read next: `schedule.py`.
Source: Bishop 2006, section 4.3.4 (cross-entropy of a softmax).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from ..model.linear import linear
from ..model.transformer import soft_cap

IGNORED = -100  # the target that stands for "not counted", as everywhere in the field

Forward = Callable[[Tensor, Mapping[str, Tensor]], Tensor]  # (inputs (B, T), params) -> logits (B, T, V)
Batch = tuple[Tensor, Tensor]  # inputs and targets, both (B, T)


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = IGNORED) -> Tensor:
    """The mean loss over all targets but the ignored ones, 0 if all are.

    logits: (…, V), targets: (…) -> a scalar in float32, or in float64 for float64 logits.
    """
    # bfloat16 has three digits: not enough for a sum over a whole vocabulary.
    wide = logits if logits.dtype == torch.float64 else logits.float()  # (…, V)
    # exp() overflows above 88. Taking the largest score out of the sum changes nothing but the size of the numbers.
    largest = wide.detach().amax(dim=-1, keepdim=True)  # (…, 1)
    ignored = targets == ignore_index  # (…)
    # Scores of -inf alone leave nothing to add up, and the logarithm of nothing has no slope. Where nobody asks for the
    # answer any other number will do, or 0 · ∞ would make the gradient of all NaN.
    largest = largest.masked_fill(ignored.unsqueeze(-1) & largest.isneginf(), 0.0)  # (…, 1)
    total = (wide - largest).exp().sum(dim=-1).masked_fill(ignored, 1.0)  # (…)
    log_total = total.log() + largest.squeeze(-1)  # (…)

    target = targets.masked_fill(ignored, 0).unsqueeze(-1)  # (…, 1) any row will do for those: it is not counted
    losses = log_total - wide.gather(-1, target).squeeze(-1)  # (…)
    n_counted = (~ignored).sum().clamp(min=1)  # ()
    return losses.masked_fill(ignored, 0.0).sum() / n_counted


def head_loss(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    logit_soft_cap: float | None = None,
    *,
    linear=linear,
    cross_entropy=cross_entropy,
) -> Tensor:
    """A joint: from the final states to the loss, through the output layer.

    hidden: (B, T, C), weight: (V, C), targets: (B, T) -> a scalar, the mean loss.
    """
    logits = soft_cap(linear(hidden, weight), logit_soft_cap)  # (B, T, V)
    return cross_entropy(logits, targets)


@torch.no_grad()
def evaluate_loss(
    forward: Forward, params: Mapping[str, Tensor], batches: Iterable[Batch], *, cross_entropy=cross_entropy
) -> float:
    """The mean loss over all targets of all batches, in nats; 0 if none counts. Nothing is learnt and nothing changes.

    forward(inputs (B, T), params) -> logits (B, T, V).
    """
    total, n_counted = 0.0, 0
    for inputs, targets in batches:
        # Batches may hold different numbers of targets: weigh each mean by its number, so that every token counts once.
        n = int((targets != IGNORED).sum())
        total += cross_entropy(forward(inputs, params), targets).item() * n
        n_counted += n
    return total / max(n_counted, 1)
