"""Text to numbers: the chapter that answers how a model can read.

The chapter in reading order: `bpe` learns and applies byte-pair merges as the book writes them, `patterns` cuts text
into the pieces that merges stay inside, `fast_bpe` does the same quickly, `vocabulary` says what each id stands for and
`tokenizer_json` is its file, `tokenizer` is the one door to it all. `corpus` reads texts that fit into memory, `pieces`
and `sources` those of any size; `workers` and `encoders` encode them on several cores, `shards`, `shard_writer` and
`prepare` keep their ids on the disk. `order` shuffles, `batches` cuts ids into what a training step sees, and `loader`
reads that ahead.

`batches` works on tensors and the rest does not: its names are imported when they are first asked for, so that a
tokenizer and a helper process start without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .bpe import bpe_decode, bpe_encode, count_pairs, encode_with_specials, merge_pair, pack_documents, train_bpe
from .corpus import Corpus, packaged, read_text
from .order import keyed_permutation
from .patterns import GPT2_PATTERN, GPT4_PATTERN, PATTERNS
from .sources import read_documents
from .tokenizer import StreamDecoder, Tokenizer

if TYPE_CHECKING:
    from .batches import Windows, next_token_windows, random_batch

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
    if name in ("Windows", "next_token_windows", "random_batch"):
        from . import batches

        return getattr(batches, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
