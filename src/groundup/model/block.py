"""The transformer block: look around, then think it over, and add both to what was there.

A block never replaces its input. Attention and the feed-forward network each read a normalised copy of the stream and
add their answer to it, so that gradients have a straight way from the loss down to the embedding: deep models train
because of these two plus signs. The norm comes before each branch ("pre-norm"), which needs no careful warm-up.

    x ─┬─ norm ─ attention ─(+)─┬─ norm ─ feed-forward ─(+)─> out
       └────────────────────────┴───────────────────────┘

Read next: `transformer.py`.
Sources: Vaswani et al. 2017, section 3.1; Xiong et al. 2020 (pre-norm), section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .attention import Attention, Cache, multi_head_attention
from .dropout import dropout
from .feedforward import FeedForward, feed_forward
from .norm import Norm, layer_norm

if TYPE_CHECKING:
    from .config import ModelConfig
    from .parts import ModelParts


def transformer_block(
    x: Tensor,
    p: Mapping[str, Tensor],
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    layer_norm=layer_norm,
    multi_head_attention=multi_head_attention,
    feed_forward=feed_forward,
    apply_dropout=dropout,
) -> Tensor:
    """GPT-2's block, from its parameters by name; a bias that is missing means none.

    x: (B, T, C) -> (B, T, C). p: `ln1.weight`, `attn.w_q`, `mlp.w_up` and so on. dropout acts on the attention weights
    and on what each branch adds.
    """
    normed = layer_norm(x, p["ln1.weight"], p.get("ln1.bias"))  # (B, T, C)
    attended = multi_head_attention(  # (B, T, C)
        normed,
        *(p[f"attn.w_{name}"] for name in "qkvo"),
        n_heads,
        *(p.get(f"attn.b_{name}") for name in "qkvo"),
        dropout=dropout,
        generator=generator,
    )
    x = x + apply_dropout(attended, dropout, dropout > 0, generator)  # (B, T, C)
    normed = layer_norm(x, p["ln2.weight"], p.get("ln2.bias"))  # (B, T, C)
    thought = feed_forward(normed, p["mlp.w_up"], p.get("mlp.b_up"), p["mlp.w_down"], p.get("mlp.b_down"))  # (B, T, C)
    return x + apply_dropout(thought, dropout, dropout > 0, generator)  # (B, T, C)


class Block(nn.Module):
    """One block with its weights, for every kind of model."""

    def __init__(self, config: ModelConfig, parts: ModelParts, name: str) -> None:
        super().__init__()
        self.config, self.parts, self.name = config, parts, name
        self.ln1 = Norm(config, parts)
        self.attn = Attention(config, parts, f"{name}.attn")
        self.ln2 = Norm(config, parts)
        self.mlp = FeedForward(config, parts)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        cache: Cache | list[Cache] | None = None,
        record: dict[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        same_document: Tensor | None = None,
    ) -> Tensor:
        """x: (B, T, C), positions: (T,), same_document: (B, 1, T, T) or None -> (B, T, C)."""
        rate = self.config.dropout if self.training else 0.0
        if "transformer_block" in self.parts.own:
            random = {"dropout": rate, "generator": generator} if rate > 0 else {}
            return self.parts.transformer_block(x, dict(self.named_parameters()), self.config.n_heads, **random)
        x, normed = self.ln1(x)  # (B, T, C)
        attended = self.attn(normed, positions, cache, record, generator, same_document)  # (B, T, C)
        x, normed = self.ln2(x, self.parts.dropout(attended, rate, rate > 0, generator))  # (B, T, C)
        thought = self.mlp(normed)  # (B, T, C)
        x = x + self.parts.dropout(thought, rate, rate > 0, generator)  # (B, T, C)
        if record is not None:
            record |= {f"{self.name}.mlp.out": thought, f"{self.name}.out": x}
        return x
