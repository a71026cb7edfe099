"""Learning merges fast: those of `train_bpe`, ties included, in a small part of its time.

The readable trainer looks at the whole text once for each merge, though a merge changes only the few places where its
pair stands. Here every pair keeps its count and a list of its places, a heap gives the most frequent pair, and a merge
visits its own places alone, all of them at once: the row of tokens is an array, and so is a list of places.

The text itself is not needed, only its distinct pieces and how often each occurs; `piece_counts.py` counts them.

Read next: `fast_bpe.py`, which applies the merges.
Source: the merges are Sennrich et al. 2016's; the linked list with a heap is the usual way (tokenizers).
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bpe import N_BYTES, Pair

NOBODY = -1  # an id that no token has: marks borders and places that were merged away

Integers = NDArray[np.integer[Any]]


def learn_merges(pieces: Mapping[str, int], n_merges: int) -> list[Pair]:
    """The merges that `train_bpe` learns from a text whose pieces occur this often; at most n_merges of them."""
    row = Row(pieces)
    counts = row.counts
    heap = [(-count, number) for number, count in counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative, number = heap[0]
        count = counts[number]
        if count != -negative:
            # Other merges took some of its places since it was put here. Counts never rise after the merge that made
            # the pair, so it goes back to where it belongs now and nothing is missed.
            heapq.heapreplace(heap, (-count, number))
        elif count < 2:
            break
        else:
            heapq.heappop(heap)
            pair = divmod(number, LEFT)
            for new in row.merge(pair, N_BYTES + len(merges)):
                heapq.heappush(heap, (-counts[new], new))
            merges.append(pair)
    return merges


LEFT = 2**32  # a pair as one number: left · 2³² + right. The smaller pair is the smaller number.


class Row:
    """All pieces laid in one row with borders between them, and for every pair its count and its places."""

    def __init__(self, pieces: Mapping[str, int]) -> None:
        data = [piece.encode("utf-8") for piece in pieces]
        lengths = np.fromiter(map(len, data), np.int64, len(data))
        n_places = int(lengths.sum()) + len(data) + 1
        kind = np.int32 if n_places < 2**31 else np.int64  # half the memory, wherever it is enough

        # A border stands before the first piece and after each: the bytes go to the places between.
        is_byte = np.ones(n_places, dtype=bool)
        is_byte[0] = is_byte[np.cumsum(lengths + 1)] = False
        self.ids = np.full(n_places, NOBODY, dtype=np.int32)  # the token that starts at each place
        self.ids[is_byte] = np.frombuffer(b"".join(data), dtype=np.uint8)
        self.weights = np.zeros(n_places, dtype=np.int64)  # how often the piece of that place occurs in the text
        self.weights[is_byte] = np.repeat(np.fromiter(pieces.values(), np.int64, len(data)), lengths)
        self.after = np.arange(1, n_places + 1, dtype=kind)  # where the next token starts
        self.before = np.arange(-1, n_places - 1, dtype=kind)

        self.counts: dict[int, int] = {}
        self.places: dict[int, Integers] = {}
        pairs = numbers_of(self.ids[:-1], self.ids[1:])
        places = np.flatnonzero((self.ids[:-1] != NOBODY) & (self.ids[1:] != NOBODY)).astype(kind)
        self.add(pairs[places], places)

    def merge(self, pair: Pair, new_id: int) -> list[int]:
        """Put new_id in all places of `pair`, and tell which pairs came up."""
        ids, after, before = self.ids, self.after, self.before
        left, right = pair
        places = self.standing(pair)
        second = after[places]
        third = after[second]
        ids[places], ids[second] = new_id, NOBODY
        after[places], before[third] = third, places

        # What stands before a new token, and what stands after it unless that is a new one too: it has the first
        # before it. Between two new tokens stood the pair (right, left).
        previous = before[places]
        i, j = ids[previous], ids[third]
        are_real = np.concatenate([i != NOBODY, (j != NOBODY) & (j != new_id)])
        were = np.concatenate([numbers_of(np.where(i == new_id, right, i), left), numbers_of(right, j)])[are_real]
        are = np.concatenate([numbers_of(i, new_id), numbers_of(new_id, j)])[are_real]
        counts = self.counts
        counts[left * LEFT + right] = 0
        new_pairs, first_of_each = self.add(are, np.concatenate([previous, places])[are_real])
        for old, new in zip(were[first_of_each].tolist(), new_pairs, strict=True):
            counts[old] -= counts[new]
        return new_pairs

    def standing(self, pair: Pair) -> Integers:
        """The places where `pair` still stands, from left to right, each token in one of them; forgets the list."""
        left, right = pair
        places = self.places.pop(left * LEFT + right)
        places = places[(self.ids[places] == left) & (self.ids[self.after[places]] == right)]
        if left != right or len(places) < 2:
            return places
        # In a run 1 1 1 1 the pair stands at every place, and every second one is taken.
        index = np.arange(len(places))
        starts_run = np.concatenate([[True], self.after[places[:-1]] != places[1:]])
        start = np.maximum.accumulate(np.where(starts_run, index, 0))
        return places[(index - start) % 2 == 0]

    def add(self, pairs: Integers, places: Integers) -> tuple[list[int], Integers]:
        """Give each new pair its count and its places; return the pairs, and where each stands first in `pairs`."""
        if not len(pairs):
            return [], pairs
        order = pairs.argsort(kind="stable")  # stable: the places of a pair stay in order from left to right
        pairs, places = pairs[order], places[order]
        starts = np.concatenate([[0], (pairs[1:] != pairs[:-1]).nonzero()[0] + 1])
        counts = np.add.reduceat(self.weights[places], starts).tolist()
        new_pairs: list[int] = pairs[starts].tolist()
        self.counts.update(zip(new_pairs, counts, strict=True))
        bounds = [*starts.tolist(), len(pairs)]
        self.places.update(zip(new_pairs, (places[start:end] for start, end in pairwise(bounds)), strict=True))
        return new_pairs, order[starts]


def numbers_of(left: Integers | int, right: Integers | int) -> Integers:
    """Pairs as numbers."""
    return np.multiply(left, LEFT, dtype=np.int64) + right
