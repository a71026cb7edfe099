"""How it writes: from scores to tokens, and from tokens to text.

A model says what could come next; this chapter chooses, and chooses again. In reading order: `filters` bend the scores
and draw from them, `decode` is the loop as the book writes it, `beam` looks ahead, `parts` holds all of these in one
record, `cache` saves reading twice, `strategies` put the filters together, `contrastive` avoids what was said,
`engine` is the one decoder that everything in the library uses, `slots` let it write several texts at once, `stream`
turns its tokens into text as they come, and `compare` shows how the strategy makes the style.
"""

from .beam import beam_search, beam_step
from .cache import KVCache, NextLogits
from .compare import Written, compare, standard_strategies
from .contrastive import contrastive_scores, contrastive_search
from .decode import generate_tokens
from .engine import beam_decode, checked_prompt, generate
from .filters import (
    apply_temperature,
    bias_logits,
    greedy,
    min_p_filter,
    repetition_penalty,
    sample,
    top_k_filter,
    top_p_filter,
    typical_filter,
)
from .parts import GenerationParts
from .slots import Slots, generate_batch
from .strategies import AnyStrategy, Beam, Contrastive, Greedy, Sample, Strategy, parts_called
from .stream import before_stop, encode_prompt, stream_text, write_texts

__all__ = [
    "AnyStrategy",
    "Beam",
    "Contrastive",
    "GenerationParts",
    "Greedy",
    "KVCache",
    "NextLogits",
    "Sample",
    "Slots",
    "Strategy",
    "Written",
    "apply_temperature",
    "beam_decode",
    "beam_search",
    "beam_step",
    "before_stop",
    "bias_logits",
    "checked_prompt",
    "compare",
    "contrastive_scores",
    "contrastive_search",
    "encode_prompt",
    "generate",
    "generate_batch",
    "generate_tokens",
    "greedy",
    "min_p_filter",
    "parts_called",
    "repetition_penalty",
    "sample",
    "standard_strategies",
    "stream_text",
    "top_k_filter",
    "top_p_filter",
    "typical_filter",
    "write_texts",
]
