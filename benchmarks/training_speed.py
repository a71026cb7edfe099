"""Training speed on a CPU, beside nanoGPT's set-up in the same run.

    python benchmarks/training_speed.py [--rounds 7] [--steps 60] [--threads 2]
    python benchmarks/training_speed.py --gpt2 --rounds 5 --steps 1

All of them train the same model on the same characters: 4 layers, 4 heads, width 128, context 64, 12 sequences a step,
float32; with --gpt2, GPT-2's shape of 124 million parameters, context 256, 2 sequences a step. nanoGPT's GELU is the
exact one, ours is GPT-2's tanh form, which torch computes more slowly on a CPU: so the peer runs with both. They take
turns, a round each, so that a machine that slows down slows them all; the figures are medians over the rounds, and the
ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from nanogpt_peer import PeerTrainer

from groundup.model import ModelConfig
from groundup.text.batches import Windows
from groundup.text.corpus import packaged
from groundup.training import Parts, TrainConfig
from groundup.training.config import DataSection, TrainingSection
from groundup.training.state import new_state
from groundup.training.step import take_step

CHARACTERS = {"vocab_size": 65, "n_layers": 4, "d_model": 128, "n_heads": 4}
GPT2 = {"vocab_size": 50304, "n_layers": 12, "d_model": 768, "n_heads": 12}


@dataclass(frozen=True)
class Setting:
    """What all of them train."""

    shape: dict[str, int]
    context: int
    batch: int
    data: torch.Tensor


def ours(setting: Setting, bias: bool, fast: bool, precision: str = "float32") -> Callable[[], float]:
    """One step of groundup's own trainer, as the loop takes it."""
    model_config = ModelConfig(context_length=setting.context, bias=bias, **setting.shape)
    parts = "fast" if fast else "plain"
    training = TrainingSection(steps=10**6, batch_size=setting.batch, precision=precision, parts=parts)
    config = TrainConfig(data=DataSection(tokenizer="characters"), model=model_config, training=training)
    state = new_state(config, Parts(), torch.device("cpu"))
    windows = Windows(setting.data, setting.context, seed=1)

    def step() -> float:
        inputs, targets = windows.batch(state.step, setting.batch)
        result = take_step(state, inputs, targets, 1e-3)
        state.step += 1
        return result.loss

    return step


def characters() -> Setting:
    """Shakespeare's characters."""
    text = packaged("shakespeare").train
    alphabet = {character: i for i, character in enumerate(sorted(set(text)))}
    return Setting(CHARACTERS, 64, 12, torch.tensor([alphabet[character] for character in text]))


def gpt2() -> Setting:
    """Random tokens: how long a step takes does not depend on them."""
    ids = torch.randint(GPT2["vocab_size"], (100_000,), generator=torch.Generator().manual_seed(1))
    return Setting(GPT2, 256, 2, ids)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--gpt2", action="store_true", help="GPT-2's shape with 124 million parameters")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    setting = gpt2() if arguments.gpt2 else characters()
    sizes = {"batch_size": setting.batch, "context_length": setting.context, **setting.shape}

    steps: dict[str, Callable[[], float]] = {
        "nanoGPT's set-up": PeerTrainer(setting.data, **sizes).step,
        "the same, GPT-2's tanh GELU": PeerTrainer(setting.data, gelu="tanh", **sizes).step,
        "groundup fast, no biases": ours(setting, bias=False, fast=True),
        "groundup fast": ours(setting, bias=True, fast=True),
        "groundup plain": ours(setting, bias=True, fast=False),
        "groundup fast, bfloat16": ours(setting, bias=True, fast=True, precision="bfloat16"),
    }
    for step in steps.values():
        for _ in range(2 if arguments.gpt2 else 10):
            step()
    rates: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(arguments.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                step()
            rates[name].append(arguments.steps * setting.batch * setting.context / (time.perf_counter() - start))
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
