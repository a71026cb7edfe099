"""What a run reads: texts or shards, masked documents or not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from training.on_disk import N_STEPS, TEXTS, TOKENIZER, StopAt, make_shards, refused, state_id, train_on

from groundup.errors import CheckpointError, ConfigError, DataError, GroundupError
from groundup.report import Report
from groundup.text import Tokenizer, shards
from groundup.text.prepare import PrepareOptions, prepare
from groundup.training import Parts, load_config
from groundup.training.data import Shards, Texts, read_data
from groundup.training.run_directory import RunDirectory
from groundup.weights.checkpoint import load_checkpoint

# --- shards -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_0_1_and_4_workers_and_any_resume_read_the_same(prepared: Path, tmp_path: Path) -> None:
    for n_workers in (0, 1, 4):
        train_on(prepared, tmp_path / str(n_workers), f"data.workers={n_workers}")
    for stop in (1, 5, 8):
        path = tmp_path / f"stopped-{stop}"
        with pytest.raises(GroundupError):
            train_on(prepared, path, "data.workers=2", report=StopAt(stop))
        train_on(prepared, path, f"data.workers={stop % 2}", resume=True)  # their number decides nothing
        assert state_id(path) == state_id(tmp_path / "0")
    assert state_id(tmp_path / "1") == state_id(tmp_path / "4") == state_id(tmp_path / "0")


def test_shards_train_the_same_model_as_their_texts_in_memory(tmp_path: Path) -> None:
    folder = make_shards(tmp_path, val_fraction=0)
    TOKENIZER.save(tmp_path / "tokenizer")
    (tmp_path / "val.txt").write_text(TEXTS[0])
    texts = [f"data.tokenizer={tmp_path / 'tokenizer'}", f'data.val=["{tmp_path / "val.txt"}"]']
    train_on(tmp_path / "texts.jsonl", tmp_path / "a", *texts)
    held_out = tmp_path / "held out"
    prepare([str(tmp_path / "val.txt")], TOKENIZER, held_out, PrepareOptions(workers=0, val_fraction=0))
    result = train_on(folder, tmp_path / "b", f'data.val=["{held_out}"]')
    assert (
        load_checkpoint(tmp_path / "a" / "checkpoints" / f"step-{N_STEPS:012d}").manifest["files"]["model.safetensors"]
        == load_checkpoint(tmp_path / "b" / "checkpoints" / f"step-{N_STEPS:012d}").manifest["files"][
            "model.safetensors"
        ]
    )
    assert 0 < result.val_bits_per_byte < 20


def test_what_is_held_out_is_what_the_shards_hold_out_or_the_last_tenth(prepared: Path, tmp_path: Path) -> None:
    found = read_data(load_config("first-gpt", [f'data.train=["{prepared}"]']).data)
    assert isinstance(found, Shards)
    train_ids, val_ids = found.parts()
    assert len(val_ids) == sum(entry["n_tokens"] for entry in shards.open_shards(prepared).entries("val"))
    assert set(found.held_out_texts()) <= set(TEXTS)
    whole = read_data(load_config("first-gpt", [f'data.train=["{make_shards(tmp_path, 0)}"]']).data)
    assert isinstance(whole, Shards)
    first, rest = whole.parts()
    assert len(first) == int(0.9 * (len(first) + len(rest))) == int(0.9 * (len(train_ids) + len(val_ids)))


def test_shards_of_another_tokenizer_are_refused(prepared: Path, tmp_path: Path) -> None:
    Tokenizer.train(TEXTS[0], 280).save(tmp_path / "tokenizer")
    error = refused(prepared, tmp_path / "run", f"data.tokenizer={tmp_path / 'tokenizer'}")
    assert (error.code, error.status) == ("TOK_MATCH", 2)
    assert TOKENIZER.sha256 in error.what
    assert not (tmp_path / "run").exists()


def test_shards_and_texts_are_not_mixed(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ConfigError):
        read_data(load_config("first-gpt", [f'data.train=["{prepared}", "{tmp_path / "a.txt"}"]']).data)
    whole = make_shards(tmp_path, 0)
    with pytest.raises(ConfigError, match="holds nothing out"):
        read_data(load_config("first-gpt", [f'data.train=["{whole}"]', f'data.val=["{whole}"]']).data)


def test_a_text_in_memory_needs_no_workers(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\n\n".join(TEXTS))
    notes: list[str] = []
    report = type("Notes", (Report,), {"note": lambda self, text: notes.append(text)})()
    train_on(tmp_path / "a.txt", tmp_path / "run", "data.workers=2", report=report)
    assert any("data.workers" in note for note in notes)


# --- documents ----------------------------------------------------------------------------------------------------

MASK = "data.documents=mask"


def test_masked_documents_train_another_model_the_same_with_fast_and_plain_parts(
    prepared: Path, tmp_path: Path
) -> None:
    losses = {
        name: train_on(prepared, tmp_path / name, *settings).loss
        for name, settings in {
            "cross": [],
            "fast": [MASK],
            "plain": [MASK, "training.parts=plain"],
        }.items()
    }
    assert losses["fast"] == pytest.approx(losses["plain"], abs=1e-5)
    assert abs(losses["fast"] - losses["cross"]) > 1e-5


def test_masked_documents_need_a_token_that_ends_them(tmp_path: Path) -> None:
    Tokenizer.train(TEXTS, 300, specials=()).save(tmp_path / "tokenizer")
    (tmp_path / "a.txt").write_text("\n\n".join(TEXTS))
    error = refused(tmp_path / "a.txt", tmp_path / "run", MASK, f"data.tokenizer={tmp_path / 'tokenizer'}")
    assert (error.code, error.status) == ("CFG_VALUE", 2) and "data.documents" in error.where


@pytest.mark.parametrize("part", ["multi_head_attention", "transformer_block", "gpt_forward", "train_step"])
def test_an_own_composite_part_contradicts_masked_documents(part: str) -> None:
    def own(*arguments: object, dropout: float = 0.0, generator: torch.Generator | None = None) -> None:
        """Never called."""

    with pytest.raises(ConfigError, match=r"data\.documents"):
        Parts(**{part: own}).check(load_config("first-gpt", [MASK]))
    Parts(**{part: own}).check(load_config("first-gpt"))


def test_texts_are_read_as_before() -> None:
    assert isinstance(read_data(load_config("first-gpt").data), Texts)
    with pytest.raises(DataError):
        read_data(load_config("first-gpt", ["data.train=nothing.txt"]).data)


@pytest.mark.parametrize("kind", ["pipe", "folder", "nested", "too long"])
def test_accepted_data_that_are_no_table_are_refused_and_not_waited_for(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "accepted-data.json"
    make = {
        "pipe": os.mkfifo,
        "folder": Path.mkdir,
        "nested": lambda path: path.write_text("[" * 100_000),
        "too long": lambda path: path.write_text("[" + " " * (1 << 20) + "]"),
    }
    assert RunDirectory(tmp_path)._accepted_data() == []
    make[kind](path)
    with pytest.raises(CheckpointError) as caught:
        RunDirectory(tmp_path)._accepted_data()
    assert (caught.value.code, caught.value.status) == ("RUN_JSON", 3)
