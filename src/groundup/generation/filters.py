"""From scores to a choice: the parts that decide which token comes next.

A model gives every token of the vocabulary a score (a logit). Always taking the best one writes dull text that soon
repeats itself; drawing from the full distribution writes nonsense now and then, since thousands of unlikely tokens
together are likely. Everything between the two is a filter: it takes scores and gives scores back, bent (temperature,
repetition penalty, bias) or with a part cut off (top-k, top-p, min-p, typical). Filters compose, because what goes in
is what comes out; a token that was cut has the score -inf, which no draw can pick.

Read next: `decode.py`; `strategies.py` puts filters in a row.
Sources: Fan et al. 2018, section 5 (top-k); Holtzman et al. 2020, section 3 (top-p); Nguyen et al. 2024, section 3
(min-p); Meister et al. 2023, section 4 (typical); Keskar et al. 2019, section 4.1 (repetition penalty).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import ConfigError, DivergedError
from ..model.attention import softmax


def greedy(logits: Tensor) -> Tensor:
    """The id of the best token; of equal ones the lowest id.

    logits: (…, V) -> (…).
    """
    return logits.argmax(dim=-1)  # (…)


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) the distribution.

    logits: (…, V); returns its shape and dtype.
    Raises ConfigError, which is a ValueError, unless temperature is above 0.
    Source: Ackley et al. 1985, section 2.
    """
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}", where="apply_temperature", fix="use a number above 0")
    return logits / temperature


def top_k_filter(logits: Tensor, k: int) -> Tensor:
    """Keep the k best tokens, and whatever ties with the last of them.

    logits: (…, V); returns its shape and dtype, the others -inf. With k of V or more nothing changes.
    """
    edge = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]  # (…, 1)
    return logits.masked_fill(logits < edge, -math.inf)


def top_p_filter(logits: Tensor, p: float, *, softmax=softmax) -> Tensor:
    """Keep the smallest set of tokens whose probability reaches p; the best token always stays.

    logits: (…, V); returns its shape and dtype, the others -inf. p = 1 keeps all.
    """
    if p >= 1:
        return logits
    best_first, order = wide(logits).sort(dim=-1, descending=True, stable=True)  # (…, V)
    return _until_reached(logits, order, softmax(best_first, dim=-1), p)


def typical_filter(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of the most typical tokens whose probability reaches p.

    People do not say what is most likely, since that would say nothing, nor what is least likely: the surprise of their
    words (-log probability) stays near the one to be expected, the entropy. The nearer, the more typical.

    logits: (…, V); returns its shape and dtype, the others -inf. p = 1 keeps all.
    Source: Meister et al. 2023, section 4, equation 9.
    """
    if p >= 1:
        return logits
    surprise = -wide(logits).log_softmax(dim=-1)  # (…, V)
    probabilities = (-surprise).exp()  # (…, V)
    # A token that was cut has an endless surprise, and no part in what is to be expected.
    entropy = (probabilities * surprise).nansum(dim=-1, keepdim=True)  # (…, 1)
    order = (surprise - entropy).abs().argsort(dim=-1, stable=True)  # (…, V)
    return _until_reached(logits, order, probabilities.gather(-1, order), p)


def min_p_filter(logits: Tensor, p: float, *, softmax=softmax) -> Tensor:
    """Keep the tokens that have at least p times the probability of the best one.

    logits: (…, V); returns its shape and dtype, the others -inf. Few stay where the model is sure, many where it is
    not.
    """
    probabilities = softmax(wide(logits), dim=-1)  # (…, V)
    edge = p * probabilities.amax(dim=-1, keepdim=True) * (1 - _rounding(probabilities))  # (…, 1)
    return logits.masked_fill(probabilities < edge, -math.inf)


def repetition_penalty(logits: Tensor, ids: Sequence[int], penalty: float) -> Tensor:
    """Make every token that is already in the text less likely, once however often it is there.

    logits: (V,), ids: the text so far; returns logits' shape and dtype. A penalty above 1 divides positive scores and
    multiplies negative ones; 1 changes nothing.
    """
    seen = torch.tensor(sorted(set(ids)), dtype=torch.long, device=logits.device)  # (N,)
    scores = logits[seen]  # (N,)
    penalised = torch.where(scores > 0, scores / penalty, scores * penalty)  # (N,)
    return logits.index_copy(0, seen, penalised)  # (V,)


def bias_logits(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add to the scores of some tokens: above 0 makes one more likely, -inf rules it out.

    logits: (V,), bias: token ids with what to add; returns logits' shape and dtype. Raises ConfigError for an id that
    is none.
    """
    strange = next((token for token in bias if not 0 <= token < len(logits)), None)
    if strange is not None:
        raise ConfigError(
            f"logit_bias names token {strange}, and there are 0 to {len(logits) - 1}",
            where="bias_logits",
            fix="use the ids of the model's own tokenizer",
        )
    ids = torch.tensor(list(bias), dtype=torch.long, device=logits.device)  # (N,)
    extra = torch.tensor(list(bias.values()), dtype=logits.dtype, device=logits.device)  # (N,)
    return logits.index_add(0, ids, extra)  # (V,)


def sample(logits: Tensor, generator: torch.Generator, *, softmax=softmax) -> Tensor:
    """Draw a token id with the probability that its score stands for.

    logits: (…, V) -> (…). Raises DivergedError (NUM_LOGITS) where the scores make no distribution.
    """
    # Drawn where the generator lives: one on the CPU gives the same numbers whatever the model runs on.
    probabilities = softmax(wide(logits), dim=-1).to(generator.device)  # (…, V)
    total = probabilities.sum(dim=-1)  # (…)
    if not bool(((total > 0) & (total < math.inf)).all()):
        raise DivergedError(
            "the scores make no distribution: none is left, or one is not a number",
            where="sample",
            fix="use a higher temperature and fewer filters, or weights that are finite",
            code="NUM_LOGITS",
        )
    rows = probabilities.reshape(-1, logits.shape[-1])  # (N, V)
    drawn = torch.multinomial(rows, 1, generator=generator)  # (N, 1)
    return drawn.reshape(logits.shape[:-1]).to(logits.device)  # (…)


def wide(logits: Tensor) -> Tensor:
    """In float32 at least: a running sum of thousands of bfloat16 probabilities stands still."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _until_reached(logits: Tensor, order: Tensor, probabilities: Tensor, p: float) -> Tensor:
    """Keep the first tokens of an order until their probabilities, given in that order, add up to p; at least one.

    logits, order, probabilities: (…, V); returns logits' shape and dtype.
    """
    reached = probabilities.cumsum(dim=-1)  # (…, V)
    # A token goes when those before it are enough; the roll puts each sum beside the token after it.
    is_cut = (reached >= p - _rounding(reached)).roll(1, dims=-1)  # (…, V)
    is_cut[..., 0] = False
    is_cut = torch.zeros_like(is_cut).scatter(-1, order, is_cut)  # (…, V)
    return logits.masked_fill(is_cut, -math.inf)


def _rounding(x: Tensor) -> float:
    """What rounding may take from a probability: one that is exactly at the edge belongs inside."""
    return 16 * torch.finfo(x.dtype).eps
