"""One door for every kind of model that lies on a disk.

    model = load("runs/shakespeare-001")                      the newest checkpoint that is whole
    model = load("runs/…/checkpoints/step-000000001000")      this one
    model = load("downloads/gpt2")                            a folder in Hugging Face's layout

Whatever it was, what comes back is the one Transformer, with its weights in it and dropout off.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..config import build, read_toml
from ..errors import CheckpointError, TokenizerError, WeightsError, quoted
from ..model import ModelConfig, ModelParts, Transformer
from ..report import SILENT, Report
from ..strict_json import parse_json
from ..text.shards import INDEX
from ..text.tokenizer import Tokenizer
from .checkpoint import load_checkpoint, newest_checkpoint
from .huggingface import read_huggingface, read_huggingface_config, write_huggingface
from .manifest import MANIFEST
from .memory import require_memory

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
KINDS = "give a run directory, one checkpoint, or a folder with config.json and model.safetensors"


@dataclass(frozen=True)
class ModelFile:
    """The one section of a run's config.toml that a model is made from."""

    model: ModelConfig


def load(
    where: str | Path,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    parts: ModelParts | None = None,
    report: Report = SILENT,
) -> Transformer:
    """The model that lies at `where`, ready to use: on the CPU and in the stored dtype unless told otherwise.

    Raises WeightsError or CheckpointError that says what was looked for; StorageError when it cannot be read.
    """
    folder = _folder(where)
    if _is_huggingface(folder):
        config, tensors = read_huggingface(folder)
    else:
        config, tensors = read_model_config(folder), _checkpoint_tensors(folder, report)
        _check_names(config, tensors, folder)
    model = Transformer(config, parts)
    model.load_state_dict(tensors, assign=True)
    # A few files mix dtypes; arithmetic does not, so that the widest of them is taken for all.
    stored = {tensor.dtype for tensor in tensors.values()}
    if dtype is None and len(stored) > 1:
        dtype = max(stored, key=lambda kind: torch.finfo(kind).bits)
    if dtype is not None and stored != {dtype}:
        require_memory(sum(tensor.numel() for tensor in tensors.values()) * dtype.itemsize, str(folder))
    return model.to(device=device, dtype=dtype).eval()


def load_tokenizer(where: str | Path) -> Tokenizer:
    """The tokenizer that belongs to the model at `where`.

    Raises TokenizerError (TOK_MATCH) if it has more ids than the model has rows, or is not the one of the run;
    CheckpointError (RUN_JSON) for a run.json that cannot be read.
    """
    folder = _folder(where)
    is_run = not _is_huggingface(folder)
    tokenizer = Tokenizer.load(_run_of(folder) if is_run else folder)
    if is_run:
        check_run_tokenizer(tokenizer, _run_of(folder))
    check_tokenizer(tokenizer, read_model_config(folder), folder)
    return tokenizer


def save(model: Transformer, tokenizer: Tokenizer | None, path: str | Path) -> None:
    """Write a model in Hugging Face's layout into the new folder `path`. Raises as write_huggingface."""
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.config, Path(path))
    write_huggingface(model, tokenizer, Path(path))


def check_tokenizer(tokenizer: Tokenizer, config: ModelConfig, where: Path) -> None:
    """Raise TokenizerError (TOK_MATCH) when the tokenizer has more ids than the model has rows; fewer are fine."""
    if tokenizer.vocab_size > config.vocab_size:
        raise TokenizerError(
            f"the tokenizer has {tokenizer.vocab_size:,} ids, the model {config.vocab_size:,} rows for them",
            where=str(where),
            fix="use the tokenizer that the model was trained with",
            code="TOK_MATCH",
            status=2,
        )


