"""The order in which windows are read: shuffled anew in each epoch, and known at any position without being stored.

The order is a keyed permutation: it follows from (seed, epoch) alone and can be asked at any position, so a run that
was stopped finds its place again by its step number, and nothing has to be shuffled in memory or saved.

Read next: `batches.py`, which draws batches in this order.
Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains".
"""

from __future__ import annotations

import functools
import math

from ..randomness import derived_seed


def window_at(position: int, n_windows: int, seed: int, shuffle: bool = True) -> int:
    """Which of the windows is read at a position, counted through all epochs."""
    epoch, index = divmod(position, n_windows)
    return keyed_permutation(n_windows, seed, epoch).permute(index) if shuffle else index


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
