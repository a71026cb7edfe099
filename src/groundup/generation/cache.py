"""What has been read need not be read again: the cache of keys and values.

A token's keys and values depend on it and the tokens before it alone, so they never change when text is added. Without
a cache every new token costs a pass over the whole text; with one it costs a pass over itself, at the price of memory
(2 · layers · kv_heads · head_width numbers a token).

`NextLogits` hides that from the loops: it is a function from a text to scores, as `generate_tokens` and `beam_search`
ask for, and remembers what it read last. A text that goes on from there costs its new tokens only; any other is read
from its beginning. When the context is full and the loop lets the oldest token go, every position has moved and
nothing remembered is true any more, so the text is read anew each time: slower, and exactly the same.

Read next: `strategies.py`.
Source: Shazeer 2019, section 2.4.1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..model.attention import Cache
from ..model.transformer import Transformer


class KVCache:
    """Keys and values of the tokens so far, for each layer (B, G, S, D), and how many tokens that is."""

    def __init__(self, n_layers: int) -> None:
        self.layers: list[Cache] = [{} for _ in range(n_layers)]
        self.length = 0

    def reorder(self, parents: Sequence[int]) -> None:
        """Row i becomes a copy of row parents[i]: a beam goes on from several of its texts, and forgets others."""
        for layer in self.layers:
            for name, rows in layer.items():
                layer[name] = rows[list(parents)]  # (B, G, S, D)


class NextLogits:
    """The scores of what comes after a text. It remembers what it read, and reads only what is new.

    Of a text longer than the context, the last tokens are read. vocab_size: that of the tokenizer, where the model has
    more rows than it has tokens: their scores are left out.
    """

    def __init__(self, model: Transformer, *, vocab_size: int | None = None, cached: bool = True) -> None:
        self.model, self.vocab_size, self.cached = model, vocab_size, cached
        self.cache = KVCache(model.config.n_layers)
        self.texts: list[list[int]] = []  # what the cache holds, one text a row

    def __call__(self, ids: Sequence[int]) -> Tensor:
        """ids: a text -> (V,)."""
        return self.of_each([ids])[0]  # (V,)

    def of_each(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """The same for several texts at once, all of one length. -> (B, V)."""
        read = [list(text[-self.model.config.context_length :]) for text in texts]
        with torch.inference_mode(), evaluating(self.model):
            cache = self._remembered(read) if self.cached else None
            n_past = 0 if cache is None else cache.length
            ids = torch.tensor([text[n_past:] for text in read], device=self.model.wte.device)  # (B, T)
            logits = last_logits(self.model, ids, cache)  # (B, V)
        self.texts = read
        return logits[:, : self.vocab_size]  # (B, V)

    def _remembered(self, texts: list[list[int]]) -> KVCache | None:
        """The cache with a row for each text, if every text goes on from one that was read; otherwise an empty one."""
        n_past, n_tokens = self.cache.length, len(texts[0])
        row_of = {tuple(text): row for row, text in enumerate(self.texts)}
        rows = [row_of.get(tuple(text[:n_past]), -1) for text in texts]
        if n_tokens > n_past and -1 not in rows:
            if rows != list(range(len(self.texts))):
                self.cache.reorder(rows)
            return self.cache
        self.cache = KVCache(self.model.config.n_layers)
        # A full context is at its end: its keys would never be used again.
        return self.cache if n_tokens < self.model.config.context_length else None


def last_logits(model: Transformer, ids: Tensor, cache: KVCache | None) -> Tensor:
    """The scores after the last token. ids: (B, T) -> (B, V)."""
    if "gpt_forward" in model.parts.own:
        return model(ids)[:, -1]  # (B, V)
    # The output layer is the widest of all: there is no need for it at every place of a long prompt.
    return model.logits(model.hidden(ids, cache)[:, -1])  # (B, V)


@contextmanager
def evaluating(model: Transformer) -> Generator[None, None, None]:
    """The model without dropout, for as long as this lasts; a model in training goes on training afterwards."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()
