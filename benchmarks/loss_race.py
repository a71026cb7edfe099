"""How soon does `first-gpt` know as much as nanoGPT's set-up after three minutes?

    python benchmarks/loss_race.py [--peer-seconds 180] [--seconds 60] [--threads 2]

The peer (4 layers, 4 heads, width 128, context 64, characters; `nanogpt_peer.py`) trains for its time, with a schedule
that ends with it. Then `first-gpt` trains for a third of it, once as it ships and once with Muon. Both read the
training part of the packaged Shakespeare and are measured on the rest: bits per byte, windows of their own context,
every token but the very first predicted once. Time is that of training alone for both.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import torch
from nanogpt_peer import PeerTrainer

import groundup as gu
from groundup.text.batches import Windows
from groundup.text.corpus import packaged

CONTEXT = 64
OURS = {
    "first-gpt": [],
    "first-gpt, Muon": ["training.optimizer=muon", "training.max_lr=3e-3"],
}


def peer_bits(seconds: float) -> float:
    """Bits per byte of the peer after so many seconds; in this text a character is a byte."""
    corpus = packaged("shakespeare")
    alphabet = {character: i for i, character in enumerate(sorted(set(corpus.train + corpus.val)))}
    train, val = (torch.tensor([alphabet[c] for c in text]) for text in (corpus.train, corpus.val))
    trial = PeerTrainer(train)
    for _ in range(20):
        trial.step()
    began = time.perf_counter()
    for _ in range(100):
        trial.step()
    trainer = PeerTrainer(train, max_steps=int(seconds / (time.perf_counter() - began) * 100))
    began = time.perf_counter()
    while time.perf_counter() - began < seconds and trainer.done < trainer.max_steps:
        trainer.step()
    print(f"the peer took {trainer.done:,} steps in {time.perf_counter() - began:.0f} s")
    total = 0.0
    with torch.no_grad():
        for inputs, targets in Windows(val, CONTEXT, shuffle=False).all(64):
            total += trainer.model(inputs, targets).item() * targets.numel()
    return total / (len(val) - 1) / math.log(2)


def our_bits(settings: list[str], seconds: float, folder: Path) -> tuple[float, float, int]:
    """Bits per byte, seconds of training, and steps of `first-gpt` with such a time."""
    settings = [f"training.seconds={seconds}", "checkpoint.every=100000", "evaluation.samples_every=100000", *settings]
    result = gu.train(gu.load_config("first-gpt", settings), folder)
    return result.val_bits_per_byte, result.seconds, result.step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-seconds", type=float, default=180)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"nanoGPT's set-up: {peer_bits(arguments.peer_seconds):.3f} bits per byte", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, settings) in enumerate(OURS.items()):
            bits, seconds, steps = our_bits(settings, arguments.seconds, Path(folder) / str(number))
            print(f"{name}: {bits:.3f} bits per byte after {steps:,} steps in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
