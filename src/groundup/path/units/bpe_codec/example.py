"""The numbers of the text on encoding and decoding."""

from __future__ import annotations

import functools
from typing import Any

from ....text import Tokenizer
from .bpe_decode import bpe_decode
from .bpe_encode import bpe_encode

MERGES = [(98, 99), (97, 98)]
ENGLISH, CHINESE = "The meeting was moved to Friday.", "会议改到了星期五。"


def numbers() -> dict[str, Any]:
    """A word after each merge, a letter of two bytes, and a sentence by GPT-2's merges."""
    accent = bpe_encode("é", [])
    return {
        "steps": [bpe_encode("abcab", MERGES[:n]) for n in range(len(MERGES) + 1)],
        "accent": accent,
        "alone": "".join(bpe_decode([one], []) for one in accent),
        "joined": bpe_decode(accent, []),
        "english": ENGLISH,
        "chinese": CHINESE,
        "n_english": len(gpt2().encode(ENGLISH)),
        "n_characters": len(CHINESE),
        "n_bytes": len(CHINESE.encode()),
    }


def prediction() -> float:
    """How many ids GPT-2 needs for the Chinese sentence."""
    return len(gpt2().encode(CHINESE))


@functools.cache
def gpt2() -> Tokenizer:
    """GPT-2's own tokenizer, which the library brings."""
    return Tokenizer.load("gpt2")
