"""The transformer: ids in, a score for every possible next token out.

An embedding, a pile of blocks, a last norm, and an output that compares each token's final state with every row of the
vocabulary. There is one model here; its config makes it GPT-2, Llama or Qwen3 (`config.py`), and its parts can be
anybody's (`parts.py`). `gpt_forward` and `init_gpt` are the same for the book's architecture, as plain functions over
parameters by name.

Sources: Radford et al. 2019 (GPT-2), section 2.3; Touvron et al. 2023 (Llama), section 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from ..errors import ShapeError
from .attention import Cache, same_document_mask
from .block import Block, transformer_block
from .dropout import dropout
from .embedding import embed
from .linear import linear
from .norm import Norm, layer_norm

if TYPE_CHECKING:
    from .config import ModelConfig
    from .parts import ModelParts


def gpt_forward(
    ids: Tensor,
    p: Mapping[str, Tensor],
    n_layers: int,
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    embed=embed,
    transformer_block=transformer_block,
    layer_norm=layer_norm,
    linear=linear,
    apply_dropout=dropout,
) -> Tensor:
    """GPT-2 from its parameters by name: `wte`, `wpe`, `h.0.attn.w_q`, … `ln_f.weight`, `ln_f.bias`.

    ids: (B, T) -> logits (B, T, V). The output is tied to `wte` unless there is an `lm_head.weight`.
    """
    x = embed(ids, p["wte"], p["wpe"])  # (B, T, C)
    x = apply_dropout(x, dropout, dropout > 0, generator)
    for i in range(n_layers):
        prefix = f"h.{i}."
        block = {name.removeprefix(prefix): value for name, value in p.items() if name.startswith(prefix)}
        x = transformer_block(x, block, n_heads, dropout=dropout, generator=generator)  # (B, T, C)
    x = layer_norm(x, p["ln_f.weight"], p.get("ln_f.bias"))  # (B, T, C)
    return linear(x, p["lm_head.weight"] if "lm_head.weight" in p else p["wte"])  # (B, T, V)


def init_gpt(
    vocab_size: int, context_length: int, n_layers: int, n_heads: int, d_model: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """GPT-2's first weights: normal with deviation 0.02, the projections back into the stream smaller.

    Returns the parameters of `gpt_forward` by name. n_heads cuts the features and changes no shape.
    Source: Radford et al. 2019, section 2.3: residual layers are scaled by 1/√N, N the number of residual branches.
    """

    def normal(*shape: int, deviation: float = 0.02) -> Tensor:
        return torch.normal(0.0, deviation, shape, generator=generator)

    c, f = d_model, 4 * d_model
    into_stream = 0.02 / math.sqrt(2 * n_layers)
    p = {"wte": normal(vocab_size, c), "wpe": normal(context_length, c)}
    for i in range(n_layers):
        block = {f"attn.w_{name}": normal(c, c) for name in "qkv"}
        block |= {"attn.w_o": normal(c, c, deviation=into_stream)}
        block |= {"mlp.w_up": normal(f, c), "mlp.w_down": normal(c, f, deviation=into_stream)}
        block |= {f"attn.b_{name}": torch.zeros(c) for name in "qkvo"}
        block |= {"mlp.b_up": torch.zeros(f), "mlp.b_down": torch.zeros(c)}
        for norm in ("ln1", "ln2"):
            block |= {f"{norm}.weight": torch.ones(c), f"{norm}.bias": torch.zeros(c)}
        p |= {f"h.{i}.{name}": value for name, value in block.items()}
    return p | {"ln_f.weight": torch.ones(c), "ln_f.bias": torch.zeros(c)}


def count_parameters(
    vocab_size: int, context_length: int, n_layers: int, n_heads: int, d_model: int, tied: bool = True
) -> int:
    """How many parameters gpt_forward's model has, with biases: 124,439,808 for (50257, 1024, 12, 12, 768), GPT-2."""
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = 2 * 4 * d_model * d_model + 4 * d_model + d_model
    norms = 2 * 2 * d_model
    embeddings = vocab_size * d_model * (1 if tied else 2) + context_length * d_model
    return embeddings + n_layers * (attention + feed_forward + norms) + 2 * d_model


class ModelCache(Protocol):
    """What a model needs of a cache: a dictionary for each layer, and how many tokens were read into them.

    Where every token goes on with a text of its own, a layer has a dictionary for each of them.
    """

    length: int

    @property
    def layers(self) -> Sequence[Cache] | Sequence[list[Cache]]:
        """From the first to the last."""
        ...


