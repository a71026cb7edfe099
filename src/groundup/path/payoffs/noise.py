"""After stage 3: GPT-2 at its real size, 124 million parameters, made and run by the learner's functions, untrained.

Nothing is missing but learning. Its loss says so: a model that knows nothing gives each of the 50,257 tokens the same
probability, which costs ln 50257 = 10.82 nats a token, and that is what the new model costs too. What it writes is
noise, token by token; the next stage changes the numbers, and not a line of this.

Read next: `race.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...randomness import derived_generator
from ...text.corpus import packaged
from ...text.tokenizer import Tokenizer
from ...text.vocabulary import gpt2_vocabulary

Function = Callable[..., Any]

USED = ("init_gpt", "count_parameters", "gpt_forward", "generate_tokens")
SIZES = {"vocab_size": 50_257, "context_length": 1024, "n_layers": 12, "n_heads": 12, "d_model": 768}
GPT2_PARAMETERS = 124_439_808
PROMPT = "Every effort moves you"
NEW_TOKENS = 16
MEASURED = 128  # tokens of real text, of which the loss is the mean


@dataclass(frozen=True)
class Noise:
    """What was made, and what it knows."""

    n_counted: int  # by the learner's count_parameters
    n_parameters: int  # in what the learner's init_gpt gave
    n_of_gpt2: int
    loss: float  # on a real text, in nats a token
    of_guessing: float
    text: str
    seconds: float  # of writing


@torch.inference_mode()
def untrained(parts: Callable[[str], Function], write: Callable[[str], object] = lambda piece: None) -> Noise:
    """Make GPT-2 with the learner's functions, and let it go on with the prompt. write: is told each piece of text."""
    init_gpt, count, gpt_forward, generate_tokens = (parts(name) for name in USED)
    tokenizer = Tokenizer(gpt2_vocabulary())
    p = init_gpt(**SIZES, generator=derived_generator("payoff, noise", 1))
    ids = torch.tensor([tokenizer.encode(PROMPT)])
    text = torch.tensor([tokenizer.encode(packaged("the-verdict").val)[:MEASURED]])
    logits = gpt_forward(text, p, SIZES["n_layers"], SIZES["n_heads"])
    log_probs = logits[0, :-1].log_softmax(-1)
    loss = -log_probs.gather(-1, text[0, 1:, None]).mean().item()
    draws = derived_generator("payoff, draws", 1)

    def next_logits(ids: Any) -> Tensor:
        return gpt_forward(torch.tensor([[int(one) for one in ids]]), p, SIZES["n_layers"], SIZES["n_heads"])[0, -1]

    def choose(logits: Tensor) -> int:
        token = int(torch.multinomial(logits.softmax(-1), 1, generator=draws))
        write(tokenizer.decode([token]))
        return token

    began = time.perf_counter()
    written = generate_tokens(next_logits, ids[0].tolist(), NEW_TOKENS, choose)
    return Noise(
        n_counted=int(count(**SIZES)),
        n_parameters=sum({id(tensor): tensor.numel() for tensor in p.values()}.values()),
        n_of_gpt2=GPT2_PARAMETERS,
        loss=loss,
        of_guessing=math.log(SIZES["vocab_size"]),
        text=tokenizer.decode(int(one) for one in written),
        seconds=time.perf_counter() - began,
    )
