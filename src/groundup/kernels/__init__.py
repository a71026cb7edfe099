"""How it is made fast: fused functions, each beside the plain one that it must equal.

A plain part is written to be read: every step is a line, and every line writes a whole tensor to memory that the next
line reads again. A fused function does the same arithmetic in one pass. It replaces a joint of the record only when
every part that the joint covers is the library's own; with an own softmax in play, attention stays the plain one, so
that the own softmax is what runs. Tests hold the two equal, in values and in gradients.

Read in this order: `gelu`, `linear`, `attention`, `position`, `norm`, `feedforward`, `loss`.
"""

from __future__ import annotations

from typing import TypeVar

from torch.nn import functional

from ..seam import Record
from .attention import fused_attention
from .feedforward import fused_mlp
from .linear import fused_linear
from .loss import fused_head_loss
from .norm import fused_residual_norm, fused_rms_norm
from .position import fused_rope

__all__ = [
    "FUSED",
    "fuse",
    "fused_attention",
    "fused_head_loss",
    "fused_linear",
    "fused_mlp",
    "fused_residual_norm",
    "fused_rms_norm",
    "fused_rope",
]

AnyRecord = TypeVar("AnyRecord", bound=Record)

FUSED = {
    "linear": fused_linear,  # a product and a bias in one pass
    "token_embedding": functional.embedding,  # adds up the gradients of a row's uses without sorting them
    "rope": fused_rope,
    "rms_norm": fused_rms_norm,
    "attention": fused_attention,
    "residual_norm": fused_residual_norm,
    "mlp": fused_mlp,
    "head_loss": fused_head_loss,
}


def fuse(record: AnyRecord) -> AnyRecord:
    """The record with its joints fused, but for those that cover somebody's own part."""
    fusible = {name: kernel for name, kernel in FUSED.items() if name in record.chosen}
    free = {name: kernel for name, kernel in fusible.items() if not record.own & ({name} | record.covered(name))}
    return record.with_functions(**free)
