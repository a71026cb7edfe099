"""`groundup export`."""

from __future__ import annotations

from pathlib import Path

import torch
from command_line import Run
from transformers import AutoModelForCausalLM

from groundup.weights import load


def test_what_is_exported_gives_the_same_logits_in_transformers(trained: Path, tmp_path: Path, groundup: Run) -> None:
    out = tmp_path / "for others"
    shown = groundup("export", trained, "--out", out)
    assert shown.status == 0, shown.err
    assert "config.json" in shown.out
    assert f"AutoModelForCausalLM.from_pretrained({str(out)!r})" in shown.out
    ids = torch.tensor([[1, 2, 3, 4]])
    theirs = AutoModelForCausalLM.from_pretrained(out)
    torch.testing.assert_close(theirs(ids).logits, load(trained)(ids), atol=1e-4, rtol=1e-4)
    # And it is a model for our own commands too.
    words = ("I had", "--strategy", "greedy", "--max-tokens", 8)
    assert groundup("generate", out, *words).out == groundup("generate", trained, *words).out


def test_json_names_the_files(trained: Path, tmp_path: Path, groundup: Run) -> None:
    answer = groundup("export", trained, "--out", tmp_path / "out", "--json").json
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(answer["files"])


def test_a_folder_that_is_there_is_left_alone(trained: Path, tmp_path: Path, groundup: Run) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.json").write_text("mine")
    shown = groundup("export", trained, "--out", tmp_path / "out")
    assert shown.status in (2, 3)
    assert (tmp_path / "out" / "config.json").read_text() == "mine"
