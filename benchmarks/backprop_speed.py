"""Gradients by hand, in NumPy, beside torch's: whole training steps on a CPU, in one run.

    python benchmarks/backprop_speed.py [--rounds 7] [--steps 10] [--threads 2]

All of them train the same model from the same first weights on the same ids: 4 layers, 4 heads, width 128, context 64,
12 sequences a step, 512 tokens, float32. They take turns, a round each, so that a machine that slows down slows them
all; the figures are medians over the rounds, and the ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Literal

import torch

from groundup.backprop import train_step
from groundup.model import ModelConfig
from groundup.training import Parts, TrainConfig
from groundup.training.config import TrainingSection
from groundup.training.state import new_state
from groundup.training.step import take_step

CONTEXT, BATCH, VOCABULARY = 64, 12, 512
MODEL = ModelConfig(vocab_size=VOCABULARY, context_length=CONTEXT, n_layers=4, d_model=128, n_heads=4)


def trainer(kind: Literal["fast", "plain", "numpy"], ids: torch.Tensor) -> Callable[[], float]:
    """One step of groundup's trainer, as the loop takes it."""
    training = TrainingSection(steps=10**6, batch_size=BATCH, parts=kind)
    state = new_state(TrainConfig(model=MODEL, training=training), Parts(), torch.device("cpu"))

    def step() -> float:
        result = take_step(state, ids[:, :-1], ids[:, 1:], 1e-3)
        state.step += 1
        return result.loss

    return step


def numpy_alone(ids: torch.Tensor) -> Callable[[], float]:
    """One step without torch: gpt_backward, clipping and AdamW, array by array."""
    config = TrainConfig(model=MODEL, training=TrainingSection(steps=10**6))
    first = new_state(config, Parts(), torch.device("cpu")).params
    p = {name: param.detach().numpy() for name, param in first.items()}
    inputs, targets, state = ids[:, :-1].numpy(), ids[:, 1:].numpy(), {}
    return lambda: train_step(inputs, targets, p, state, MODEL.n_layers, MODEL.n_heads, lr=1e-3)["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    ids = torch.randint(VOCABULARY, (BATCH, CONTEXT + 1), generator=torch.Generator().manual_seed(1))
    steps = {f"groundup {kind}": trainer(kind, ids) for kind in ("fast", "plain", "numpy")}
    steps |= {"backprop.train_step": numpy_alone(ids)}
    for step in steps.values():
        for _ in range(5):
            loss = step()
        print(f"loss after 5 steps: {loss:.5f}")
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            rates[name].append(arguments.steps * BATCH * CONTEXT / (time.perf_counter() - start))
    for name, own in rates.items():
        beside = {}
        for peer in ("fast", "plain"):
            ratios = sorted(a / b for a, b in zip(own, rates[f"groundup {peer}"], strict=True))
            beside[peer] = f"{statistics.median(ratios):.2f} × {peer} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        print(f"{name:20} {statistics.median(own):7,.0f} tokens/s  {beside['fast']}, {beside['plain']}")


if __name__ == "__main__":
    main()
