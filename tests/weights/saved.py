"""For the tests of checkpoints: a small state, saved as often as is asked for, and forged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundup.canonical_json import canonical_json
from groundup.report import Report
from groundup.weights import (
    save_checkpoint,
)

RUN = "0123456789abcdef0123456789abcdef"
DAMAGE = {"CKPT_HASH", "CKPT_SIZE", "CKPT_MISSING", "CKPT_NAME", "CKPT_FORMAT"}


class Heard(Report):
    """Remembers the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def tensors(seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    weights = {
        name: torch.randn(shape, generator=generator) for name, shape in (("wte", (5, 4)), ("ln_f.weight", (4,)))
    }
    half = torch.randn(3, generator=generator).bfloat16()
    return weights, {"m.wte": torch.rand(5, 4, generator=generator), "half": half, "count": torch.tensor(seed)}


def save(folder: Path, step: int, *, seed: int | None = None, run_id: str = RUN, **state: Any) -> Path:
    model, optimizer = tensors(step if seed is None else seed)
    return save_checkpoint(folder, step, model, optimizer, {"step": step, "lr": 0.1 * step, **state}, run_id, {"t": 1})


def bad(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder.parent / "bad").glob("*"))


def forge(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a manifest and give it a right hash again, as only a programme would."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    change(manifest)
    del manifest["self"]
    rest = canonical_json(manifest)
    manifest["self"] = hashlib.sha256(rest).hexdigest()
    (path / "manifest.json").write_bytes(canonical_json(manifest))


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without special rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
