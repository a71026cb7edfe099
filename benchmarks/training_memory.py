"""Memory in training, beside what the config's arithmetic predicts.

    python benchmarks/training_memory.py

Each setting is trained for three steps in a process of its own. What is measured is the highest number of bytes that
the process had in memory, less those that it had before the model was made.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

GPT2 = {"vocab_size": 50257, "context_length": 256, "d_model": 768, "n_heads": 12}
SETTINGS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "shakespeare's, 8 layers, batch 32": (
        {"vocab_size": 2048, "context_length": 256, "n_layers": 8, "d_model": 256, "n_heads": 8, "position": "rope",
         "norm": "rms", "feed_forward": "relu2", "bias": False}, {"batch_size": 32, "optimizer": "muon"}),
    "GPT-2's, 6 layers, batch 4": (GPT2 | {"n_layers": 6}, {"batch_size": 4}),
    "GPT-2's, 12 layers, batch 2": (GPT2 | {"n_layers": 12}, {"batch_size": 2}),
    "GPT-2's, 12 layers, batch 8 in fours": (GPT2 | {"n_layers": 12}, {"batch_size": 8, "micro_batch_size": 4}),
    "small, cores side by side": (
        {"vocab_size": 512, "context_length": 128, "n_layers": 6, "d_model": 192, "n_heads": 6}, {"batch_size": 64}),
}  # fmt: skip


def status(key: str) -> int:
    """A line of this process's own account, in bytes."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return 1024 * int(line.split()[1])


def measure(name: str) -> None:
    import torch

    from groundup.model import ModelConfig
    from groundup.training import Parts, TrainConfig
    from groundup.training.config import TrainingSection
    from groundup.training.memory import peak_bytes
    from groundup.training.state import new_state
    from groundup.training.step import take_step

    model, training = SETTINGS[name]
    config = TrainConfig(model=ModelConfig(**model), training=TrainingSection(steps=10, **training))
    torch.rand(300, 300, requires_grad=True).matmul(torch.rand(300, 300)).sum().backward()  # what torch itself sets up
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forget the highest mark so far
    state = new_state(config, Parts(), torch.device("cpu"))
    for step in range(3):
        ids = torch.randint(model["vocab_size"], (training["batch_size"], model["context_length"] + 1))
        take_step(state, ids[:, :-1], ids[:, 1:], 1e-4)
        state.step = step + 1
    answer = {"measured": status("VmHWM") - before, "predicted": peak_bytes(config, state.n_cores)}
    print(json.dumps(answer | {"n_cores": state.n_cores}))


def main() -> None:
    if len(sys.argv) > 1:
        measure(sys.argv[1])
        return
    print(f"{'':42}{'predicted':>12}{'measured':>12}{'ratio':>8}")
    for name in SETTINGS:
        words = [sys.executable, __file__, name]
        answer = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
        measured, predicted = answer["measured"], answer["predicted"]
        print(f"{name:42}{predicted / 1e6:9,.0f} MB{measured / 1e6:9,.0f} MB{measured / predicted:8.2f}")


if __name__ == "__main__":
    main()
