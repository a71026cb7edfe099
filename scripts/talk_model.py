"""Pack the model that `groundup learn talk` lets one hear.

    groundup train talk --run-dir runs/talk
    python scripts/talk_model.py runs/talk

Half precision: two bytes a number are enough to write with, and the package stays small.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

from groundup.path.payoffs.talk import SHIPPED
from groundup.weights import load, load_tokenizer, save


def main() -> None:
    """Replace the model in the package by that of a run."""
    run = Path(sys.argv[1])
    if SHIPPED.exists():
        shutil.rmtree(SHIPPED)
    save(load(run, dtype=torch.float16), load_tokenizer(run), SHIPPED)
    for path in sorted(SHIPPED.iterdir()):
        print(f"{path.name:24} {path.stat().st_size:>10,} bytes")


if __name__ == "__main__":
    main()
