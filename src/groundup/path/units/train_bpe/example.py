"""The numbers of the text on training BPE."""

from __future__ import annotations

from typing import Any

from ..bpe_codec.bpe_decode import bpe_decode
from ..bpe_codec.bpe_encode import bpe_encode
from ..pairs.count_pairs import count_pairs
from .train_bpe import train_bpe

TEXT = "the then them"
N_REPEATS, VOCAB_SIZE = 1024, 1000


def numbers() -> dict[str, Any]:
    """Three rounds, and a text that repeats itself."""
    merges = train_bpe(TEXT, 300)
    repeated = train_bpe("ab" * N_REPEATS, VOCAB_SIZE)
    return {
        "merges": merges,
        "tokens": [f'"{bpe_decode([256 + i], merges)}"' for i in range(len(merges))],
        "lengths": [len(bpe_encode(TEXT, merges[:n])) for n in range(len(merges) + 1)],
        "first_count": count_pairs(list(TEXT.encode()))[merges[0]],
        "n_repeats": N_REPEATS,
        "vocab_size": VOCAB_SIZE,
        "room": VOCAB_SIZE - 256,
        "longest": len(bpe_decode([255 + len(repeated)], repeated)),
    }


def prediction() -> float:
    """How many merges a text of one pair, again and again, gives."""
    return len(train_bpe("ab" * N_REPEATS, VOCAB_SIZE))
