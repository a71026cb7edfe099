"""Several texts at once: a model that writes for many prompts, in a fixed number of slots.

A model that writes one text uses every weight once a token, and waits for the memory that brings it. With several texts
side by side each weight is used once for all of them. So prompts take slots: each is read by itself when it gets one,
then all of them go on together, a token each, and whoever has ended makes room for the next prompt.

Prompts have different lengths, and no text may notice. The texts are laid along the axis of tokens, one token each, as
if they were one text: norms and products, which look at one token at a time, need not know. Each token says where it
stands in its own text, and attends to its own past alone. There is no padding among the keys, hence no mask for it.

A product rounds otherwise with another number of rows; so it always has a row for every slot, taken or not. For one
number of slots a text then comes out the same whoever its neighbours are, to the bit.

Read next: `stream.py`, for text instead of tokens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError
from ..model.attention import Cache
from ..model.transformer import Transformer
from .cache import KVCache, evaluating, has_room, last_logits
from .engine import GREEDY, checked_prompt, generate, is_cached, parts_of
from .parts import GenerationParts
from .strategies import AnyStrategy, Beam, Contrastive, Strategy

N_SLOTS = 8
MOST_SLOTS = 1024  # each of them has a cache for a whole context


def generate_batch(
    model: Transformer,
    prompts: Iterable[Iterable[int]],
    strategy: AnyStrategy | Sequence[AnyStrategy] = GREEDY,
    *,
    max_tokens: int = 200,
    eos_id: int | None = None,
    stop: Collection[int] = (),
    vocab_size: int | None = None,
    slots: int = N_SLOTS,
    parts: GenerationParts | None = None,
) -> Iterator[tuple[int, int]]:
    """Continue many prompts: an iterator over (number of the prompt, new token), each as soon as it is chosen.

    Each gets the tokens that `generate` gives for it alone, up to ties within rounding. strategy: one for all, or one
    each. What looks at whole texts (a beam, contrastive search) or knows no cache (an own loop or block) is run prompt
    after prompt. The rest as in `generate`.
    """
    read = [checked_prompt(ids, model) for ids in prompts]
    strategies = list(strategy) if isinstance(strategy, Sequence) else [strategy] * len(read)
    if len(strategies) != len(read):
        raise ConfigError(
            f"there are {len(strategies)} strategies for {len(read)} prompts", fix="give one, or one each"
        )
    if not 1 <= slots <= MOST_SLOTS:
        raise ConfigError(f"slots is {slots}", where="generate_batch", fix=f"use 1 to {MOST_SLOTS}")
    if max_tokens < 0:
        raise ConfigError(f"max_tokens is {max_tokens}", where="generate_batch", fix="use 0 or more")
    parts = parts_of(model) if parts is None else parts
    ends = {*stop} if eos_id is None else {eos_id, *stop}
    by_token = [one for one in strategies if not isinstance(one, Beam | Contrastive)]
    if len(by_token) == len(read) and is_cached(model, parts) and "generate_tokens" not in parts.own:
        return _together(Slots(model, slots, vocab_size), read, by_token, max_tokens, ends, parts)
    return (
        (number, token)
        for number, (ids, one) in enumerate(zip(read, strategies, strict=True))
        for token in generate(
            model, ids, one, max_tokens=max_tokens, eos_id=eos_id, stop=stop, vocab_size=vocab_size, parts=parts
        )
    )


def _together(
    slots: Slots,
    prompts: list[list[int]],
    strategies: list[Strategy],
    max_tokens: int,
    ends: Collection[int],
    parts: GenerationParts,
) -> Iterator[tuple[int, int]]:
    waiting = deque(range(len(prompts)) if max_tokens else ())
    served: dict[int, int] = {}  # slot -> number of its prompt
    while waiting or served:
        for slot in slots.free():
            if waiting:
                served[slot] = waiting.popleft()
                slots.begin(slot, prompts[served[slot]])
        for slot, number in list(served.items()):
            row = slots.row(slot)
            token = strategies[number].choose(row.logits, row.ids, parts)
            row.ids.append(token)
            yield number, token
            if token in ends or len(row.ids) == len(prompts[number]) + max_tokens:
                slots.end(slot)
                del served[slot]
        slots.step()


@dataclass
class Row:
    """The text in a slot, what the model remembers of it, and the scores of what comes next."""

    ids: list[int]
    cache: KVCache
    logits: Tensor  # (V,)


class Slots:
    """A fixed number of texts that grow together, each with a past of its own."""

    def __init__(self, model: Transformer, n_slots: int = N_SLOTS, vocab_size: int | None = None) -> None:
        self.model, self.vocab_size = model, vocab_size
        self.rows: list[Row | None] = [None] * n_slots

    def free(self) -> list[int]:
        """The slots that nobody has."""
        return [slot for slot, row in enumerate(self.rows) if row is None]

    def row(self, slot: int) -> Row:
        """The text in a slot."""
        row = self.rows[slot]
        assert row is not None
        return row

    def begin(self, slot: int, ids: Sequence[int]) -> None:
        """Give a slot to a text: it is read by itself, as it would be alone."""
        cache = KVCache(self.model.config.n_layers)
        self.rows[slot] = Row(list(ids), cache, self._read(ids, cache))

    def end(self, slot: int) -> None:
        """Take the text out of its slot."""
        self.rows[slot] = None

    def step(self) -> None:
        """Read the last token of every text, and find the scores of what comes next."""
        going = {slot: row for slot, row in enumerate(self.rows) if row is not None}
        # A full context moves every place: such a text is read anew, by itself, as `NextLogits` does.
        full = {slot: row for slot, row in going.items() if not has_room(row.cache, 1, self.model)}
        for row in full.values():
            row.cache = KVCache(self.model.config.n_layers)
            row.logits = self._read(row.ids, row.cache)
        if len(going) > len(full):
            logits = self._read_together({slot: row for slot, row in going.items() if slot not in full})  # (N, V)
            for slot, row in going.items():
                row.logits = row.logits if slot in full else logits[slot]  # (V,)

    def _read(self, ids: Sequence[int], cache: KVCache) -> Tensor:
        with torch.inference_mode(), evaluating(self.model):
            text = torch.tensor([list(ids[-self.model.config.context_length :])], device=self.model.wte.device)
            return last_logits(self.model, text, cache)[0, : self.vocab_size]  # (V,)

    def _read_together(self, going: dict[int, Row]) -> Tensor:
        """One token for every slot, a zero where nobody is. -> (N, V)."""
        n_layers, device = self.model.config.n_layers, self.model.wte.device
        tokens = [going[slot].ids[-1] if slot in going else 0 for slot in range(len(self.rows))]
        places = [going[slot].cache.length if slot in going else 0 for slot in range(len(self.rows))]
        caches = [going[slot].cache if slot in going else KVCache(n_layers) for slot in range(len(self.rows))]
        with torch.inference_mode(), evaluating(self.model):
            hidden = self.model.hidden(  # (1, N, C)
                torch.tensor([tokens], device=device),
                SideBySide([[cache.layers[i] for cache in caches] for i in range(n_layers)]),
                positions=torch.tensor(places, device=device),
            )
            for cache in caches:
                cache.length += 1
            return self.model.logits(hidden[0])[:, : self.vocab_size]  # (N, V)


@dataclass
class SideBySide:
    """What a model needs of the caches of texts that it reads side by side: of each layer, one for each token."""

    layers: list[list[Cache]]
    length: int = 0  # the texts count for themselves
