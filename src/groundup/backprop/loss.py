"""The loss, and where every gradient begins: what the model said, minus what was right.

    loss = ln Σ_v exp(logits[v]) - logits[target]            dlogits = softmax(logits) - onehot(target)

Read the right side aloud: the scores of all tokens are pushed down, each by the probability that the model gave it, and
that of the true token is pushed up by 1. A sure and right model gets nearly no gradient.

Read next: `transformer.py`; beside this file, `training/loss.py`.
Source: Bishop 2006, section 4.3.4 (cross-entropy of a softmax).
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

from .attention import softmax

IGNORED = -100  # the target that stands for "not counted", as everywhere in the field


def cross_entropy(logits: ndarray, targets: ndarray) -> float:
    """The mean loss over all targets but the ignored ones, 0 if all are.

    logits: (N, V), targets: (N,).
    """
    largest = logits.max(axis=-1, keepdims=True)  # (N, 1)
    log_total = np.log(np.exp(logits - largest).sum(axis=-1)) + largest[:, 0]  # (N,)
    counted = targets != IGNORED  # (N,)
    of_target = logits[np.arange(len(logits)), np.where(counted, targets, 0)]  # (N,) any will do where not counted
    losses = np.where(counted, log_total - of_target, 0.0)  # (N,)
    return float(losses.sum() / max(counted.sum(), 1))


def cross_entropy_backward(logits: ndarray, targets: ndarray) -> ndarray:
    """The gradient of the mean loss by the logits.

    logits: (N, V), targets: (N,) -> (N, V).
    """
    # ln Σ exp(logits) has the slope exp(logits[v]) / Σ exp(logits), which is the softmax; -logits[target] has the slope
    # -1 at the target. A mean over n targets divides each by n; a target that is not counted moves nothing.
    counted = targets != IGNORED  # (N,)
    dlogits = softmax(logits)  # (N, V)
    dlogits[np.arange(len(logits)), np.where(counted, targets, 0)] -= 1.0
    dlogits *= (counted / max(int(counted.sum()), 1)).astype(logits.dtype)[:, None]
    return dlogits
