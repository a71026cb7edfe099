"""Contrastive search: take a likely token, unless the text has just been there.

A model that always takes the best token soon walks in circles. The circle shows in its own thoughts: the hidden state
of a repeated word points the same way as that of the word before. So each of the few likeliest tokens is tried: the
model reads it, and the more its state resembles one that the text already has, the less it is worth.

    score(v) = (1 - alpha) · probability(v) - alpha · largest cosine between v's state and those of the text

No dice are thrown, and yet the text does not stand still. The candidates are read as a batch that shares the past. The
one chosen has then been read already: its keys, values and state stay, the others are forgotten. So a token costs one
pass, of `top_k` rows.

Read next: `engine.py`.
Source: Su et al. 2022, section 4, equation 5.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import ConfigError
from ..model.transformer import Transformer
from .cache import KVCache, can_share, evaluating
from .strategies import Contrastive, finite_logits


def contrastive_search(
    model: Transformer, prompt: list[int], strategy: Contrastive, max_tokens: int, *, vocab_size: int | None = None
) -> Iterator[int]:
    """The new tokens, each as soon as it is chosen. Raises ConfigError where no hidden states are to be had."""
    if "gpt_forward" in model.parts.own:
        raise ConfigError(
            "contrastive search looks at hidden states, and an own gpt_forward gives none",
            where="Contrastive",
            fix="use another strategy, or leave gpt_forward to the library",
            code="PARTS",
        )
    return _search(Lookahead(model, vocab_size), prompt, strategy, max_tokens)


def _search(look: Lookahead, prompt: list[int], strategy: Contrastive, max_tokens: int) -> Iterator[int]:
    logits = look.begin(prompt) if max_tokens else None
    for _ in range(max_tokens):
        assert logits is not None
        probabilities = finite_logits(logits, len(look.ids)).softmax(dim=-1)  # (V,)
        likely, tokens = probabilities.topk(min(strategy.top_k, len(probabilities)))  # (K,)
        states, seen = look.after(tokens)
        best = int(contrastive_scores(likely, states, seen, strategy.alpha).argmax())
        logits = look.take(int(tokens[best]), best)
        yield look.ids[-1]


def contrastive_scores(probabilities: Tensor, states: Tensor, seen: Tensor, alpha: float) -> Tensor:
    """How much each candidate is worth: likely, and unlike what was said.

    probabilities: (K,), states: (K, C) of the candidates, seen: (S, C) or (K, S, C) of the text -> (K,).
    """
    cosines = normalize(seen, dim=-1) @ normalize(states, dim=-1)[..., None]  # (K, S, 1)
    return (1 - alpha) * probabilities - alpha * cosines.squeeze(-1).amax(dim=-1)  # (K,)


class Lookahead:
    """A text, and what the model would think after each of several next tokens."""

    def __init__(self, model: Transformer, vocab_size: int | None = None) -> None:
        self.model, self.vocab_size = model, vocab_size
        own = model.parts.own & {"transformer_block", "multi_head_attention"}
        self.cached = not own and can_share(model)
        self.ids: list[int] = []
        self.cache = KVCache(model.config.n_layers)
        self.seen = self.states = torch.empty(0)  # of the text (S, C), and of the candidates (K, C)

    def begin(self, ids: list[int]) -> Tensor:
        """Read a prompt. -> the scores of what comes next (V,)."""
        self.ids = list(ids)
        with torch.inference_mode(), evaluating(self.model):
            text = torch.tensor([ids], device=self.model.wte.device)
            self.seen = self.model.hidden(text, self.cache if self.cached else None)[0]  # (S, C)
            if self.cached:
                self.cache.share()
            return self.model.logits(self.seen[-1])[: self.vocab_size]  # (V,)

    def after(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The state that each token would have (K, C), and those of the text before it, (S, C) or (K, S, C)."""
        length = self.model.config.context_length
        with torch.inference_mode(), evaluating(self.model):
            if self.cached and len(self.ids) < length:
                self.states = self.model.hidden(tokens[:, None], self.cache)[:, 0]  # (K, C)
                return self.states, self.seen
            # The oldest token goes, and every place has moved: the whole text is read anew, once a candidate.
            texts = [[*self.ids, token][-length:] for token in tokens.tolist()]
            every = self.model.hidden(torch.tensor(texts, device=tokens.device))  # (K, T, C)
            self.states = every[:, -1]  # (K, C)
            return self.states, every[:, :-1]

    def take(self, token: int, row: int) -> Tensor:
        """Go on with one of the candidates. -> the scores of what comes after it (V,)."""
        with torch.inference_mode():
            if self.cached and len(self.ids) < self.model.config.context_length:
                self.cache.keep(row, self.model.config.window)
                self.seen = torch.cat([self.seen, self.states[row : row + 1]])  # (S, C)
            self.ids.append(token)
            return self.model.logits(self.states[row])[: self.vocab_size]  # (V,)
