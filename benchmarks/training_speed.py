"""Training speed on a CPU, beside nanoGPT's set-up in the same run.

    python benchmarks/training_speed.py [--rounds 7] [--steps 60] [--threads 2]

All of them train the same model on the same characters: 4 layers, 4 heads, width 128, context 64, 12 sequences a step,
float32. nanoGPT's GELU is the exact one, ours is GPT-2's tanh form, which torch computes more slowly on a CPU: so the
peer runs with both. They take turns, a round each, so that a machine that slows down slows them all; the figures are
medians over the rounds, and the ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from nanogpt_peer import PeerTrainer

from groundup.model import ModelConfig
from groundup.text.batches import Windows
from groundup.text.corpus import packaged
from groundup.training import Parts, TrainConfig
from groundup.training.config import DataSection, TrainingSection
from groundup.training.state import new_state
from groundup.training.step import take_step

CONTEXT, BATCH = 64, 12


def ours(data: torch.Tensor, bias: bool, fast: bool, precision: str = "float32") -> Callable[[], float]:
    """One step of groundup's own trainer, as the loop takes it."""
    model_config = ModelConfig(vocab_size=65, context_length=CONTEXT, n_layers=4, d_model=128, n_heads=4, bias=bias)
    parts = "fast" if fast else "plain"
    training = TrainingSection(steps=10**6, batch_size=BATCH, precision=precision, parts=parts)
    config = TrainConfig(data=DataSection(tokenizer="characters"), model=model_config, training=training)
    state = new_state(config, Parts(), torch.device("cpu"))
    windows = Windows(data, CONTEXT, seed=1)

    def step() -> float:
        inputs, targets = windows.batch(state.step, BATCH)
        result = take_step(state, inputs, targets, 1e-3)
        state.step += 1
        return result.loss

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    text = packaged("shakespeare").train
    alphabet = {character: i for i, character in enumerate(sorted(set(text)))}
    data = torch.tensor([alphabet[character] for character in text])

    steps: dict[str, Callable[[], float]] = {
        "nanoGPT's set-up": PeerTrainer(data).step,
        "the same, GPT-2's tanh GELU": PeerTrainer(data, gelu="tanh").step,
        "groundup fast, no biases": ours(data, bias=False, fast=True),
        "groundup fast": ours(data, bias=True, fast=True),
        "groundup plain": ours(data, bias=True, fast=False),
        "groundup fast, bfloat16": ours(data, bias=True, fast=True, precision="bfloat16"),
    }
    for step in steps.values():
        for _ in range(10):
            step()
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            rates[name].append(arguments.steps * BATCH * CONTEXT / (time.perf_counter() - start))
    columns = ("nanoGPT's set-up", "groundup fast")
    print(f"{'':30}{'tokens/s':>10}{'min':>10}{'max':>10}{'x nanoGPT':>12}{'x fast':>9}")
    for name, values in rates.items():
        ratios = [
            statistics.median(value / other for value, other in zip(values, rates[column], strict=True))
            for column in columns
        ]
        middle = statistics.median(values)
        print(f"{name:30}{middle:10,.0f}{min(values):10,.0f}{max(values):10,.0f}{ratios[0]:12.2f}{ratios[1]:9.2f}")


if __name__ == "__main__":
    main()
