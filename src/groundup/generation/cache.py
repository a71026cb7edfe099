"""What has been read need not be read again: the cache of keys and values.

A token's keys and values depend on it and the tokens before it alone, so they never change when text is added. Without
a cache every new token costs a pass over the whole text; with one it costs a pass over itself, at the price of memory
(2 · layers · kv_heads · head_width numbers a token).

`NextLogits` hides that from the loops: it is a function from a text to scores, as `generate_tokens` and `beam_search`
ask for, and remembers what it read last. A text that goes on from there costs its new tokens only; any other is read
from its beginning. Texts that begin alike, as those of a beam, keep that beginning once. When the context is full and
the loop lets the oldest token go, every position has moved and nothing remembered is true any more, so the text is read
anew each time: slower, and exactly the same. But for a model that looks through a window and counts distances alone
(`ModelConfig.is_endless`): that one reads on without end, and what left the window is forgotten.

Read next: `strategies.py`.
Source: Shazeer 2019, section 2.4.1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from ..kernels.attention import append_in_place
from ..model.attention import Cache
from ..model.transformer import Transformer

FARTHEST = 16  # contexts: a text read on without end is read anew after so many, before its angles lose their digits


class KVCache:
    """Keys and values of the tokens so far, for each layer (B, G, S, D), and how many tokens that is."""

    def __init__(self, n_layers: int) -> None:
        self.layers: list[Cache] = [{} for _ in range(n_layers)]
        self.length = 0
        self.beginnings: list[Cache] = []  # of each layer, once there is a shared one

    def reorder(self, parents: Sequence[int]) -> None:
        """Row i becomes a copy of row parents[i]: a beam goes on from several of its texts, and forgets others.

        What the rows have in common is not copied.
        """
        for layer in self.layers:
            for name in ("k", "v"):
                if name in layer:
                    layer[name] = layer[name][list(parents)]  # (B, G, S, D)
                layer.pop(f"{name}_buffer", None)

    def share(self) -> None:
        """What the only row holds becomes the beginning of as many rows as there will be, kept once for all."""
        self.beginnings = [{"k": layer["k"], "v": layer["v"]} for layer in self.layers]
        self._forget_rows()

    def keep(self, row: int, window: int | None) -> None:
        """The shared beginning goes on as that row did, and the rows are forgotten."""
        for layer, beginning in zip(self.layers, self.beginnings, strict=True):
            append_in_place(layer["k"][row : row + 1], layer["v"][row : row + 1], beginning, window)
        self._forget_rows()

    def _forget_rows(self) -> None:
        self.layers = [{"shared_k": begun["k"], "shared_v": begun["v"]} for begun in self.beginnings]


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
        whole = [list(text) for text in texts]
        with torch.inference_mode(), evaluating(self.model):
            cache, n_read = self._remembered(whole)
            ids = torch.tensor([text[n_read:] for text in whole], device=self.model.wte.device)  # (B, T)
            logits = last_logits(self.model, ids, cache)  # (B, V)
        self.texts = [] if cache is None else whole
        return logits[:, : self.vocab_size]  # (B, V)

    def _remembered(self, texts: list[list[int]]) -> tuple[KVCache | None, int]:
        """A cache with a row for each text, and how many tokens of each need not be read.

        It is what was read before, where every text goes on from there, and otherwise an empty one.
        """
        n_tokens, n_read = len(texts[0]), len(self.texts[0]) if self.texts else 0
        row_of = {tuple(text): row for row, text in enumerate(self.texts)}
        rows = [row_of.get(tuple(text[:n_read]), -1) for text in texts]
        if n_tokens > n_read and -1 not in rows and has_room(self.cache, n_tokens - n_read, self.model):
            if len(rows) > len(self.texts) == 1 and not self.cache.beginnings and can_share(self.model):
                self.cache.share()
            elif rows != list(range(len(self.texts))):
                self.cache.reorder(rows)
            return self.cache, n_read
        self.cache = KVCache(self.model.config.n_layers)
        config = self.model.config
        # A full context is at its end: its keys would never be used again.
        is_of_use = self.cached and (n_tokens < config.context_length or config.is_endless)
        return self.cache if is_of_use else None, max(0, n_tokens - config.context_length)


def has_room(cache: KVCache, n_tokens: int, model: Transformer) -> bool:
    """Whether so many more tokens can be read after what the cache holds."""
    contexts = FARTHEST if model.config.is_endless else 1
    return cache.length + n_tokens <= contexts * model.config.context_length


def can_share(model: Transformer) -> bool:
    """Whether the attention that runs knows of a beginning that rows have in common; an own one does not."""
    return not model.parts.own & {"attention", "cached_attention"}


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
