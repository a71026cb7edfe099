"""Encoding made fast: the same ids as `bpe_encode`.

The readable encoder asks for every merge in turn whether it occurs; here a piece of text looks up the pairs that it
has, and a piece that was seen before is looked up whole.

Read next: `vocabulary.py`, what each id stands for.
Source: the merges are Sennrich et al. 2016's; the linked list with a heap is the usual way (tokenizers, tiktoken).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from itertools import pairwise

from .bpe import Pair

SHORT = 24  # bytes of a piece
NO_MERGE = (2**63, 0)  # comes after every rank
NOBODY = -1  # an id that no token has: marks borders and places that were merged away


Ranks = Mapping[Pair, tuple[int, int]]


def merge_short(ids: list[int], ranks: Ranks) -> list[int]:
    """What `apply_merges` gives, for the few bytes of a word: there, looking through all pairs is the faster way."""
    ids = ids[:]
    while len(ids) > 1:
        found = [ranks.get(pair, NO_MERGE) for pair in pairwise(ids)]
        best = min(found)
        if best is NO_MERGE:
            break
        place = found.index(best)  # the first of equal pairs
        ids[place : place + 2] = [best[1]]
    return ids


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
        ids = [self.byte_ids[byte] for byte in piece.encode("utf-8")]
        ids = merge_short(ids, self.ranks) if len(ids) <= SHORT else apply_merges(ids, self.ranks)
        if len(self) >= self.max_pieces:
            self.clear()
        self[piece] = ids
        return ids
