"""The families of models that the Hugging Face layout knows, as tables: their settings and their names, beside ours.

There is one Transformer in this library, and a family is nothing but a way to spell its config and its parameters. So
adding a family means adding a table: which of its settings is which of ours, what it never varies, which values of its
other settings we can do, and what its tensors are called.

GPT-2 alone needs more than names, and has `gpt2.py`.

Read next: `huggingface_config.py` and `huggingface.py`, which read and write with these tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .gpt2 import Tensors, convert_gpt2_weights, to_gpt2

REQUIRED = object()  # in place of a default: the config must say it


@dataclass(frozen=True)
class Family:
    """One family. In names, {i} stands for the number of a layer."""

    model_type: str  # in config.json
    architecture: str
    prefix: str  # before all names but lm_head's; files of a model without its output lack it
    settings: Mapping[str, tuple[str, object]]  # ours -> theirs, and the value when config.json is silent
    always: Mapping[str, object]  # what the family never varies, in our settings
    only: Mapping[str, tuple[object, ...]]  # their other settings that matter: the values we can do; None is silence
    copies: Mapping[str, str]  # further names of theirs for a setting, which must agree with it
    embedding: str  # their name of wte
    layer: str  # a layer's prefix among their names
    leftovers: str  # a pattern of their tensors that hold no weights
    to_ours: Callable[[Tensors, int], Tensors]  # (their tensors without the prefix, n_layers)
    to_theirs: Callable[[Tensors, int], Tensors]

    def plain_name(self, name: str) -> str | None:
        """A tensor's name in a file, as the tables have it; None when it holds no weights."""
        plain = name.removeprefix(self.prefix)
        return None if re.fullmatch(self.leftovers, plain) else plain

    def full_name(self, plain: str) -> str:
        """A tensor's name as the file of a whole model has it."""
        return plain if plain.startswith("lm_head.") else self.prefix + plain


@dataclass(frozen=True)
class Renaming:
    """Conversion by a table of names, ours -> theirs, where the tensors themselves are alike."""

    names: Mapping[str, str]

    def to_ours(self, theirs: Tensors, n_layers: int) -> Tensors:
        """Their tensors under our names."""
        return {mine: theirs[other] for mine, other in self._pairs(n_layers) if other in theirs}

    def to_theirs(self, ours: Tensors, n_layers: int) -> Tensors:
        """Our tensors under their names."""
        return {other: ours[mine] for mine, other in self._pairs(n_layers) if mine in ours}

    def _pairs(self, n_layers: int) -> list[tuple[str, str]]:
        pairs: dict[str, str] = {}
        for mine, other in self.names.items():
            repeats = range(n_layers) if "{i}" in mine else (0,)
            pairs |= {mine.format(i=i): other.format(i=i) for i in repeats}
        return list(pairs.items())


LLAMA_NAMES = Renaming(
    {
        "wte": "embed_tokens.weight",
        "h.{i}.ln1.weight": "layers.{i}.input_layernorm.weight",
        "h.{i}.attn.w_q": "layers.{i}.self_attn.q_proj.weight",
        "h.{i}.attn.w_k": "layers.{i}.self_attn.k_proj.weight",
        "h.{i}.attn.w_v": "layers.{i}.self_attn.v_proj.weight",
        "h.{i}.attn.w_o": "layers.{i}.self_attn.o_proj.weight",
        "h.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm.weight",
        "h.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm.weight",
        "h.{i}.ln2.weight": "layers.{i}.post_attention_layernorm.weight",
        "h.{i}.mlp.w_gate": "layers.{i}.mlp.gate_proj.weight",
        "h.{i}.mlp.w_up": "layers.{i}.mlp.up_proj.weight",
        "h.{i}.mlp.w_down": "layers.{i}.mlp.down_proj.weight",
        "ln_f.weight": "norm.weight",
        "lm_head.weight": "lm_head.weight",
    }
)
LLAMA_SETTINGS: dict[str, tuple[str, object]] = {
    "vocab_size": ("vocab_size", REQUIRED),
    "context_length": ("max_position_embeddings", REQUIRED),
    "n_layers": ("num_hidden_layers", REQUIRED),
    "d_model": ("hidden_size", REQUIRED),
    "n_heads": ("num_attention_heads", REQUIRED),
    "n_kv_heads": ("num_key_value_heads", None),
    "d_head": ("head_dim", None),
    "d_ff": ("intermediate_size", REQUIRED),
    "norm_eps": ("rms_norm_eps", 1e-6),
    "rope_theta": ("rope_theta", 10000.0),
    "tie_embeddings": ("tie_word_embeddings", False),
}
MODERN: dict[str, object] = {
    "position": "rope",
    "norm": "rms",
    "feed_forward": "swiglu",
    "bias": False,
    "window": None,
    "logit_soft_cap": None,
}

GPT2 = Family(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
    settings={
        "vocab_size": ("vocab_size", REQUIRED),
        "context_length": ("n_positions", REQUIRED),
        "n_layers": ("n_layer", REQUIRED),
        "d_model": ("n_embd", REQUIRED),
        "n_heads": ("n_head", REQUIRED),
        "d_ff": ("n_inner", None),
        "dropout": ("resid_pdrop", 0.1),
        "norm_eps": ("layer_norm_epsilon", 1e-5),
        "tie_embeddings": ("tie_word_embeddings", True),
    },
    always={
        "position": "learned",
        "norm": "layer",
        "feed_forward": "gelu",
        "bias": True,
        "qk_norm": False,
        "window": None,
        "logit_soft_cap": None,
    },
    only={
        "activation_function": ("gelu_new", "gelu_pytorch_tanh", None),
        "scale_attn_weights": (True, None),
        "scale_attn_by_inverse_layer_idx": (False, None),
        "add_cross_attention": (False, None),
    },
    copies={"embd_pdrop": "resid_pdrop", "attn_pdrop": "resid_pdrop"},
    embedding="wte.weight",
    layer="h.",
    leftovers=r"h\.\d+\.attn\.(masked_)?bias",
    to_ours=convert_gpt2_weights,
    to_theirs=to_gpt2,
)

LLAMA = Family(
    model_type="llama",
    architecture="LlamaForCausalLM",
    prefix="model.",
    settings=LLAMA_SETTINGS,
    always={**MODERN, "qk_norm": False},
    only={
        "hidden_act": ("silu", None),
        "rope_type": ("default",),
        "attention_bias": (False, None),
        "mlp_bias": (False, None),
    },
    copies={},
    embedding="embed_tokens.weight",
    layer="layers.",
    leftovers=r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",
    to_ours=LLAMA_NAMES.to_ours,
    to_theirs=LLAMA_NAMES.to_theirs,
)

QWEN3 = replace(
    LLAMA,
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    settings={**LLAMA_SETTINGS, "d_head": ("head_dim", 128)},
    always={**MODERN, "qk_norm": True},
    only={
        "hidden_act": ("silu", None),
        "rope_type": ("default",),
        "attention_bias": (False, None),
        "use_sliding_window": (False, None),
    },
)

FAMILIES = {family.model_type: family for family in (GPT2, LLAMA, QWEN3)}
