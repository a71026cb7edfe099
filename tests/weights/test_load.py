"""One door: a run directory, a checkpoint or a Hugging Face folder; anything else is refused with what would do."""

from __future__ import annotations

import importlib
import json
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small import random_ids, small_model

from groundup import files
from groundup.config import to_toml
from groundup.errors import CheckpointError, ConfigError, GroundupError, TokenizerError, WeightsError
from groundup.model import ModelConfig, ModelParts, Transformer
from groundup.report import Report
from groundup.text import Tokenizer
from groundup.weights import load, load_tokenizer, read_model_config, save, save_checkpoint
from groundup.weights.huggingface import tensor_shapes
from groundup.weights.huggingface_config import family_of, write_config
from groundup.weights.memory import available_bytes, require_memory

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
MODERN: dict[str, Any] = {"position": "rope", "norm": "rms", "feed_forward": "relu2", "bias": False, "qk_norm": True}


@dataclass(frozen=True)
class Config:
    """A run's config, as far as a model needs it."""

    model: ModelConfig


def a_run(folder: Path, model: Transformer, steps: tuple[int, ...] = (1, 2)) -> Path:
    """A run directory in which every step's wte is filled with the step's number."""
    files.write_text(folder / "config.toml", to_toml(Config(model.config)) + "[training]\nsteps = 2\n")
    for step in steps:
        with torch.no_grad():
            model.wte.fill_(step)
        tensors = dict(model.named_parameters())
        save_checkpoint(folder / "checkpoints", step, tensors, {"m": torch.zeros(2)}, {"step": step}, "f" * 32, {})
    return folder


def refused(where: str | Path) -> GroundupError:
    with pytest.raises(GroundupError) as caught:
        load(where)
    return caught.value


@pytest.mark.parametrize("settings", [{}, MODERN, {"position": "sinusoidal"}, {"tie_embeddings": False}])
def test_a_run_directory_gives_its_newest_checkpoint(settings: dict[str, Any], tmp_path: Path) -> None:
    model = small_model(**settings)
    run = a_run(tmp_path / "run", model)
    loaded = load(run)
    assert loaded.config == model.config
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    with torch.no_grad():
        assert torch.equal(loaded(random_ids(2, 9)), model(random_ids(2, 9)))


