"""From one long line of token ids to batches: what the model sees in each step, and in which order.

A language model learns to predict each token from those before it, so one window of T + 1 ids holds T questions and
their T answers: the inputs are the first T ids, the targets the last T. Training cuts the text into such windows, laid
end to end, and draws them in a new random order in each epoch. The order is a keyed permutation: it follows from
(seed, epoch) alone and can be asked at any position, so a run that was stopped finds its place again by its step
number, and nothing has to be shuffled in memory or saved.

Read next: `model/embedding.py`, which turns the ids into vectors.
Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains" (the permutation).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ..errors import DataError
from ..randomness import derived_seed


def next_token_windows(ids: Tensor, context_length: int, stride: int) -> tuple[Tensor, Tensor]:
    """Cut ids into windows, each with its targets: the same window one token later.

    ids: (N,) -> inputs (W, T), targets (W, T) with T = context_length. A window starts at every multiple of `stride`;
    those that do not fit, with the answer to their last token, are left out.
    """
    if len(ids) <= context_length:
        return ids.new_empty(0, context_length), ids.new_empty(0, context_length)  # (0, T)
    windows = ids.unfold(0, context_length + 1, stride)  # a row holds T inputs and the answer to the last of them
    return windows[:, :-1], windows[:, 1:]  # (W, T)


def random_batch(
    ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw windows that start anywhere.

    ids: (N,) -> inputs (B, T), targets (B, T). Each of the N - T starts that leave room for the targets is as likely.
    """
    n_starts = len(ids) - context_length
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator, device=generator.device)  # (B, 1)
    positions = starts.to(ids.device) + torch.arange(context_length, device=ids.device)  # (B, T)
    return ids[positions], ids[positions + 1]


NextTokenWindows = Callable[[Tensor, int, int], tuple[Tensor, Tensor]]
Batch = tuple[Tensor, Tensor]


class Windows:
    """A text as windows of context_length tokens, in an order that follows from (seed, epoch, position) alone.

    Window i is ids[i·T : i·T + T + 1], i < (N - 1) // T. `batch` serves training, `all` evaluation.
    Raises DataError (DATA_SHORT) when the text does not fill one window.
    """

    def __init__(self, ids: Tensor, context_length: int, seed: int = 0, shuffle: bool = True, where: str = "") -> None:
        self.ids = ids
        self.context_length = context_length
        self.seed = seed
        self.shuffle = shuffle
        self._n_windows = (len(ids) - 1) // context_length
        if self._n_windows < 1:
            raise DataError(
                f"the text has {len(ids):,} tokens, and one window takes {context_length + 1:,}",
                where=where,
                fix="use more text, or a smaller model.context_length",
                code="DATA_SHORT",
            )

    def __len__(self) -> int:
        """How many whole windows there are: one epoch."""
        return self._n_windows

    def batch(self, step: int, batch_size: int, next_token_windows: NextTokenWindows = next_token_windows) -> Batch:
        """The batch of one training step: inputs (B, T), targets (B, T)."""
        positions = range(step * batch_size, (step + 1) * batch_size)
        return self._cut([self._window_at(position) for position in positions], next_token_windows)

    def all(self, batch_size: int, next_token_windows: NextTokenWindows = next_token_windows) -> Iterator[Batch]:
        """Every window in the order of the text, then the tail: each token but the very first is a target once.

        Yields inputs (B, T) and targets (B, T); the last of them may hold fewer windows, and the tail is one shorter
        window by itself, (1, t).
        """
        for start in range(0, len(self), batch_size):
            yield self._cut(range(start, min(start + batch_size, len(self))), next_token_windows)
        tail = self.ids[len(self) * self.context_length :]
        if len(tail) > 1:
            yield next_token_windows(tail, len(tail) - 1, len(tail) - 1)

    def _window_at(self, position: int) -> int:
        """Which window is read at a position, counted through all epochs."""
        epoch, index = divmod(position, len(self))
        return keyed_permutation(len(self), self.seed, epoch).permute(index) if self.shuffle else index

    def _cut(self, windows: list[int] | range, next_token_windows: NextTokenWindows) -> Batch:
        length = self.context_length
        rows = [self.ids[window * length : window * length + length + 1] for window in windows]
        pairs = [next_token_windows(row, length, length) for row in rows]
        inputs = torch.cat([inputs for inputs, _ in pairs])  # (B, T)
        targets = torch.cat([targets for _, targets in pairs])  # (B, T)
        return inputs, targets


class KeyedPermutation:
    """A shuffled order of 0 … n-1 that is computed, never stored. Make one with `keyed_permutation`.

    A Feistel network writes a number as two digits and adds to one digit a scrambled function of the other, in turns:
    whatever the function, each round can be undone, so the whole is a permutation of side² numbers. As these are a few
    more than n, a result of n or above is sent through again until it falls below (cycle walking).
    """

    def __init__(self, n: int, keys: tuple[int, ...]) -> None:
        self.n = n
        self.side = math.isqrt(n - 1) + 1  # the smallest with side² >= n
        self.keys = keys

    def permute(self, index: int) -> int:
        """The number that stands at `index` in the shuffled order."""
        while True:
            left, right = divmod(index, self.side)
            for key in self.keys:
                left, right = right, (left + scrambled(right ^ key)) % self.side
            index = left * self.side + right
            if index < self.n:
                return index


N_ROUNDS = 6  # four rounds already mix; two more cost a microsecond


@functools.lru_cache(maxsize=4)  # the keys of an epoch are asked for again with every batch
def keyed_permutation(n: int, seed: int, epoch: int) -> KeyedPermutation:
    """The order of n windows in one epoch."""
    return KeyedPermutation(n, tuple(derived_seed("data order", seed, epoch, index=i) for i in range(N_ROUNDS)))


def scrambled(number: int) -> int:
    """A number whose bits all depend on all bits of `number` (64 bits of it).

    Source: Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators", the mixer of SplitMix64.
    """
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    return number ^ (number >> 31)
