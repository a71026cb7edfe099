"""From one long line of token ids to batches: what the model sees in each step, and in which order.

A language model learns to predict each token from those before it, so one window of T + 1 ids holds T questions and
their T answers: the inputs are the first T ids, the targets the last T. Training cuts the text into such windows, end
to end, and draws them in a new random order in each epoch (`order.py`). The ids may be a tensor, or lie in shards on
the disk (`shards.py`), from which only the windows of a batch are read.

Read next: `loader.py`, which reads the batches in processes of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..errors import DataError
from .order import window_at


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


class TokenIds(Protocol):
    """Ids in a row, wherever they are: a tensor, or shards on the disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: slice, /) -> Tensor: ...


class Windows:
    """A text as windows of context_length tokens, in an order that follows from (seed, epoch, position) alone.

    Window i is ids[i·T : i·T + T + 1], i < (N - 1) // T. `batch` serves training, `all` evaluation.
    Raises DataError (DATA_SHORT) when the text does not fill one window.
    """

    def __init__(
        self, ids: TokenIds, context_length: int, seed: int = 0, shuffle: bool = True, where: str = ""
    ) -> None:
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

    def close(self) -> None:
        """Nothing to end: `Loader`, which stands in for this, has processes."""

    def batch(self, step: int, batch_size: int, next_token_windows: NextTokenWindows = next_token_windows) -> Batch:
        """The batch of one training step: inputs (B, T), targets (B, T)."""
        positions = range(step * batch_size, (step + 1) * batch_size)
        places = [window_at(position, len(self), self.seed, self.shuffle) for position in positions]
        return self.cut(self._rows(places), next_token_windows)

    def all(self, batch_size: int, next_token_windows: NextTokenWindows = next_token_windows) -> Iterator[Batch]:
        """Every window in the order of the text, then the tail: each token but the very first is a target once.

        Yields inputs (B, T) and targets (B, T); the last of them may hold fewer windows, and the tail is one shorter
        window by itself, (1, t).
        """
        for start in range(0, len(self), batch_size):
            yield self.cut(self._rows(range(start, min(start + batch_size, len(self)))), next_token_windows)
        tail = self.ids[len(self) * self.context_length :]
        if len(tail) > 1:
            yield next_token_windows(tail, len(tail) - 1, len(tail) - 1)

    def _rows(self, windows: Sequence[int]) -> list[Tensor]:
        """The T + 1 ids of each window."""
        length = self.context_length
        return [self.ids[window * length : window * length + length + 1] for window in windows]

    def cut(self, rows: Sequence[Tensor], next_token_windows: NextTokenWindows = next_token_windows) -> Batch:
        """Rows of T + 1 ids as inputs (B, T) and targets (B, T)."""
        pairs = [next_token_windows(row, self.context_length, self.context_length) for row in rows]
        inputs = torch.cat([inputs for inputs, _ in pairs])  # (B, T)
        targets = torch.cat([targets for _, targets in pairs])  # (B, T)
        return inputs, targets
