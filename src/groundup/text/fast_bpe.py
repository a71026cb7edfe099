"""Encoding made fast: the same ids as `bpe_encode`.

The readable encoder asks for every merge in turn whether it occurs; here a piece of text looks up the pairs that it
has, and a piece that was seen before is looked up whole. So is a word with the signs around it, up to the next space:
few texts hold a word that was never seen, and finding spaces is several times faster than matching a split pattern.

Read next: `vocabulary.py`, what each id stands for.
Source: the merges are Sennrich et al. 2016's; the linked list with a heap is the usual way (tokenizers, tiktoken).
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, pairwise

from .bpe import Pair

SHORT = 24  # bytes of a piece
LONGEST_WORD = 64  # characters of what is kept from one space to the next; Chinese has none for pages
NO_MERGE = (2**63, 0)  # comes after every rank
NOBODY = -1  # an id that no token has: marks borders and places that were merged away
WORDS = re.compile(r" (?=\S)").split  # more is white space to `re` than to a split pattern: then it cuts less

Ranks = Mapping[Pair, tuple[int, int]]


def merge_short(ids: list[int], ranks: Ranks) -> list[int]:
    """What `apply_merges` gives, for the few bytes of a word: there, looking through all pairs is the faster way."""
    ids = ids[:]
    found = [ranks.get(pair, NO_MERGE) for pair in pairwise(ids)]
    while found and (best := min(found)) is not NO_MERGE:
        place = found.index(best)  # the first of equal pairs
        ids[place : place + 2] = [best[1]]
        del found[place]
        # Only the neighbours of the new token have become other pairs.
        for where in range(max(0, place - 1), min(place + 1, len(found))):
            found[where] = ranks.get((ids[where], ids[where + 1]), NO_MERGE)
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


class PieceCache(dict[str, tuple[int, ...]]):
    """The ids of each piece of text seen so far; a new one is encoded when it is asked for.

    They are kept as tuples: the garbage collector goes through a million lists again and again, and leaves tuples of
    numbers alone, which makes a cold cache a fifth faster.
    """

    def __init__(self, byte_ids: Iterable[int], ranks: Ranks, max_pieces: int = 1_000_000) -> None:
        self.byte_ids = list(byte_ids)
        self.ranks = ranks
        self.max_pieces = max_pieces

    def __missing__(self, piece: str) -> tuple[int, ...]:
        ids = [self.byte_ids[byte] for byte in piece.encode("utf-8")]
        ids = merge_short(ids, self.ranks) if len(ids) <= SHORT else apply_merges(ids, self.ranks)
        if len(self) >= self.max_pieces:
            self.clear()
        self[piece] = found = tuple(ids)
        return found


class WordCache(dict[str, tuple[int, ...]]):
    """The ids of each word seen so far with the space before it: what stands from one space to the next.

    A space with anything else than white space after it begins a piece, whatever the pattern and whatever stands before
    it, and nothing to its left looks beyond it: so the ids of the words, put together, are those of the text.
    """

    def __init__(self, pieces: PieceCache, split: Callable[[str], list[str]], max_words: int = 500_000) -> None:
        self.pieces = pieces
        self.split = split
        self.max_words = max_words

    def encode(self, text: str) -> Iterable[int]:
        """The ids of a text."""
        first, *words = WORDS(text)
        return chain(self.ids_of(first), chain.from_iterable(map(self.__getitem__, words)))

    def __missing__(self, word: str) -> tuple[int, ...]:
        ids = tuple(self.ids_of(" " + word))
        if len(word) <= LONGEST_WORD:
            if len(self) >= self.max_words:
                self.clear()
            self[word] = ids
        return ids

    def ids_of(self, text: str) -> Iterable[int]:
        """The ids of the pieces of a text."""
        return chain.from_iterable(map(self.pieces.__getitem__, self.split(text)))
