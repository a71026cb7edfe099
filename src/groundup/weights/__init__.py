"""How weights are kept, and how real ones get in and out.

In reading order: `safetensors_file` is the file that numbers lie in; `manifest` and `checkpoint`
keep a training run safe; `gpt2`, `families`, `huggingface_config`, `memory` and `huggingface` speak with the rest of
the world; `load` is the one door to it all.
"""

from .checkpoint import (
    Checkpoint,
    clean_leftovers,
    has_checkpoints,
    load_checkpoint,
    newest_checkpoint,
    prune,
    save_checkpoint,
)
from .gpt2 import convert_gpt2_weights
from .huggingface import read_huggingface, write_huggingface
from .load import check_tokenizer, load, load_tokenizer, read_model_config, save
from .manifest import state_id

__all__ = [
    "Checkpoint",
    "check_tokenizer",
    "clean_leftovers",
    "convert_gpt2_weights",
    "has_checkpoints",
    "load",
    "load_checkpoint",
    "load_tokenizer",
    "newest_checkpoint",
    "prune",
    "read_huggingface",
    "read_model_config",
    "save",
    "save_checkpoint",
    "state_id",
    "write_huggingface",
]
