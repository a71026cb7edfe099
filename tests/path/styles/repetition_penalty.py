"""Right in unusual ways."""

from __future__ import annotations

import torch
from torch import Tensor


def repetition_penalty_as_in_transformers(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    index = torch.tensor(ids, dtype=torch.long)
    score = torch.gather(logits, 0, index)
    score = torch.where(score < 0, score * penalty, score / penalty)
    return logits.scatter(0, index, score)


def repetition_penalty_in_a_loop(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    out = logits.clone()
    for token in set(ids):
        if out[token] > 0:
            out[token] /= penalty
        else:
            out[token] *= penalty
    return out


def repetition_penalty_by_python_numbers(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    scores = logits.tolist()
    done = []
    for token in ids:
        if token not in done:
            scores[token] = scores[token] / penalty if scores[token] >= 0 else scores[token] * penalty
            done.append(token)
    return torch.tensor(scores, dtype=logits.dtype)


def repetition_penalty_by_a_mask(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    seen = torch.zeros_like(logits, dtype=torch.bool)
    if ids:
        seen[ids] = True
    lowered = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, lowered, logits)


def repetition_penalty_by_a_factor(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    present = torch.bincount(torch.tensor(ids, dtype=torch.long), minlength=logits.numel()).clamp(max=1)
    return logits * penalty ** (-torch.sign(logits) * present.to(logits.dtype))


def repetition_penalty_of_both_signs(logits: Tensor, ids: list[int], penalty: float) -> Tensor:
    if not ids:
        return logits
    out = logits.double().clone()
    unique = torch.unique(torch.tensor(ids))
    out[unique] = out[unique].clamp(min=0) / penalty + out[unique].clamp(max=0) * penalty
    return out.to(logits.dtype)
