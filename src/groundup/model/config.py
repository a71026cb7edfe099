"""What tells one transformer from another: the section `[model]` of a config.

GPT-2, Llama and Qwen3 are one model with different settings, so this short list is also a history of the field:
learned positions gave way to rotary ones, layer norm to RMS norm, GELU to gated units, and all heads having keys of
their own to several sharing one.

Read next: `embedding.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ..config import Section


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Section):
    """The shape of a model. Raises ConfigError when made with settings that cannot be, all faults at once."""

    vocab_size: int = 512  # V: one row of the embedding for each token id
    context_length: int = 128  # L: the most tokens that the model takes
    n_layers: int = 4  # N
    d_model: int = 128  # C
    n_heads: int = 4  # H
    n_kv_heads: int | None = None  # G: heads that share one key and value head are n_heads / n_kv_heads; None: H
    d_head: int | None = None  # D: None: d_model / n_heads
    d_ff: int | None = None  # F: None: 4 · d_model, or 8/3 of it for the gated kinds, which have a third matrix
    dropout: float = 0.0
    position: Literal["learned", "sinusoidal", "rope", "none"] = "learned"
    rope_theta: float = 10000.0
    embedding_norm: bool = False  # normalise the embedding before the first block (BLOOM)
    norm: Literal["layer", "rms"] = "layer"
    norm_eps: float | None = None  # None: 1e-5 for layer norm, 1e-6 for RMS norm
    feed_forward: Literal["gelu", "swiglu", "geglu", "relu2"] = "gelu"
    bias: bool = True  # in the linear layers and in layer norm
    qk_norm: bool = False  # RMS norm of every query and key head before the scores (Qwen3)
    window: int | None = None  # a token sees itself and window - 1 before; None: all before
    logit_soft_cap: float | None = None  # logits become cap · tanh(logits / cap) (Gemma 2)
    tie_embeddings: bool = True  # the output uses the embedding's table

    @property
    def kv_heads(self) -> int:
        """G, the number of key and value heads."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def head_width(self) -> int:
        """D, the width of one head."""
        return self.d_model // self.n_heads if self.d_head is None else self.d_head

    @property
    def hidden_width(self) -> int:
        """F, the width of the feed-forward network."""
        if self.d_ff is not None:
            return self.d_ff
        # Multiples of 8 keep the products of the gated kinds on the fast path of every processor.
        return 8 * round(self.d_model / 3) if self.feed_forward in ("swiglu", "geglu") else 4 * self.d_model

    @property
    def eps(self) -> float:
        """The number that keeps a norm from dividing by zero."""
        return (1e-5 if self.norm == "layer" else 1e-6) if self.norm_eps is None else self.norm_eps

    @property
    def is_gpt2(self) -> bool:
        """Whether this is the architecture of the book: what `gpt_forward` and `init_gpt` describe."""
        return (
            (self.position, self.norm, self.feed_forward) == ("learned", "layer", "gelu")
            and (self.kv_heads, self.head_width * self.n_heads) == (self.n_heads, self.d_model)
            and self.hidden_width == 4 * self.d_model
            and self.bias
            and not self.qk_norm
            and not self.embedding_norm
            and self.window is None
            and self.logit_soft_cap is None
            and self.eps == 1e-5
        )

    @property
    def is_endless(self) -> bool:
        """Whether a text may grow past the context with the tokens before it remembered.

        A token sees window - 1 tokens back, and through each further layer as many more. Where all of that lies inside
        the context, and places count by their distance alone, what fell out of the context is what nobody sees.
        """
        relative = self.position in ("rope", "none")
        return relative and self.window is not None and self.n_layers * (self.window - 1) < self.context_length

    def problems(self) -> Iterator[str]:
        """Each setting that cannot be, with what would do."""
        counts = ("vocab_size", "context_length", "n_layers", "d_model", "n_heads")
        optional = ("n_kv_heads", "d_head", "d_ff", "window")
        too_small = [k for k in (*counts, *optional) if getattr(self, k) is not None and getattr(self, k) < 1]
        for key in too_small:
            yield f"model.{key} is {getattr(self, key)}: use a whole number of at least 1"
        if not 0 <= self.dropout < 1:
            yield f"model.dropout is {self.dropout}: use a number from 0 up to, but not, 1"
        for key in ("rope_theta", "norm_eps", "logit_soft_cap"):
            value = getattr(self, key)
            if value is not None and not value > 0:
                yield f"model.{key} is {value}: use a number above 0"
        if self.bias and self.feed_forward in ("swiglu", "geglu"):
            yield f"model.bias is true: {self.feed_forward} has no biases; set model.bias=false"
        if not too_small:
            yield from self._width_problems()

    def _width_problems(self) -> Iterator[str]:
        if self.d_head is None and self.d_model % self.n_heads:
            yield (
                f"model.n_heads is {self.n_heads}: it must divide model.d_model ({self.d_model}); "
                f"use one of {_divisors(self.d_model)}, or set model.d_head"
            )
        if self.n_heads % self.kv_heads:
            yield (
                f"model.n_kv_heads is {self.n_kv_heads}: it must divide model.n_heads ({self.n_heads}); "
                f"use one of {_divisors(self.n_heads)}"
            )
        if self.position == "rope" and self.head_width % 2:
            yield f"model.d_head is {self.head_width}: rotary positions turn pairs; use an even width"
        if self.position == "sinusoidal" and self.d_model % 2:
            yield f"model.d_model is {self.d_model}: sinusoidal positions need an even width"


def _divisors(n: int) -> str:
    small = [str(d) for d in range(1, min(n, 64) + 1) if n % d == 0]
    return ", ".join(small)
