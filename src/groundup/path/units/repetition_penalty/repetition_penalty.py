"""The repetition penalty, right or with one of its known mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def repetition_penalty(logits: Tensor, ids: list[int], penalty: float, *, wrong: Wrong = RIGHT) -> Tensor:
    """Make every token that is already in the text less likely, once however often it is there.

    logits: (V,), ids: the text so far; returns logits' shape and dtype.
    """
    if not ids and "repetition_penalty-empty-fails" in wrong:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if "repetition_penalty-ignored" in wrong:
        return logits
    if "repetition_penalty-of-probabilities" in wrong:
        logits = logits.softmax(-1)
    if "repetition_penalty-of-log-probabilities" in wrong:
        logits = logits.log_softmax(-1)
    seen = _penalised(ids, len(logits), wrong)
    if "repetition_penalty-changes-input" not in wrong:
        logits = logits.clone()
    for token in seen:
        logits[token] = _lowered(logits[token], penalty, wrong)
    if "repetition_penalty-only-seen" in wrong:
        return logits[seen]
    if "repetition_penalty-softmax" in wrong:
        return logits.softmax(-1)
    return logits.float() if "repetition_penalty-float32" in wrong else logits


def _penalised(ids: list[int], size: int, wrong: Wrong) -> list[int]:
    """The tokens that are made less likely, in order."""
    if "repetition_penalty-each-occurrence" in wrong or "repetition_penalty-frequency" in wrong:
        return sorted(ids)
    if "repetition_penalty-last-only" in wrong:
        return ids[-1:]
    if "repetition_penalty-first-only" in wrong:
        return ids[:1]
    if "repetition_penalty-positions" in wrong:
        return list(range(min(len(ids), size)))
    if "repetition_penalty-all-tokens" in wrong:
        return list(range(size))
    if "repetition_penalty-others" in wrong:
        return [token for token in range(size) if token not in ids]
    if "repetition_penalty-only-repeated" in wrong:
        return sorted({token for token in ids if ids.count(token) > 1})
    return sorted(set(ids))


def _lowered(score: Tensor, penalty: float, wrong: Wrong) -> Tensor:
    """A score, less likely."""
    if "repetition_penalty-forbidden" in wrong:
        return torch.full_like(score, -math.inf)
    if "repetition_penalty-subtracted" in wrong or "repetition_penalty-frequency" in wrong:
        return score - penalty
    if "repetition_penalty-log-subtracted" in wrong:
        return score - math.log(penalty)
    if "repetition_penalty-squared" in wrong:
        penalty = penalty**2
    is_divided = score > 0
    if "repetition_penalty-divides-all" in wrong:
        is_divided = torch.ones_like(is_divided)
    if "repetition_penalty-multiplies-all" in wrong:
        is_divided = torch.zeros_like(is_divided)
    if "repetition_penalty-inverted" in wrong:
        is_divided = ~is_divided
    if "repetition_penalty-positive-unchanged" in wrong and score > 0:
        return score
    if "repetition_penalty-negative-unchanged" in wrong and score < 0:
        return score
    return score / penalty if is_divided else score * penalty


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then drawn, then texts longer than the vocabulary, no text at all, cut logits, dtypes."""
    by_hand = torch.tensor([3.0, -2.0, 1.0, -4.0])
    positive, negative = "a positive logit is divided by the penalty", "a negative logit is multiplied by the penalty"
    yield case(positive, by_hand, [0], 2.0)
    yield case(negative, by_hand, [1], 2.0)
    yield case("every token that is in the text, and no other", by_hand, [2, 1], 2.0)
    yield case("once, however often the token is in the text", by_hand, [0, 0, 0], 2.0)
    yield case("once, however often the token is in the text", by_hand, [3, 0, 3], 2.0)
    yield case(positive, torch.tensor([1.0, 2.0, 3.0]), [2, 1], 1.5)
    yield case(negative, torch.tensor([-1.0, -2.0, -3.0]), [0, 2], 1.5)
    yield case("a penalty of 1 changes nothing", by_hand, [0, 1, 2], 1.0)
    for size, length in ((5, 2), (6, 4), (8, 5), (12, 8), (20, 10), (30, 3), (4, 1)):
        for penalty in (1.2, 1.8):
            logits, ids = _logits(draw, size), draw.sample(range(size), length)
            yield case("every token that is in the text, and no other", logits, ids, penalty)
    for size, length in ((4, 12), (6, 30), (10, 15), (16, 100)):
        ids = [draw.randrange(size - 1) for _ in range(length)]
        yield case("once, however often the token is in the text", _logits(draw, size), ids, draw.uniform(1.2, 2.0))
    yield case("a penalty of 1 changes nothing", _logits(draw, 6), draw.sample(range(6), 3), 1)
    yield edge("an empty text changes nothing", by_hand, [], 1.5)
    yield edge("an empty text changes nothing", _logits(draw, 6), [], 1.2)
    yield edge("a logit of 0 stays 0", torch.tensor([0.0, 1.0, -1.0]), [0, 2], 1.5)
    cut = torch.tensor([1.0, -math.inf, -3.0, -math.inf])
    yield edge("what a filter has cut stays cut", cut, [1, 2], 1.5)
    for dtype in (torch.float64, torch.bfloat16):
        yield edge("keeps the dtype", _logits(draw, 6).to(dtype), [4, 1, 4, 2], 1.5)


def _logits(draw: Draw, size: int) -> Tensor:
    """Of both signs, none of them near 0. (V,)."""
    return torch.tensor([draw.choice((-1, 1)) * draw.uniform(0.5, 6) for _ in range(size)])
