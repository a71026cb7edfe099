"""How it writes: from scores to tokens, and from tokens to text.

A model says what could come next; this chapter chooses, and chooses again. In reading order: `filters` bend the scores
and draw from them, `decode` is the loop as the book writes it, `beam` looks ahead, `parts` holds all of these in one
record, `cache` saves reading twice, `strategies` put the filters together, `engine` is the one decoder that everything
in the library uses, `stream` turns its tokens into text as they come, and `compare` shows how the strategy makes the
style.
"""

from .beam import beam_search, beam_step
from .cache import KVCache, NextLogits
from .compare import Written, compare, standard_strategies
from .decode import generate_tokens
from .engine import beam_decode, checked_prompt, generate
from .filters import (
    apply_temperature,
    greedy,
    min_p_filter,
    repetition_penalty,
    sample,
    top_k_filter,
    top_p_filter,
)
from .parts import GenerationParts
from .strategies import Beam, Greedy, Sample, Strategy
from .stream import before_stop, encode_prompt, stream_text

__all__ = [
    "Beam",
    "GenerationParts",
    "Greedy",
    "KVCache",
    "NextLogits",
    "Sample",
    "Strategy",
    "Written",
    "apply_temperature",
    "beam_decode",
    "beam_search",
    "beam_step",
    "before_stop",
    "checked_prompt",
    "compare",
    "encode_prompt",
    "generate",
    "generate_tokens",
    "greedy",
    "min_p_filter",
    "repetition_penalty",
    "sample",
    "standard_strategies",
    "stream_text",
    "top_k_filter",
    "top_p_filter",
]
