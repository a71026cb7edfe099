"""What each choice in the preset `shakespeare` brings: the preset with one thing changed at a time.

    python benchmarks/shakespeare_choices.py [--steps 840] [--seeds 1 2] [--jobs 1] [--device auto] [--only WORD]

840 steps are what two CPU cores make in 180 seconds; every variant gets as many, so that a choice is judged by what it
learns from the same text. On a CPU a run takes three minutes, on a GPU seconds (with --jobs 12 or so).
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
from pathlib import Path

PLAIN_WIDTH = "model.d_ff=768"  # without a gate: as many parameters as with one at 512

VARIANTS: dict[str, list[str]] = {
    "the preset": [],
    "AdamW instead of Muon": ["training.optimizer=adamw", "training.max_lr=3e-3"],
    "learned positions instead of rotary": ["model.position=learned"],
    "no QK norm": ["model.qk_norm=false"],
    "no embedding norm": ["model.embedding_norm=false"],
    "ReLU² instead of SwiGLU": ["model.feed_forward=relu2", PLAIN_WIDTH],
    "GELU instead of SwiGLU": ["model.feed_forward=gelu", PLAIN_WIDTH],
    "tied output": ["model.tie_embeddings=true"],
    "layer norm": ["model.norm=layer"],
    "cosine schedule": ["training.schedule=cosine"],
    "weight decay 0.1": ["training.weight_decay=0.1"],
    "weight decay 0.3": ["training.weight_decay=0.3"],
    "weight decay 1": ["training.weight_decay=1.0"],
    "dropout 0.1": ["model.dropout=0.1"],
    "vocabulary of bytes": ["model.vocab_size=257"],
    "vocabulary of 512": ["model.vocab_size=512"],
    "vocabulary of 2,048": ["model.vocab_size=2048"],
    "context of 128": ["model.context_length=128", "training.batch_size=16"],
    "gradients clipped at 1": ["training.max_norm=1.0"],
    "Muon's rate 0.010": ["training.muon_lr=0.010"],
    "Muon's rate 0.016": ["training.muon_lr=0.016"],
    "AdamW's rate 0.003": ["training.max_lr=0.003"],
    "AdamW's rate 0.006": ["training.max_lr=0.006"],
}


def measured(job: tuple[str, list[str]]) -> tuple[str, float, float]:
    """(variant, bits per byte, seconds of training) of one run."""
    from groundup.training import load_config, train

    name, settings = job
    with tempfile.TemporaryDirectory() as folder:
        result = train(load_config("shakespeare", settings), Path(folder) / "run")
    return name, result.val_bits_per_byte, result.seconds


def main() -> None:
    """Run the variants and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=840)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    common = [f"training.steps={arguments.steps}", f"training.device={arguments.device}"]
    common += [f"{key}={arguments.steps}" for key in ("evaluation.every", "evaluation.samples_every")]
    common += ["evaluation.sample_tokens=1"]
    jobs = [
        (name, [*common, *settings, f"training.seed={seed}"])
        for seed in arguments.seeds
        for name, settings in VARIANTS.items()
        if arguments.only in name or not settings
    ]
    values: dict[str, list[float]] = {}
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.jobs) as pool:
        for number, (name, value, seconds) in enumerate(pool.imap_unordered(measured, jobs), start=1):
            values.setdefault(name, []).append(value)
            print(f"  {number:3}/{len(jobs)}  {value:.4f}  {seconds:6.1f} s  {name}", flush=True)
    base = statistics.mean(values["the preset"])
    print(f"\n| {'':36} | bits per byte | change |\n|{'-' * 38}|--------------:|-------:|")
    for name in VARIANTS:
        if name in values:
            mean = statistics.mean(values[name])
            print(f"| {name:36} | {mean:13.3f} | {mean - base:+6.3f} |")


if __name__ == "__main__":
    main()
