"""Hugging Face's layout, in and out: how real weights come in, and how ours get to others.

    FOLDER/config.json          the settings, in the family's own words
           model.safetensors    the weights; or several files and model.safetensors.index.json
           tokenizer.json

Everything is checked before memory is taken for it: the config field by field, then every tensor's name and shape, from
the files' headers, against what this config's model needs. What does not fit is listed; nothing is ever loaded in part
or filled in at random. `families.py` has the tables.

Read next: `load.py`.
"""

from __future__ import annotations

import json
import re
import secrets
import typing
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from .. import files
from ..errors import WeightsError, quoted
from ..model import ModelConfig, Transformer
from ..strict_json import parse_json
from ..text.tokenizer import Tokenizer
from .families import Family
from .gpt2 import Tensors
from .huggingface_config import Json, family_named, family_of, read_config, tokenizer_config, write_config
from .memory import require_memory
from .safetensors_file import DTYPES, Entry, Layout, read_error, read_layout, read_tensors, write_tensors

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors")
MAX_CONFIG_BYTES = 1 << 20
MAX_INDEX_BYTES = 64 << 20
SHOWN = 20

# Reading


def read_huggingface(folder: Path) -> tuple[ModelConfig, Tensors]:
    """The config and the weights, by our names, in the dtype in which they are stored.

    Raises WeightsError: CFG_PARSE, CFG_VALUE for a config that we cannot do, CFG_TENSORS when it speaks of another
    model than the tensors, WEIGHTS_MATCH when tensors are missing, extra or of another shape, INDEX, ST_HEADER, MEM.
    """
    family, config = _read_config(folder)
    layouts = _read_layouts(folder)
    found = _plain_entries(layouts, family, folder)
    _check_tensors(config, family, found, folder)
    require_memory(sum(layout.n_bytes for layout in layouts.values()), str(folder))
    theirs: Tensors = {}
    for path, layout in layouts.items():
        for name, tensor in read_tensors(path, layout).items():
            plain = family.plain_name(name)
            theirs |= {plain: tensor} if plain is not None else {}
    _check_tie(config, theirs, theirs[family.embedding], folder)
    ours = family.to_ours(theirs, config.n_layers)
    # An output of its own may still have the embedding's values, as at the start of a training.
    return config, ours if config.tie_embeddings else ours | {"lm_head.weight": theirs["lm_head.weight"]}


def read_huggingface_config(folder: Path) -> ModelConfig:
    """The config alone. Raises WeightsError as read_huggingface."""
    return _read_config(folder)[1]


def _read_config(folder: Path) -> tuple[Family, ModelConfig]:
    raw = _read_json(folder / CONFIG, MAX_CONFIG_BYTES, "CFG_PARSE")
    family = family_named(raw, folder / CONFIG)
    return family, read_config(raw, family, folder / CONFIG)


def _read_json(path: Path, limit: int, code: str) -> Json:
    try:
        with files.open_regular(path) as file:
            data = files.read_whole(file, limit + 1)
    except OSError as error:
        raise read_error(error, path) from error
    try:
        if len(data) > limit:
            raise ValueError(f"it is larger than {limit:,} bytes")
        value = parse_json(data)
        if not isinstance(value, dict):
            raise ValueError("it is not a JSON object")
    except ValueError as error:
        raise WeightsError(
            f"{path.name} cannot be read: {quoted(str(error))}", where=str(path), fix="get the file again", code=code
        ) from error
    return typing.cast(Json, value)


def _read_layouts(folder: Path) -> dict[Path, Layout]:
    """The checked headers of all files of weights."""
    if (folder / WEIGHTS).exists():
        return {folder / WEIGHTS: read_layout(folder / WEIGHTS)}
    if not (folder / INDEX).exists():
        raise WeightsError(
            f"there is neither {WEIGHTS} nor {INDEX} here",
            where=str(folder),
            fix="get the weights as safetensors; pickles (.bin, .pt) are not opened: they can run code",
            code="CKPT_FORMAT",
        )
    index = _read_json(folder / INDEX, MAX_INDEX_BYTES, "INDEX")
    placed = index.get("weight_map")
    if not isinstance(placed, dict) or not placed:
        _index_fault("has no weight_map", folder)
    for tensor, name in placed.items():
        if not isinstance(name, str) or not SHARD_NAME.fullmatch(name):
            _index_fault(
                f"puts {quoted(tensor, 80)} into {quoted(str(name), 80)}, which is no name of a file here", folder
            )
        if not (folder / name).is_file():
            _index_fault(f"names {quoted(name, 80)}, which is missing", folder)
    layouts = {folder / name: read_layout(folder / name) for name in sorted(set(placed.values()))}
    for path, layout in layouts.items():
        listed = {tensor for tensor, name in placed.items() if name == path.name}
        if strays := sorted(listed ^ set(layout.entries)):
            _index_fault(f"and {path.name} disagree about {quoted(strays[0], 80)}", folder)
    return layouts


def _index_fault(what: str, folder: Path) -> NoReturn:
    raise WeightsError(f"{INDEX} {what}", where=str(folder / INDEX), fix="get the folder again", code="INDEX")


def _plain_entries(layouts: Mapping[Path, Layout], family: Family, folder: Path) -> dict[str, Entry]:
    """All tensors by their plain names, without what holds no weights."""
    found: dict[str, Entry] = {}
    for layout in layouts.values():
        for name, entry in layout.entries.items():
            plain = family.plain_name(name)
            if plain in found:
                raise WeightsError(
                    f"{quoted(plain, 80)} is there twice, with and without the prefix {family.prefix}",
                    where=str(folder),
                    fix="get the weights again",
                    code="WEIGHTS_MATCH",
                )
            found |= {plain: entry} if plain is not None else {}
    return found


