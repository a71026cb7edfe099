"""After stage 2: a model of one layer, with the learner's attention in it, learns to reverse words.

    abcdefgh|hgfedcba

Eight random letters, a bar, and the same letters backwards; the model is to predict each next character. Nobody can
foresee the first half; for the second, a token must find the one place that tells it what comes next, and that is what
attention does. Its weights then lie on the anti-diagonal.

The twin has no mask. It reaches the same loss, since the answer is there to be read, one place further on; but when it
has to write, that place is empty. A wrong model trains too: the loss alone does not tell.

Read next: `noise.py`.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...model import ModelConfig, Transformer
from ...processes import one_core
from ...randomness import derived_generator
from ...training import Parts, TrainConfig
from ...training.config import DataSection, TrainingSection
from ...training.state import new_state
from ...training.step import take_step

LETTERS = string.ascii_lowercase
BAR = len(LETTERS)
WIDTH = 8  # letters of a word
# With this seed the twin leans on the future alone; with others it learns some of the honest way beside it.
STEPS, BATCH, MAX_LR, SEED = 200, 64, 1e-2, 1
SHADES = " ·░▒▓█"


@dataclass(frozen=True)
class Reversal:
    """How one model did. loss: on the second half, in nats; right: the share of new words that it reversed."""

    model: Transformer
    loss: float
    right: float
    words: list[tuple[str, str]]  # what was asked, and what it wrote


def lines(n: int, purpose: str, step: int = 0) -> Tensor:
    """N random words with their reverses. Returns (N, 2*8 + 1) ids."""
    words = torch.randint(BAR, (n, WIDTH), generator=derived_generator(purpose, 1, step))
    return torch.cat([words, torch.full((n, 1), BAR), words.flip(1)], dim=1)


def learn_to_reverse(parts: Parts, report: Callable[[int, float], object] = lambda step, loss: None) -> Reversal:
    """Train a model of one layer with these parts, and let it write. report: is told the step and its loss."""
    config = TrainConfig(
        data=DataSection(tokenizer="characters"),
        model=ModelConfig(vocab_size=BAR + 1, n_layers=1, d_model=64, n_heads=2, context_length=2 * WIDTH),
        training=TrainingSection(
            steps=STEPS, batch_size=BATCH, max_lr=MAX_LR, warmup_steps=20, parts="plain", seed=SEED
        ),
    )
    state = new_state(config, parts, torch.device("cpu"))
    with one_core():  # its operations are too small to be shared
        for step in range(STEPS):
            batch = lines(BATCH, "reverse", step)
            lr = state.parts.learning_rate(step, max_lr=MAX_LR, min_lr=MAX_LR / 10, warmup_steps=20, total_steps=STEPS)
            result = take_step(state, batch[:, :-1], batch[:, 1:], lr)
            state.step += 1
            report(state.step, result.loss)
        return examined(state.model, state.parts)


@torch.no_grad()
def examined(model: Transformer, parts: Parts) -> Reversal:
    """What a trained model has learnt, on words that it has never seen."""
    asked = lines(100, "reverse, unseen")
    logits = model(asked[:, :-1])
    loss = parts.cross_entropy(logits[:, WIDTH:], asked[:, WIDTH + 1 :]).item()
    ids = asked[:, : WIDTH + 1]
    for _ in range(WIDTH):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], dim=1)
    right = (ids == asked).all(1).float().mean().item()
    words = [(text(row[:WIDTH]), text(row[WIDTH + 1 :])) for row in ids[:3]]
    return Reversal(model, loss, right, words)


def twin_of(parts: Parts) -> Parts:
    """The same parts without a mask: every token sees the future too."""

    def everything(t: int, device: torch.device | str | None = None) -> Tensor:
        return torch.ones(t, t, dtype=torch.bool, device=device)

    library = Parts.defaults()
    whole = {name: library[name] for name in ("multi_head_attention", "transformer_block", "gpt_forward")}
    return parts.with_functions(causal_mask=everything, **whole)  # an own whole would bring its own mask


@torch.no_grad()
def attention_map(reversal: Reversal, parts: Parts) -> tuple[str, Tensor]:
    """(a line, how much each of its characters takes from each, in the head that takes the most). (T, T)."""
    line = lines(1, "reverse, shown")[:, :-1]
    record: dict[str, Tensor] = {}
    library = {name: Parts.defaults()[name] for name in ("multi_head_attention", "transformer_block", "gpt_forward")}
    model = Transformer(reversal.model.config, parts.with_functions(**library))
    model.load_state_dict(reversal.model.state_dict())
    model(line, record=record)
    q, k = record["h.0.attn.q"], record["h.0.attn.k"]
    weights = model.parts.attention_weights(q, k, model.parts.causal_mask(line.shape[1]))
    return text(line[0]), weights[0].amax(0)


def drawn(line: str, weights: Tensor) -> Iterator[str]:
    """The second half of a map, a row for each character that is written: the darker, the more is taken from there."""
    yield "    " + " ".join(line)
    for i in range(WIDTH, len(line)):
        shades = [SHADES[min(len(SHADES) - 1, int(weight * len(SHADES)))] for weight in weights[i].tolist()]
        yield f"  {line[i]} " + " ".join(shades)


def text(ids: Tensor) -> str:
    """The characters of some ids. ids: (T,)."""
    return "".join("|" if token == BAR else LETTERS[token] for token in ids.tolist())
