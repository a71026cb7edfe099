"""Byte-pair encoding as the book writes it: how text becomes numbers.

A model works on numbers from a fixed list. Characters would make the list long and leave out the next emoji; bytes
make it short (256) and leave nothing out, but a text becomes a very long row of them. Byte-pair encoding starts from
bytes and, again and again, gives the pair of neighbours that occurs most often a number of its own. Frequent words end
as one number, rare ones as a few pieces, and every text in the world can be written.

These are the parts as one would write them by hand: lists, dictionaries and no tricks.

Read next: `patterns.py`, where a text may be cut; `fast_bpe.py`, the same merges and ids in a fraction of the time.
Source: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", section 3.2;
Radford et al. 2019 (GPT-2), section 2.2, for bytes and for the pattern.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

import regex

Pair = tuple[int, int]
CountPairs = Callable[[list[int]], Mapping[Pair, int]]
MergePair = Callable[[list[int], Pair, int], list[int]]

N_BYTES = 256  # the first ids are the bytes themselves


def count_pairs(ids: list[int]) -> dict[Pair, int]:
    """How often each two neighbours stand side by side. Every position counts: 1 1 1 holds the pair (1, 1) twice."""
    counts: dict[Pair, int] = {}
    for pair in pairwise(ids):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def merge_pair(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Replace each occurrence of `pair` by `new_id`, from left to right: 1 1 1 becomes new 1."""
    merged: list[int] = []
    i = 0
    while i < len(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def train_bpe(
    text: str,
    vocab_size: int,
    pattern: str | None = None,
    *,
    count_pairs: CountPairs = count_pairs,
    merge_pair: MergePair = merge_pair,
) -> list[Pair]:
    """Learn merges from `text`, in order; the first makes id 256, the next 257, until there are vocab_size ids.

    With a pattern (for the `regex` package) no merge crosses the border of a match. The most frequent pair comes
    first, of equally frequent ones the smaller; learning stops early when no pair occurs twice.
    Source: Sennrich et al. 2016, algorithm 1.
    """
    # A piece that occurs a thousand times is counted and merged once, with that weight.
    pieces = Counter(split(text, pattern))
    chunks = [(list(piece.encode("utf-8")), n_times) for piece, n_times in pieces.items()]
    merges: list[Pair] = []

    for new_id in range(N_BYTES, vocab_size):
        counts: Counter[Pair] = Counter()
        for ids, n_times in chunks:
            for pair, count in count_pairs(ids).items():
                counts[pair] += count * n_times

        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < 2:
            break
        merges.append(best)
        chunks = [(merge_pair(ids, best, new_id), n_times) for ids, n_times in chunks]
    return merges


def bpe_encode(
    text: str, merges: Sequence[Pair], pattern: str | None = None, *, merge_pair: MergePair = merge_pair
) -> list[int]:
    """Turn `text` into ids: bytes first, then every merge in the order in which it was learnt."""
    ids: list[int] = []
    for piece in split(text, pattern):
        piece_ids = list(piece.encode("utf-8"))
        for new_id, pair in enumerate(merges, start=N_BYTES):
            piece_ids = merge_pair(piece_ids, pair, new_id)
        ids += piece_ids
    return ids


def bpe_decode(ids: Sequence[int], merges: Sequence[Pair]) -> str:
    """Turn ids back into text. Bytes that are not UTF-8 become U+FFFD, the replacement character.

    The bytes are joined before they are decoded, because one character may be spread over several ids.
    """
    tokens = [bytes([byte]) for byte in range(N_BYTES)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")


def encode_with_specials(
    text: str,
    merges: Sequence[Pair],
    specials: Mapping[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
    *,
    bpe_encode: Callable[[str, Sequence[Pair], str | None], list[int]] = bpe_encode,
) -> list[int]:
    """Turn `text` into ids, where an allowed special string becomes its one id; any other is ordinary text.

    Nothing is allowed unless the caller says so: a text from outside must not be able to end a document.
    """
    # The longest first, so that "<|end|>" is not found inside "<|end|>!" where both are special.
    chosen = sorted((special for special in specials if special in allowed), key=len, reverse=True)
    ids: list[int] = []
    for part in split_at(text, chosen):
        ids += [specials[part]] if part in chosen else bpe_encode(part, merges, pattern)
    return ids


def pack_documents(documents: Sequence[Sequence[int]], eos_id: int, block: int) -> list[list[int]]:
    """Join documents, each followed by eos_id, and cut the row into full blocks; the rest is left out."""
    row: list[int] = []
    for document in documents:
        row += [*document, eos_id]
    return [row[start : start + block] for start in range(0, len(row) - block + 1, block)]


def split(text: str, pattern: str | None) -> list[str]:
    """The pieces of `text` inside which merges stay: the matches of `pattern`, or the whole text without one."""
    return [text] if pattern is None else regex.findall(pattern, text)


def split_at(text: str, specials: Sequence[str]) -> list[str]:
    """Cut `text` before and after each special string; those that come first in `specials` are looked for first."""
    if not specials:
        return [text]
    # With a capture group, split keeps what it cuts at.
    return regex.split("(" + "|".join(regex.escape(special) for special in specials) + ")", text)