class Transformer(nn.Module):
    """A decoder-only transformer of any config, made of any parts.

    Parameters have the names of PARTS: `wte`, `wpe`, `h.0.attn.w_q`, `h.0.mlp.w_up`, `ln_f.weight`, `lm_head.weight`.
    They are empty until `init_weights` or a loader fills them.
    """

    def __init__(self, config: ModelConfig, parts: ModelParts | None = None) -> None:
        super().__init__()
        if parts is None:
            from .parts import ModelParts

            parts = ModelParts()
        self.config, self.parts = config, parts
        v, c, n_positions = config.vocab_size, config.d_model, config.context_length
        self.wte = nn.Parameter(torch.empty(v, c))  # (V, C)
        self.wpe = nn.Parameter(torch.empty(n_positions, c)) if config.position == "learned" else None  # (L, C)
        waves = parts.sinusoidal_positions(n_positions, c) if config.position == "sinusoidal" else None  # (L, C)
        self.waves: Tensor | None
        self.register_buffer("waves", waves, persistent=False)
        self.ln_e = Norm(config, parts) if config.embedding_norm else None
        self.h = nn.ModuleList(Block(config, parts, f"h.{i}") for i in range(config.n_layers))
        self.ln_f = Norm(config, parts)
        self.lm_head = None if config.tie_embeddings else Output(config)

    def forward(
        self,
        ids: Tensor,
        cache: ModelCache | None = None,
        record: dict[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        documents: Tensor | None = None,
    ) -> Tensor:
        """The scores of every token for what comes next. ids: (B, T) -> (B, T, V).

        documents: (B, T), which document each token belongs to, if attention is to stay inside of each.
        """
        if "gpt_forward" in self.parts.own:
            rate = self.config.dropout if self.training else 0.0
            random = {"dropout": rate, "generator": generator} if rate > 0 else {}
            p = dict(self.named_parameters())
            return self.parts.gpt_forward(ids, p, self.config.n_layers, self.config.n_heads, **random)
        logits = self.logits(self.hidden(ids, cache, record, generator, documents))  # (B, T, V)
        if record is not None:
            record["logits"] = logits
        return logits

    def hidden(
        self,
        ids: Tensor,
        cache: ModelCache | None = None,
        record: dict[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """The final state of every token, before the output layer. ids: (B, T) -> (B, T, C); documents as above.

        positions: (T,), where the tokens stand; one after the other, after those in the cache, unless given. Whoever
        gives them counts the tokens of the cache.
        """
        if ids.dim() != 2:
            raise ShapeError(f"ids have shape {tuple(ids.shape)}", where="Transformer", fix="give them as (B, T)")
        past = 0 if cache is None else cache.length
        n_tokens = ids.shape[1]
        is_bounded = positions is None and not (cache is not None and self.config.is_endless)
        if is_bounded and past + n_tokens > self.config.context_length:
            raise ShapeError(
                f"{past + n_tokens} tokens do not fit into a context of {self.config.context_length}",
                where="Transformer",
                fix="give it the last tokens only",
                code="LENGTH",
            )
        rate = self.config.dropout if self.training else 0.0
        places = torch.arange(past, past + n_tokens, device=ids.device) if positions is None else positions  # (T,)
        x = self._embed(ids, past if positions is None else positions)  # (B, T, C)
        if self.ln_e is not None:
            # The rows of rare tokens have hardly been trained: here they come in as large as the others.
            _, x = self.ln_e(x)  # (B, T, C)
        x = self.parts.dropout(x, rate, rate > 0, generator)
        if record is not None:
            record["embedded"] = x
        same_document = None if documents is None else same_document_mask(documents)  # (B, 1, T, T)
        for i, block in enumerate(self.h):
            layer = None if cache is None else cache.layers[i]
            x = block(x, places, layer, record, generator, same_document)  # (B, T, C)
        if cache is not None and positions is None:
            cache.length += n_tokens
        _, x = self.ln_f(x)  # (B, T, C)
        if record is not None:
            record["ln_f"] = x
        return x

    def _embed(self, ids: Tensor, past: int | Tensor) -> Tensor:
        places = self.wpe if self.config.position == "learned" else self.waves  # (L, C)
        if places is None:
            return self.parts.token_embedding(ids, self.wte)  # (B, T, C)
        # A cache has taken the first `past` places: the new tokens use the rows after them, or those of their own.
        rows = places[past : past + ids.shape[1]] if isinstance(past, int) else places[past]  # (T, C)
        return self.parts.embed(ids, self.wte, rows.to(self.wte.dtype))  # (B, T, C)

    @property
    def output_weight(self) -> Tensor:
        """The matrix of the output layer (V, C): the embedding's own when tied."""
        return self.wte if self.lm_head is None else self.lm_head.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden: (…, C) -> (…, V)."""
        return soft_cap(self.parts.linear(hidden, self.output_weight), self.config.logit_soft_cap)  # (…, V)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> Transformer:
        """Fill all parameters with first values, drawn from `generator`; returns the model itself."""
        config, parameters = self.config, dict(self.named_parameters())
        if config.is_gpt2:
            sizes = (config.vocab_size, config.context_length, config.n_layers, config.n_heads, config.d_model)
            first = self.parts.init_gpt(*sizes, generator)
        else:
            first = {}
        for name, parameter in parameters.items():
            value = first[name] if name in first else self._first_value(name, parameter, generator)
            if value.shape != parameter.shape:  # copy_ would stretch it without a word
                raise ShapeError(f"init_gpt gave {name} as {tuple(value.shape)}, not {tuple(parameter.shape)}")
            parameter.copy_(value)
        return self

    def _first_value(self, name: str, parameter: Tensor, generator: torch.Generator) -> Tensor:
        """As init_gpt: norms 1, biases 0, matrices normal, those that write into the stream smaller."""
        if parameter.dim() < 2:
            is_scale = name.endswith("norm") or name.endswith("weight")  # q_norm, ln1.weight; the rest are biases
            return torch.ones_like(parameter) if is_scale else torch.zeros_like(parameter)
        into_stream = name.endswith(("attn.w_o", "mlp.w_down"))
        deviation = 0.02 / math.sqrt(2 * self.config.n_layers) if into_stream else 0.02
        return torch.normal(0.0, deviation, parameter.shape, generator=generator)


class Output(nn.Module):
    """The output layer's own matrix, where it is not tied to the embedding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.vocab_size, config.d_model))  # (V, C)


def soft_cap(logits: Tensor, cap: float | None) -> Tensor:
    """Keep logits within ±cap without a corner. Source: Gemma 2 report 2024, section 2."""
    return logits if cap is None else cap * torch.tanh(logits / cap)
