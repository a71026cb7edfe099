"""Byte-pair encoding made fast: the same merges as `train_bpe`, the same ids as `bpe_encode`.

Training looks at the whole text once for each merge, though a merge changes only the few places where its pair stands.
Here every pair keeps a list of its places and a count, a heap gives the most frequent pair, and a merge visits its own
places alone. Encoding asks for every merge in turn whether it occurs; here a piece of text looks up the pairs that it
has, and a piece that was seen before is looked up whole.

Read next: `vocabulary.py`, what each id stands for.
Source: the merges are Sennrich et al. 2016's; the linked list with a heap is the usual way (tokenizers, tiktoken).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from .bpe import N_BYTES, Pair

NOBODY = -1  # an id that no token has: marks borders and places that were merged away


def learn_merges(pieces: Mapping[str, int], n_merges: int) -> list[Pair]:
    """The merges that `train_bpe` learns from a text whose pieces occur this often; at most n_merges of them."""
    row = Row(pieces)
    heap = [(-count, pair) for pair, count in row.counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < n_merges:
        negative, pair = heapq.heappop(heap)
        count = row.counts[pair]
        if count != -negative:
            # Other merges took some of its places since it was put here. Counts never rise after the merge that made
            # the pair, so it goes back to where it belongs now and nothing is missed.
            heapq.heappush(heap, (-count, pair))
        elif count < 2:
            break
        else:
            new_id = N_BYTES + len(merges)
            merges.append(pair)
            for new_pair in row.merge(pair, new_id):
                heapq.heappush(heap, (-row.counts[new_pair], new_pair))
    return merges


class Row:
    """All pieces laid in one row with borders between them, and for every pair its count and its places."""

    def __init__(self, pieces: Mapping[str, int]) -> None:
        self.ids: list[int] = [NOBODY]  # the token that starts at each place
        self.weights: list[int] = [0]  # how often the piece of that place occurs in the text
        for piece, n_times in pieces.items():
            data = piece.encode("utf-8")
            self.ids += [*data, NOBODY]
            self.weights += [n_times] * (len(data) + 1)
        self.after = list(range(1, len(self.ids) + 1))  # where the next token starts
        self.before = list(range(-1, len(self.ids) - 1))

        self.counts: dict[Pair, int] = defaultdict(int)
        self.places: dict[Pair, list[int]] = defaultdict(list)
        for place, pair in enumerate(pairwise(self.ids)):
            if NOBODY not in pair:
                self.counts[pair] += self.weights[place]
                self.places[pair].append(place)

    def merge(self, pair: Pair, new_id: int) -> list[Pair]:
        """Put new_id in all places of `pair`, and tell which pairs came up."""
        ids, after, before = self.ids, self.after, self.before
        left, right = pair
        places_before: dict[int, list[int]] = defaultdict(list)  # for each token before a new one, where that is
        places_after: dict[int, list[int]] = defaultdict(list)
        # All places of a pair were found by one walk from left to right, so they are in that order.
        for place in self.places.pop(pair):
            second = after[place]
            if ids[place] != left or ids[second] != right:
                continue  # an earlier merge took one of the two
            third, previous = after[second], before[place]
            ids[place], ids[second] = new_id, NOBODY
            after[place], before[third] = third, place
            places_before[ids[previous]].append(previous)
            places_after[ids[third]].append(place)

        replaced = [((i, left), (i, new_id), places) for i, places in places_before.items() if i != NOBODY]
        replaced += [((right, i), (new_id, i), places) for i, places in places_after.items() if i != NOBODY]
        for old, new, places in replaced:
            weight = sum(map(self.weights.__getitem__, places))
            self.counts[old] -= weight
            self.counts[new] += weight  # not "=": of two new tokens side by side, the pair was "old" already
            self.places[new] = places
        return [new for _, new, _ in replaced]


Ranks = Mapping[Pair, tuple[int, int]]


def apply_merges(ids: list[int], ranks: Ranks) -> list[int]:
    """Merge the ids of one piece: of all pairs that stand in it the one learnt first, until none is left.

    ranks: for each pair its rank and the id that it becomes. Takes n log n steps, so that a megabyte without a space
    is no trap.
    """
    after = list(range(1, len(ids) + 1))
    before = list(range(-1, len(ids)))
    ids = [*ids, NOBODY]  # the last place also stands before the first: ids[-1]
    heap = [(ranks[pair][0], place) for place, pair in enumerate(pairwise(ids)) if pair in ranks]
    heapq.heapify(heap)
    while heap:
        rank, place = heapq.heappop(heap)
        if ids[place] == NOBODY:
            continue  # merged into the token before it
        second = after[place]
        found_rank, new_id = ranks.get((ids[place], ids[second]), (NOBODY, NOBODY))
        if found_rank != rank:
            continue  # the next token has grown since
        third, previous = after[second], before[place]
        ids[place], ids[second] = new_id, NOBODY
        after[place], before[third] = third, place
        for where, pair in ((previous, (ids[previous], new_id)), (place, (new_id, ids[third]))):
            if pair in ranks:
                heapq.heappush(heap, (ranks[pair][0], where))
    return [i for i in ids if i != NOBODY]


class PieceCache(dict[str, list[int]]):
    """The ids of each piece of text seen so far; a new one is encoded when it is asked for."""

    def __init__(self, byte_ids: Iterable[int], ranks: Ranks, max_pieces: int = 1_000_000) -> None:
        self.byte_ids = list(byte_ids)
        self.ranks = ranks
        self.max_pieces = max_pieces

    def __missing__(self, piece: str) -> list[int]:
        ids = apply_merges([self.byte_ids[byte] for byte in piece.encode("utf-8")], self.ranks)
        if len(self) >= self.max_pieces:
            self.clear()
        self[piece] = ids
        return ids
