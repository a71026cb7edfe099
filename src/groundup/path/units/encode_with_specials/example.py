"""The numbers of the text on special tokens."""

from __future__ import annotations

from typing import Any

from ..bpe_codec.example import gpt2
from .encode_with_specials import encode_with_specials

END = "<|endoftext|>"


def numbers() -> dict[str, Any]:
    """A special string, allowed and not."""
    text, merges, specials = "ab<s>ab", [(97, 98)], {"<s>": 300}
    ids = gpt2().encode(END)
    return {
        "allowed": encode_with_specials(text, merges, specials, frozenset(specials)),
        "ordinary": encode_with_specials(text, merges, specials),
        "end": gpt2().encode(END, allowed={END})[0],
        "pieces": " ".join(gpt2().decode([one]) for one in ids),
        "n_signs": len(END),
    }


def prediction() -> float:
    """Of how many ids the special string of GPT-2 is made as ordinary text."""
    return len(gpt2().encode(END))
