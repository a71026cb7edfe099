"""Text to numbers: the chapter that answers how a model can read.

The chapter in reading order: `bpe` learns and applies byte-pair merges as the book writes them, `patterns` cuts text
into the pieces that merges stay inside, `fast_bpe` does the same quickly, `vocabulary` says what each id stands for and
`tokenizer_json` is its file, `tokenizer` is the one door to it all, `corpus` reads texts, and `batches` cuts their ids
into what a training step sees.

`batches` works on tensors and the rest does not: its names are imported when they are first asked for, so that a
tokenizer starts without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bpe import bpe_decode, bpe_encode, count_pairs, encode_with_specials, merge_pair, pack_documents, train_bpe
from .corpus import Corpus, packaged, read_text
from .patterns import GPT2_PATTERN, GPT4_PATTERN, PATTERNS
from .sources import read_documents
from .tokenizer import StreamDecoder, Tokenizer

if TYPE_CHECKING:
    from .batches import Windows, keyed_permutation, next_token_windows, random_batch

__all__ = [
    "GPT2_PATTERN",
    "GPT4_PATTERN",
    "PATTERNS",
    "Corpus",
    "StreamDecoder",
    "Tokenizer",
    "Windows",
    "bpe_decode",
    "bpe_encode",
    "count_pairs",
    "encode_with_specials",
    "keyed_permutation",
    "merge_pair",
    "next_token_windows",
    "pack_documents",
    "packaged",
    "random_batch",
    "read_documents",
    "read_text",
    "train_bpe",
]


def __getattr__(name: str) -> object:
    """Import `batches`, and torch with it, when one of its names is used."""
    if name in ("Windows", "keyed_permutation", "next_token_windows", "random_batch"):
        from . import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
