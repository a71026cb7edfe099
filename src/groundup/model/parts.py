"""The parts that a model is made of, in one record: the seam of this chapter (`seam.py` says how it works).

`ModelParts(softmax=mine)` is a model in which `attention_weights` calls `mine`, `scaled_dot_product_attention` calls
that `attention_weights`, and so on up to the whole model.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..seam import Function, Record
from . import attention as _attention
from . import block as _block
from . import dropout as _dropout
from . import embedding as _embedding
from . import feedforward as _feedforward
from . import linear as _linear
from . import norm as _norm
from . import position as _position
from . import transformer as _transformer


@dataclass(frozen=True)
class ModelParts(Record):
    """The parts that a model is made of; the defaults are those of this chapter."""

    linear: Function = _linear.linear
    token_embedding: Function = _embedding.token_embedding
    embed: Function = _embedding.embed
    sinusoidal_positions: Function = _position.sinusoidal_positions
    rope: Function = _position.rope
    softmax: Function = _attention.softmax
    causal_mask: Function = _attention.causal_mask
    sliding_window_mask: Function = _attention.sliding_window_mask
    attention_weights: Function = _attention.attention_weights
    scaled_dot_product_attention: Function = _attention.scaled_dot_product_attention
    split_heads: Function = _attention.split_heads
    merge_heads: Function = _attention.merge_heads
    multi_head_attention: Function = _attention.multi_head_attention
    grouped_query_attention: Function = _attention.grouped_query_attention
    cached_attention: Function = _attention.cached_attention
    dropout: Function = _dropout.dropout
    layer_norm: Function = _norm.layer_norm
    rms_norm: Function = _norm.rms_norm
    gelu: Function = _feedforward.gelu
    feed_forward: Function = _feedforward.feed_forward
    swiglu: Function = _feedforward.swiglu
    transformer_block: Function = _block.transformer_block
    gpt_forward: Function = _transformer.gpt_forward
    init_gpt: Function = _transformer.init_gpt
    # joints
    attention: Function = _attention.attention
    residual_norm: Function = _norm.residual_norm
    mlp: Function = _feedforward.mlp
