"""The backward passes in one record: the seam of this chapter.

`BackpropParts(softmax_backward=mine)` is a record whose `attention_backward` calls `mine`, whose
`multi_head_attention_backward` calls that `attention_backward`, and so on up to `gpt_backward`, as `seam.py` says. The
forward functions are not in it: they have the names of the torch parts, and are given.

Read next: `trace.py`.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ..seam import Function, Record, bound_names
from . import attention as _attention
from . import block as _block
from . import embedding as _embedding
from . import feedforward as _feedforward
from . import linear as _linear
from . import loss as _loss
from . import norm as _norm
from . import transformer as _transformer


@dataclass(frozen=True)
class BackpropParts(Record):
    """The parts that backpropagation by hand is made of; the defaults are those of this chapter."""

    linear_backward: Function = _linear.linear_backward
    gelu_backward: Function = _feedforward.gelu_backward
    softmax_backward: Function = _attention.softmax_backward
    cross_entropy_backward: Function = _loss.cross_entropy_backward
    layer_norm_backward: Function = _norm.layer_norm_backward
    embedding_backward: Function = _embedding.embedding_backward
    feed_forward_backward: Function = _feedforward.feed_forward_backward
    attention_backward: Function = _attention.attention_backward
    multi_head_attention_backward: Function = _attention.multi_head_attention_backward
    block_backward: Function = _block.block_backward
    gpt_backward: Function = _transformer.gpt_backward

    def _bind(self, name: str, bound: dict[str, Function | None]) -> Function:
        """As every record does; and an own part, which knows nothing of what the forward pass kept, is not told."""
        function = super()._bind(name, bound)
        knows = name not in TOLD or "kept" in bound_names(function)
        return function if knows else without_kept(function)


# The parts that the library tells what the forward pass kept.
TOLD = {name for name, function in BackpropParts.defaults().items() if "kept" in bound_names(function)}


def without_kept(function: Function) -> Function:
    """A backward part with the arguments of PARTS alone: it computes from the inputs whatever it needs."""

    @functools.wraps(function)
    def call(*arguments: object, kept: object = None, **keywords: object) -> object:
        del kept
        return function(*arguments, **keywords)

    return call