def _check_tensors(config: ModelConfig, family: Family, found: Mapping[str, Entry], folder: Path) -> None:
    """Compare what the config's model needs with what is there, by names and shapes alone."""
    numbers = {name.removeprefix(family.layer).partition(".")[0] for name in found if name.startswith(family.layer)}
    if len(numbers) != config.n_layers:
        field = family.settings["n_layers"][0]
        _mismatch(
            "CFG_TENSORS", f"{field} is {config.n_layers:,}, the tensors have {len(numbers):,} layers", [], folder
        )
    needed = tensor_shapes(config, family)
    if config.tie_embeddings and "lm_head.weight" in found:
        needed["lm_head.weight"] = needed[family.embedding]
    wrong = {name: found[name].shape for name in needed if name in found and found[name].shape != needed[name]}
    lines = [f"{name} is missing" for name in needed if name not in found]
    lines += [f"{quoted(name, 80)} has no place" for name in found if name not in needed]
    lines += [f"{name} is {list(shape)}, the config asks for {list(needed[name])}" for name, shape in wrong.items()]
    lines += [
        f"{name} has dtype {found[name].dtype}, which is no kind of weight"
        for name in needed
        if name in found and not DTYPES[found[name].dtype].is_floating_point
    ]
    # Sizes that are wrong in every layer, and not just the two axes in exchange, speak against the config.
    resized = Counter(_kind(name) for name, shape in wrong.items() if sorted(shape) != sorted(needed[name]))
    all_of_a_kind = Counter(map(_kind, needed))
    if lines:
        everywhere = any(resized[kind] == all_of_a_kind[kind] for kind in resized)
        code = "CFG_TENSORS" if everywhere else "WEIGHTS_MATCH"
        _mismatch(code, f"{len(lines)} of the tensors do not fit {CONFIG}", lines, folder)


def tensor_shapes(config: ModelConfig, family: Family) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors of this config's model, by their plain names; no memory is taken for them."""
    with torch.device("meta"), torch.no_grad():
        theirs = family.to_theirs(dict(Transformer(config).named_parameters()), config.n_layers)
    return {name: tuple(tensor.shape) for name, tensor in theirs.items()}


def _kind(name: str) -> str:
    """A tensor's name without the number of its layer."""
    return re.sub(r"\.\d+\.", ".{i}.", name)


def _mismatch(code: str, what: str, lines: list[str], folder: Path) -> NoReturn:
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    listed = "".join(f"\n         {line}" for line in [*lines[:SHOWN], *more])
    raise WeightsError(
        what,
        where=f"{folder}{listed}",
        fix=f"get {CONFIG} and the weights from the same place",
        code=code,
        status=2 if code == "CFG_TENSORS" else 3,
    )


def _check_tie(config: ModelConfig, theirs: Tensors, embedding: Tensor, folder: Path) -> None:
    """A tied output may be stored once more; as another matrix it would be lost."""
    head = theirs.pop("lm_head.weight", None) if config.tie_embeddings else None
    if head is not None and not torch.equal(head, embedding):
        raise WeightsError(
            "the output is tied to the embedding, but lm_head.weight is another matrix",
            where=str(folder),
            fix=f"set tie_word_embeddings to false in {CONFIG}",
            code="WEIGHTS_MATCH",
        )


# Writing


def write_huggingface(model: Transformer, tokenizer: Tokenizer | None, folder: Path) -> None:
    """Write a model so that transformers, vLLM and llama.cpp's converter load it; the folder is complete or absent.

    Raises WeightsError: CFG_FAMILY when no family has the model's settings, PATH_EXISTS when something is there.
    """
    model = with_folded_norm(model)
    family = family_of(model.config)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WeightsError(
            "something is already here", where=str(folder), fix="name a new folder", code="PATH_EXISTS", status=2
        )
    theirs = family.to_theirs(dict(model.named_parameters()), model.config.n_layers)
    temporary = folder.with_name(f".tmp-{folder.name}-{secrets.token_hex(4)}")
    with files.storage_errors(folder):
        files.require_writable(folder)  # a place that takes nothing may say that 0 bytes are free, and is not full
        files.require_space(folder, sum(tensor.nbytes for tensor in theirs.values()))
        try:
            files.make_folder(temporary)
            _write_json(temporary / CONFIG, write_config(model, family, tokenizer))
            with files.create(temporary / WEIGHTS) as file:
                write_tensors(file, {family.full_name(name): tensor for name, tensor in theirs.items()})
            if tokenizer is not None:
                tokenizer.save(temporary)
                _write_json(temporary / "tokenizer_config.json", tokenizer_config(model.config, tokenizer))
            files.sync_folder(temporary)
            files.rename(temporary, folder)
        finally:
            files.discard_folder(temporary)


def with_folded_norm(model: Transformer) -> Transformer:
    """The same model without a norm on its embedding, where that norm can be worked into the table.

    The norm looks at each token's row by itself, so the normalised rows are a table too. That needs a table that is
    not also the output, and no position added to the rows first.
    """
    config = model.config
    if not config.embedding_norm or config.tie_embeddings or config.position not in ("rope", "none"):
        return model
    folded = Transformer(replace(config, embedding_norm=False), model.parts)
    tensors = dict(model.state_dict())
    assert model.ln_e is not None
    with torch.no_grad():
        _, tensors["wte"] = model.ln_e(model.wte)  # (V, C)
    folded.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith("ln_e.")})
    return folded


def _write_json(path: Path, value: Json) -> None:
    with files.create(path) as file:
        file.write((json.dumps(value, indent=2, sort_keys=True) + "\n").encode("utf-8"))
