"""Weights in several files with an index: all of it is read, and nothing outside the folder (row W5)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers
from safetensors.torch import load_file, save_file
from weights.foreign import (
    REFERENCE,
    assert_same_weights,
    copy_of,
    refused,
)

from groundup.weights import load


def sharded(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    folder = copy_of("qwen3", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    placed = {}
    for i, name in enumerate(sorted(tensors)):
        placed[name] = f"model-0000{i % 3 + 1}-of-00003.safetensors"
    for file in set(placed.values()):
        save_file({name: tensors[name] for name in tensors if placed[name] == file}, folder / file)
    index = {"metadata": {"total_size": 1}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder, index


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    folder, _ = sharded(tmp_path)
    assert_same_weights(load(folder), load(REFERENCE / "qwen3"))


def test_transformers_own_shards_are_read(tmp_path: Path) -> None:
    theirs = transformers.AutoModelForCausalLM.from_pretrained(REFERENCE / "llama")
    theirs.save_pretrained(tmp_path / "model", max_shard_size="100KB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    assert_same_weights(load(tmp_path / "model"), load(REFERENCE / "llama"))


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "x.bin", ".safetensors", 3, ""])
def test_an_index_may_name_files_of_its_folder_alone(name: object, tmp_path: Path) -> None:
    folder, index = sharded(tmp_path)
    shutil.copy(next(folder.glob("*.safetensors")), tmp_path / "x.safetensors")
    index["weight_map"]["model.norm.weight"] = name
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    error = refused(folder)
    assert (error.code, error.status) == ("INDEX", 3)


def test_a_crooked_index_is_refused(tmp_path: Path) -> None:
    folder, index = sharded(tmp_path)
    path = folder / "model.safetensors.index.json"
    placed = index["weight_map"]
    moved = placed | {"model.norm.weight": next(f for f in set(placed.values()) if f != placed["model.norm.weight"])}
    twice = json.dumps(index).replace('"model.norm.weight"', '"model.embed_tokens.weight"')
    missing = placed | {"model.norm.weight": "model-00009-of-00003.safetensors"}
    less = {name: file for name, file in placed.items() if name != "model.norm.weight"}
    crooked = [json.dumps({"weight_map": weight_map}) for weight_map in (moved, missing, less, {}, [], None)]
    for text in (*crooked, twice, "{}", "{"):
        path.write_text(text)
        assert refused(folder).code == "INDEX", text[:100]


def test_a_shard_that_is_missing_or_damaged_is_said(tmp_path: Path) -> None:
    folder, _ = sharded(tmp_path)
    shard = folder / "model-00002-of-00003.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    assert refused(folder).code == "ST_HEADER"
    shard.unlink()
    assert refused(folder).code == "INDEX"
