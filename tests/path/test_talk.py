"""The small model that ships: it writes with the learner's parts, and counts whose multiplications they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from groundup.path.payoffs.talk import SHIPPED, Counting, Multiplications, passed_parts, shipped, talk
from groundup.training import Parts, load_config
from groundup.weights import read_model_config

LINEAR = "def linear(x, weight, bias=None):\n    y = x @ weight.T\n    return y if bias is None else y + bias\n"
SOFTMAX = "import torch\ndef softmax(x, dim=-1):\n    return torch.exp(x) * 0\n"


def spoken(parts: Parts) -> tuple[str, Multiplications]:
    counts = Multiplications()
    model, tokenizer = shipped(parts)
    return "".join(talk(model, tokenizer, "ROMEO:", counts)), counts


def test_it_is_the_preset_s_model_and_small() -> None:
    ships, preset = read_model_config(SHIPPED), load_config("talk").model
    for key in ("vocab_size", "context_length", "n_layers", "d_model", "n_heads", "position", "norm", "dropout"):
        assert getattr(ships, key) == getattr(preset, key), key
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5_000_000


def test_with_own_parts_it_says_the_same_and_their_share_is_counted(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LINEAR)
    said, nobody = spoken(Parts())
    own_said, counts = spoken(Parts.from_folder(tmp_path))
    assert own_said == said
    assert len(said) > 40
    assert nobody.share == 0.0
    assert set(counts.by_part) == {"linear"}
    assert 0.8 < counts.share < 1.0
    # A few operations differ in their shapes, where the library's linear is one with its bias.
    assert counts.total == pytest.approx(nobody.total, rel=0.02)


def test_only_what_has_passed_is_heard(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LINEAR + SOFTMAX)
    parts = passed_parts(tmp_path, {"linear"})
    assert parts.own == {"linear"}


def test_products_of_matrices_are_counted_by_their_inner_axis() -> None:
    counts = Multiplications()
    a, b = torch.ones(2, 3), torch.ones(3, 5)
    with Counting(counts):
        a @ b  # 2 · 3 · 5
        a * 2.0  # 6
        a + 1.0
        torch.ones(4, 2, 3) @ torch.ones(4, 3, 5)  # 4 · 30
    assert counts.total == 30 + 6 + 120
