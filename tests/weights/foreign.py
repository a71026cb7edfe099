"""For the tests of Hugging Face's layout: folders as others write them, to be changed and refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from groundup.errors import WeightsError
from groundup.model import Transformer
from groundup.weights import read_huggingface

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
MODELS = ["gpt2", "llama", "llama-tied", "qwen3"]
LLAMA: dict[str, Any] = {"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "n_kv_heads": 2}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "gpt2, wide and untied": {"d_ff": 24, "tie_embeddings": False, "norm_eps": 1e-3},
    "llama": LLAMA | {"tie_embeddings": False},
    "llama, tied, narrow heads": LLAMA | {"d_head": 6, "rope_theta": 500.0, "d_ff": 10, "norm_eps": 1e-2},
    "qwen3": LLAMA | {"qk_norm": True, "d_head": 8},
    "qwen3, untied, one key head": LLAMA | {"qk_norm": True, "n_kv_heads": 1, "tie_embeddings": False},
}


def copy_of(name: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(REFERENCE / name, tmp_path / name))


def edit_config(folder: Path, **changes: Any) -> None:
    raw = json.loads((folder / "config.json").read_text()) | changes
    raw = {key: value for key, value in raw.items() if value != "absent"}
    (folder / "config.json").write_text(json.dumps(raw))


def edit_tensors(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")


def refused(folder: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        read_huggingface(folder)
    return caught.value


def assert_same_weights(one: Transformer, other: Transformer) -> None:
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
