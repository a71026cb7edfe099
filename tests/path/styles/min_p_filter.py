"""Right in unusual ways."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def min_p_filter_in_logits(logits: Tensor, p: float) -> Tensor:
    edge = logits.max(dim=-1, keepdim=True).values + math.log(p)
    return torch.where(logits < edge, -math.inf, logits)


def min_p_filter_by_shares(logits: Tensor, p: float) -> Tensor:
    shares = (logits - logits.amax(-1, keepdim=True)).exp()
    return logits.masked_fill(~(shares >= p), float("-inf"))


def min_p_filter_in_plain_python(logits: Tensor, p: float) -> Tensor:
    rows = []
    for row in logits.reshape(-1, logits.shape[-1]).tolist():
        weights = [math.exp(score) for score in row]
        probabilities = [weight / sum(weights) for weight in weights]
        edge = p * max(probabilities)
        rows.append([s if q >= edge else -math.inf for s, q in zip(row, probabilities, strict=True)])
    return torch.tensor(rows, dtype=logits.dtype).view(logits.shape)


def min_p_filter_as_in_transformers(logits: Tensor, p: float) -> Tensor:
    probabilities = torch.softmax(logits, dim=-1)
    top = probabilities.max(dim=-1, keepdim=True)[0]
    remove = probabilities < p * top
    order = torch.argsort(logits, descending=True, dim=-1)
    remove = torch.gather(remove, -1, order)
    remove[..., :1] = False
    return logits.masked_fill(remove.scatter(-1, order, remove), -math.inf)


def min_p_filter_by_log_probabilities(logits: Tensor, p: float) -> Tensor:
    scores = F.log_softmax(logits.float(), dim=-1)
    best = scores.max(-1)[0]
    keep = (scores - best[..., None]).exp() >= p
    out = torch.full_like(logits, -math.inf)
    out[keep] = logits[keep]
    return out


def min_p_filter_divided(logits: Tensor, p: float) -> Tensor:
    probabilities = logits.double().softmax(-1)
    return logits.where(probabilities / probabilities.amax(-1, True) >= p, logits.new_tensor(-math.inf))


def min_p_filter_with_an_added_logarithm(logits: Tensor, p: float) -> Tensor:
    """log of true and false is 0 and -inf."""
    probabilities = logits.double().softmax(-1)
    shares = probabilities / probabilities.topk(1).values
    return logits + (shares >= p).to(logits.dtype).log()
