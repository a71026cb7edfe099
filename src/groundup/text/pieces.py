"""Long texts in pieces that encode as the whole does.

A text that does not fit into memory is encoded piece by piece, and the ids must be those of the whole. So it is cut
only where no token can lie across the cut: after a word or a number. Whatever the split pattern, a piece of the pattern
that ends in a letter goes on only with more letters, one that ends in a digit only with more digits, and nothing to the
left of such an end looks beyond it: what stands there is split the same way with and without the rest.

Read next: `workers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import DataError, quoted
from .patterns import end_of_word

PIECE = 1 << 17  # characters that a piece has at most, where there is a place to cut
LONGEST_WORD = 1 << 24  # characters without such a place


@dataclass(frozen=True)
class Piece:
    """A part of a document, or all of it."""

    text: str
    ends: bool  # the last of its document


def cut(blocks: Iterable[str], name: str) -> Iterator[Piece]:
    """A document in pieces. Where it is cut follows from its text alone, not from the blocks that it came in."""
    waiting, limit = "", PIECE
    for block in blocks:
        waiting += block
        start = 0
        while len(waiting) - start > limit:
            at = last_cut(waiting[start : start + limit + 1])
            if at:
                yield Piece(waiting[start : start + at], ends=False)
                start, limit = start + at, PIECE
            elif limit < LONGEST_WORD:
                limit *= 2
            else:
                raise DataError(
                    f"{LONGEST_WORD:,} characters hold no end of a word or a number",
                    where=quoted(name),
                    fix="is this a text? leave the file out",
                    code="DATA_WORD",
                )
        waiting = waiting[start:]
    if waiting:
        yield Piece(waiting, ends=True)


def last_cut(text: str) -> int:
    """The last place before the last character where a text may be cut; 0 where there is none."""
    for n in (100, 10_000, len(text)):  # it is nearly always near the end
        start = max(0, len(text) - n)
        ends = [found.end() for found in end_of_word().finditer(text, start) if found.end() < len(text)]
        if ends:
            return ends[-1]
    return 0