def check_run_tokenizer(tokenizer: Tokenizer, run: Path) -> None:
    """Raise TokenizerError (TOK_MATCH) where the file in a run is not the tokenizer that it was trained with.

    The text that another one of the same size makes of a model's ids is fluent nonsense, and nothing else would notice.
    """
    path = run / "run.json"
    if not path.exists():
        return
    try:
        trained_with = cast("dict[str, object]", parse_json(path.read_bytes()))["tokenizer_sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            "run.json is damaged", where=str(path), fix="restore it from a copy", code="RUN_JSON"
        ) from error
    if tokenizer.sha256 != trained_with:
        raise TokenizerError(
            f"the run was trained with another tokenizer: its sha256 was {trained_with}, now {tokenizer.sha256}",
            where=str(run / "tokenizer" / "tokenizer.json"),
            fix="bring the run's own tokenizer.json back",
            code="TOK_MATCH",
            status=2,
        )


def read_model_config(where: str | Path) -> ModelConfig:
    """The config of the model at `where`, without its weights."""
    folder = _folder(where)
    if _is_huggingface(folder):
        return read_huggingface_config(folder)
    path = _run_of(folder) / "config.toml"
    table = read_toml(path).get("model", {})
    return build(ModelFile, {"model": table}, str(path)).model


def _folder(where: str | Path) -> Path:
    """The folder at `where`, if it can be that of a model."""
    path = Path(where)
    if path.suffix in PICKLES and path.is_file():
        _refuse_pickle(path)
    if not path.exists():
        raise WeightsError(f"{quoted(str(where))} does not exist", fix=KINDS, code="PATH", status=2)
    if not path.is_dir():
        raise WeightsError(
            "this is a file, and a model is a folder", where=str(path), fix=KINDS, code="PATH_KIND", status=2
        )
    path = path.resolve()
    if any((path / name).exists() for name in ("checkpoints", MANIFEST, "config.json")):
        return path
    if (path / "run.json").exists():
        raise CheckpointError(
            "this run has no checkpoint yet",
            where=str(path),
            fix=f"train it up to its first one: groundup train --run-dir {shlex.quote(str(where))} --resume",
            code="CKPT_NONE",
        )
    if (path / INDEX).exists():
        raise WeightsError(
            "these are token shards to train on, and no model", where=str(path), fix=KINDS, code="PATH_KIND", status=2
        )
    pickles = [file for file in sorted(path.iterdir()) if file.suffix in PICKLES]
    if pickles:
        _refuse_pickle(pickles[0])
    raise WeightsError(
        "there is no model here: neither checkpoints, nor manifest.json, nor config.json",
        where=str(path),
        fix=KINDS,
        code="PATH_KIND",
        status=2,
    )


def _refuse_pickle(path: Path) -> None:
    raise CheckpointError(
        f"{path.name} is a pickle: loading it could run any code",
        where=str(path),
        fix="where you trust it, load it with transformers and save_pretrained(folder); then give that folder",
        code="CKPT_FORMAT",
    )


def _is_huggingface(folder: Path) -> bool:
    return (folder / "config.json").exists()


def _run_of(folder: Path) -> Path:
    """The run directory that a folder is, or that this checkpoint lies in."""
    return folder.parent.parent if (folder / MANIFEST).exists() else folder


def _checkpoint_tensors(folder: Path, report: Report) -> dict[str, Tensor]:
    if (folder / MANIFEST).exists():
        return load_checkpoint(folder).model
    return newest_checkpoint(folder / "checkpoints", report).model


def _check_names(config: ModelConfig, tensors: dict[str, Tensor], folder: Path) -> None:
    """A checkpoint that is whole may still belong to another config.toml."""
    with torch.device("meta"):
        needed = {name: tuple(parameter.shape) for name, parameter in Transformer(config).named_parameters()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in needed.keys() | found.keys() if needed.get(name) != found.get(name))
    if wrong:
        raise WeightsError(
            f"{len(wrong)} tensors do not fit config.toml, {quoted(wrong[0], 80)} for one",
            where=str(folder),
            fix="put the run's own config.toml back",
            code="CFG_TENSORS",
            status=2,
        )