def test_a_checkpoint_by_name_gives_that_one(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    assert load(str(run / "checkpoints" / "step-000000000001")).wte.unique().item() == 1
    assert load(run).wte.unique().item() == 2


def test_a_damaged_newest_checkpoint_is_told_and_the_older_one_given(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    (run / "checkpoints" / "step-000000000002" / "state.json").write_bytes(b"{}\n")
    warnings: list[str] = []

    class Heard(Report):
        def warn(self, text: str) -> None:
            warnings.append(text)

    assert load(run, report=Heard()).wte.unique().item() == 1
    assert len(warnings) == 1


def test_the_tensors_of_another_config_are_refused(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace("vocab_size = 13", "vocab_size = 14"))
    error = refused(run)
    assert (error.code, error.status) == ("CFG_TENSORS", 2)
    assert "wte" in error.what


def test_a_broken_config_is_a_config_error(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    (run / "config.toml").write_text("[model]\nvocab_sizes = 3\n")
    assert isinstance(refused(run), ConfigError)
    (run / "config.toml").unlink()
    assert isinstance(refused(run), ConfigError)


def test_dtype_and_parts_are_as_asked(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    assert load(run).wte.dtype == torch.float32
    assert load(run, dtype=torch.bfloat16).wte.dtype == torch.bfloat16
    assert load(run, device="meta").wte.is_meta

    def doubled(x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    assert load(run, parts=ModelParts(gelu=doubled)).parts.own == {"gelu"}


def test_a_file_of_two_dtypes_becomes_a_model_of_the_wider_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(REFERENCE / "llama", tmp_path / "llama"))
    tensors = load_file(folder / "model.safetensors")
    mixed = {name: tensor.bfloat16() if "proj" in name else tensor for name, tensor in tensors.items()}
    save_file(mixed, folder / "model.safetensors")
    model = load(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    model(random_ids(1, 5))


def test_loading_twice_gives_two_models(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model())
    one, other = load(run), load(run)
    with torch.no_grad():
        one.wte.fill_(9)
    assert other.wte.unique().item() == 2


# What is no model


def test_a_place_that_does_not_exist_is_a_wrong_request(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert (type(error), error.code, error.status) == (WeightsError, "PATH", 2)
    assert "nowhere" in error.what and "run directory" in error.fix and "config.json" in error.fix
    assert refused("smollm2").status == 2


def test_a_folder_or_file_of_another_kind_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    for where in (tmp_path, tmp_path / "notes.txt", REFERENCE / "llama" / "model.safetensors"):
        error = refused(where)
        assert (error.code, error.status) == ("PATH_KIND", 2)


def test_a_run_without_a_checkpoint_is_told_from_a_folder_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    error = refused(tmp_path)
    assert (type(error), error.code) == (CheckpointError, "CKPT_NONE")
    assert f"groundup train --run-dir {tmp_path} --resume" in error.fix


def test_token_shards_are_no_model_and_no_pickles(tmp_path: Path) -> None:
    for name in ("index.json", "train-000000.bin"):
        (tmp_path / name).write_text("{}")
    error = refused(tmp_path)
    assert (type(error), error.code) == (WeightsError, "PATH_KIND")
    assert "token shards" in error.what


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "a.pth", "b.ckpt"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    for where in (tmp_path, tmp_path / name):
        error = refused(where)
        assert (type(error), error.code) == (CheckpointError, "CKPT_FORMAT")
        assert name in error.what and "save_pretrained" in error.fix


def test_a_hugging_face_folder_with_pickled_weights_is_refused(tmp_path: Path) -> None:
    shutil.copy(REFERENCE / "llama" / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    error = refused(tmp_path)
    assert error.code == "CKPT_FORMAT"
    assert "safetensors" in error.fix


def test_a_run_without_a_checkpoint_says_so(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model(), steps=())
    (run / "checkpoints").mkdir()
    assert refused(run).code == "CKPT_NONE"


# The tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train("to be, or not to be, that is the question. " * 3, 265)


def test_a_tokenizer_is_found_in_every_kind_of_place(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model(vocab_size=tokenizer.vocab_size))
    tokenizer.save(run / "tokenizer")
    save(load(run), tokenizer, tmp_path / "exported")
    for where in (run, run / "checkpoints" / "step-000000000001", tmp_path / "exported", str(run)):
        assert load_tokenizer(where).sha256 == tokenizer.sha256
        assert read_model_config(where).vocab_size == tokenizer.vocab_size


def test_t3_a_tokenizer_with_more_ids_than_the_model_has_rows_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    model = small_model(vocab_size=tokenizer.vocab_size - 1)
    run = a_run(tmp_path / "run", model)
    tokenizer.save(run / "tokenizer")
    for attempt in (lambda: load_tokenizer(run), lambda: save(model, tokenizer, tmp_path / "exported")):
        with pytest.raises(TokenizerError) as caught:
            attempt()
        assert (caught.value.code, caught.value.status) == ("TOK_MATCH", 2)
        assert str(tokenizer.vocab_size) in caught.value.what and str(model.config.vocab_size) in caught.value.what
    assert not (tmp_path / "exported").exists()


def test_t3_more_rows_than_ids_are_allowed(tokenizer: Tokenizer, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", small_model(vocab_size=300))
    tokenizer.save(run / "tokenizer")
    assert load_tokenizer(run).vocab_size == tokenizer.vocab_size


@pytest.fixture
def run_with_another_tokenizer(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A run whose tokenizer.json was replaced by another one of the same size."""
    run = a_run(tmp_path / "run", small_model(vocab_size=tokenizer.vocab_size))
    files.write_text(run / "run.json", json.dumps({"tokenizer_sha256": tokenizer.sha256}))
    tokenizer.save(run / "tokenizer")
    assert load_tokenizer(run).sha256 == tokenizer.sha256
    Tokenizer.train("that is the answer to the question of the day. " * 3, 265).save(run / "tokenizer")
    return run


def test_t3_a_run_whose_tokenizer_was_replaced_is_refused(
    run_with_another_tokenizer: Path, tokenizer: Tokenizer
) -> None:
    run = run_with_another_tokenizer
    other = Tokenizer.load(run)
    assert other.vocab_size == tokenizer.vocab_size
    for where in (run, run / "checkpoints" / "step-000000000002"):
        with pytest.raises(TokenizerError) as caught:
            load_tokenizer(where)
        assert (caught.value.code, caught.value.status) == ("TOK_MATCH", 2)
        assert tokenizer.sha256 in caught.value.what and other.sha256 in caught.value.what


def test_t3_teeth_without_the_check_the_replaced_tokenizer_is_taken(
    run_with_another_tokenizer: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = importlib.import_module("groundup.weights.load")  # in the package the name is the function's
    monkeypatch.setattr(chapter, "check_run_tokenizer", lambda tokenizer, run: None)
    assert load_tokenizer(run_with_another_tokenizer).sha256 != tokenizer.sha256


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokenizer_sha256": 1, "tokenizer_sha256": 2}', "\x80"])
def test_a_damaged_run_json_is_said(tokenizer: Tokenizer, tmp_path: Path, text: str) -> None:
    run = a_run(tmp_path / "run", small_model(vocab_size=tokenizer.vocab_size))
    tokenizer.save(run / "tokenizer")
    files.write_text(run / "run.json", text)
    with pytest.raises(CheckpointError) as caught:
        load_tokenizer(run)
    assert caught.value.code == "RUN_JSON"


def test_a_missing_tokenizer_is_said(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError):
        load_tokenizer(a_run(tmp_path / "run", small_model()))


# Memory


@contextmanager
def address_space(n_bytes: int) -> Iterator[None]:
    """This process may have at most so many bytes more."""
    limit = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + n_bytes, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say how much is in use")
def test_a_model_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """The weights are a file with a hole: eight gigabytes in name, a few kilobytes on the disk."""
    with torch.device("meta"):
        model = Transformer(ModelConfig(vocab_size=1 << 20, d_model=1024, n_layers=1))
    family = family_of(model.config)
    (tmp_path / "config.json").write_text(json.dumps(write_config(model, family, None)))
    header, end = {}, 0
    for name, shape in tensor_shapes(model.config, family).items():
        begin, end = end, end + 4 * torch.Size(shape).numel()
        header[family.full_name(name)] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    with address_space(1 << 30), pytest.raises(WeightsError) as caught:
        load(tmp_path)
    assert (caught.value.code, caught.value.status) == ("MEM", 3)
    assert f"{8 + len(text) + end:,} bytes" in caught.value.what


def test_the_memory_that_is_free_is_neither_nothing_nor_everything() -> None:
    free = available_bytes()
    assert free is None or 1 << 20 < free < 1 << 50
    require_memory(1, "here")
