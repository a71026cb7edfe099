"""config.json: a model's settings in the words of its family.

Every setting that changes what a model computes is either carried over, or must have a value that our one Transformer
can do; anything else is refused by name. A model that computed something slightly different would load without a
complaint and write slightly worse text for ever.

Read next: `memory.py`.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any, NoReturn

from ..config import convert
from ..errors import ConfigError, WeightsError, quoted
from ..model import ModelConfig, Transformer
from ..text.tokenizer import END_OF_TEXT, Tokenizer
from .families import FAMILIES, REQUIRED, Family

# Sizes beyond any model are refused before anything is multiplied with them.
LARGEST = {"vocab_size": 1 << 27, "context_length": 1 << 27}
LARGEST_WIDTH = 1 << 20

Json = dict[str, Any]


def family_named(raw: Json, path: Path) -> Family:
    """The family that a config.json names. Raises WeightsError (CFG_VALUE) that lists those there are."""
    model_type = raw.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        _unsupported("model_type", model_type, f"supported are {', '.join(FAMILIES)}", path)
    return FAMILIES[model_type]


def read_config(raw: Json, family: Family, path: Path) -> ModelConfig:
    """Our config from their settings. Raises WeightsError (CFG_VALUE) that names the field and what is supported."""
    raw = {**raw, **_rope_settings(raw, path)}
    for field, allowed in family.only.items():
        if raw.get(field) not in allowed:
            choices = ", ".join(json.dumps(value) for value in allowed if value is not None)
            _unsupported(field, raw[field], f"supported is {choices}", path)
    for field, original in family.copies.items():
        if field in raw and original in raw and raw[field] != raw[original]:
            _unsupported(field, raw[field], f"it must be the same as {original}, {raw[original]}", path)
    hints = typing.get_type_hints(ModelConfig)
    settings = dict(family.always)
    for ours, (theirs, default) in family.settings.items():
        value = raw.get(theirs, default)
        if value is REQUIRED:
            raise WeightsError(f"{theirs} is missing", where=str(path), fix="get the file again", code="CFG_VALUE")
        value = default if value is None else value  # null stands for the family's own choice
        settings[ours], fault = convert(value, hints[ours])
        if isinstance(value, int) and value > LARGEST.get(ours, LARGEST_WIDTH):
            fault = "no model is so large"
        if fault:
            _unsupported(theirs, value, fault, path)
    try:
        return ModelConfig(**typing.cast(Any, settings))
    except ConfigError as error:
        raise WeightsError(
            f"the settings contradict each other: {error.what}",
            where=str(path),
            fix=error.fix,
            code="CFG_VALUE",
            status=2,
        ) from error


def _rope_settings(raw: Json, path: Path) -> Json:
    """rope_theta and rope_type, from today's rope_parameters or from where older configs have them."""
    table = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(table, dict):
        _unsupported("rope_parameters", table, "it must be a table", path)
    settings: Json = {"rope_type": table.get("rope_type", table.get("type", "default"))}
    if settings["rope_type"] == "default":
        for field in sorted(set(table) - {"rope_theta", "rope_type", "type"}):
            _unsupported(f"rope_parameters.{field}", table[field], "supported are rope_theta and rope_type", path)
    return settings | ({"rope_theta": table["rope_theta"]} if "rope_theta" in table else {})


def _unsupported(field: str, value: object, instead: str, path: Path) -> NoReturn:
    shown = quoted(json.dumps(value, ensure_ascii=False, default=str), 80)
    raise WeightsError(
        f"{field} is {shown}: {instead}", where=str(path), fix="use another model", code="CFG_VALUE", status=2
    )


def family_of(config: ModelConfig) -> Family:
    """The family that can express this config. Raises WeightsError (CFG_FAMILY) with the settings that none can."""
    differences = {name: _differences(config, family) for name, family in FAMILIES.items()}
    nearest = min(differences, key=lambda name: len(differences[name]))
    if differences[nearest]:
        raise WeightsError(
            f"no family of the Hugging Face layout has {' and '.join(differences[nearest])}",
            where=f"the nearest is {nearest}",
            fix="keep the run directory: groundup loads it as it is",
            code="CFG_FAMILY",
            status=2,
        )
    return FAMILIES[nearest]


def _differences(config: ModelConfig, family: Family) -> list[str]:
    """Our settings that would come back as others from the family's config.json. Dropout is for training alone."""
    wanted = resolved(config)
    untold = {field.name: field.default for field in dataclasses.fields(ModelConfig) if field.name != "dropout"}
    implied = {"n_kv_heads": config.n_heads, "d_head": config.d_model / config.n_heads}
    back = {**untold, **implied, **{name: wanted[name] for name in family.settings}, **family.always}
    return [f"model.{name} = {wanted[name]}" for name in back if wanted[name] != back[name]]


def resolved(config: ModelConfig) -> Json:
    """All settings, with what None stands for put in where the model itself puts it in."""
    plain = {name: getattr(config, name) for name in typing.get_type_hints(ModelConfig)}
    sizes = {"n_kv_heads": config.kv_heads, "d_head": config.head_width, "d_ff": config.hidden_width}
    return plain | sizes | {"norm_eps": config.eps}


def write_config(model: Transformer, family: Family, tokenizer: Tokenizer | None) -> Json:
    """The config.json of a model, in its family's words."""
    values = resolved(model.config)
    raw: Json = {"model_type": family.model_type, "architectures": [family.architecture], "use_cache": True}
    raw |= {theirs: values[ours] for ours, (theirs, _) in family.settings.items()}
    raw |= {field: allowed[0] for field, allowed in family.only.items() if field != "rope_type"}
    raw |= {field: raw[original] for field, original in family.copies.items()}
    if "rope_theta" in raw:  # readers of today look into rope_parameters, older ones at the top
        raw["rope_parameters"] = {"rope_type": "default", "rope_theta": raw["rope_theta"]}
    end = None if tokenizer is None else tokenizer.end_of_text
    raw |= {"bos_token_id": end, "eos_token_id": end, "pad_token_id": None}
    return raw | {"torch_dtype": str(model.wte.dtype).removeprefix("torch.")}


def tokenizer_config(config: ModelConfig, tokenizer: Tokenizer) -> Json:
    """Tells transformers to take tokenizer.json as it is, and not by the habits of the family."""
    named = {} if tokenizer.end_of_text is None else {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.context_length,
        "clean_up_tokenization_spaces": False,
        **named,
    }
