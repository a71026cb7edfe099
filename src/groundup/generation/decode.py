"""The loop that writes: ask for scores, choose a token, append it, ask again.

A language model does one thing only, it says what could come next. Text comes from feeding it its own words. The loop
knows nothing about the model or about the way of choosing: it gets two functions, and `greedy` or a random draw, a
plain model or one with a cache, all go through these few lines.

Read next: `beam.py`; `engine.py` has the same loop as a stream, with a model and a cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor


def generate_tokens(
    next_logits: Callable[[list[int]], Tensor],
    prompt: Sequence[int],
    max_new_tokens: int,
    choose: Callable[[Tensor], int | Tensor],
    eos_id: int | None = None,
    context_length: int | None = None,
) -> list[int]:
    """Continue a prompt, one token at a time; returns the prompt and what was added.

    next_logits: the text so far, its last context_length tokens at most -> (V,). choose: (V,) -> a token id.
    Stops after eos_id, which is kept, or after max_new_tokens.
    """
    ids = list(prompt)
    for _ in range(max_new_tokens):
        seen = ids[:] if context_length is None else ids[-context_length:]
        token = int(choose(next_logits(seen)))
        ids.append(token)
        if token == eos_id:
            break
    return ids
