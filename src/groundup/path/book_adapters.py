"""How the classes of the book become parts: each function below is one part, computed by a class of the reader's.

Their text is put beside the reader's classes (`book.py`), and takes the class as its first argument. Weights are lent
to a layer for one call, by their names in it: gradients reach them, and nothing is copied.

Read next: `book.py`.
"""

from __future__ import annotations

import inspect

import torch
from torch import Tensor
from torch.func import functional_call


class NotAsked(Exception):
    """The part can do something that the book's class is not meant to: the case is left out."""


def lend(layer: torch.nn.Module, tensors: dict[str, Tensor | None], x: Tensor) -> Tensor:
    """The layer's answer with these tensors in the place of its own; a bias that is not given is 0."""
    own = dict(layer.named_parameters())
    lent = {name: torch.zeros_like(tensor, dtype=x.dtype) for name, tensor in own.items()}
    for name, tensor in tensors.items():
        plain = name.removesuffix(".weight")
        if tensor is not None and name in own:
            lent[name] = tensor
        elif tensor is not None and plain in own:  # a plain parameter is (in, out), torch's Linear (out, in)
            lent[plain] = tensor.T
    return functional_call(layer, lent, (x,))


def made(kind: type, **named: object) -> torch.nn.Module:
    """The class, given those of the arguments that it takes."""
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in named.items() if name in taken})


def self_attention(kind: type, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """A class that projects one input three times computes any q, k, v: side by side in the input, each picked out."""
    t, s, d = q.shape[-2], k.shape[-2], q.shape[-1]
    if t != s or q.ndim != 2 or v.shape[-1] != d or mask is not None:
        raise NotAsked("one text, and as many queries as keys")
    x = torch.cat([q, k, v], dim=-1)
    w_q, w_k, w_v = torch.eye(3 * d, dtype=q.dtype).split(d)
    layer = made(kind, d_in=3 * d, d_out=d, qkv_bias=False)
    return lend(layer, {"W_query.weight": w_q, "W_key.weight": w_k, "W_value.weight": w_v}, x)


def causal_attention(kind: type, x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
    """One head with a mask."""
    layer = made(kind, d_in=x.shape[-1], d_out=w_q.shape[0], context_length=x.shape[1], dropout=0.0, qkv_bias=False)
    return lend(layer, {"W_query.weight": w_q, "W_key.weight": w_k, "W_value.weight": w_v}, x)


def several_heads(
    kind: type,
    x: Tensor,
    w_q: Tensor,
    w_k: Tensor,
    w_v: Tensor,
    w_o: Tensor,
    n_heads: int,
    b_q: Tensor | None = None,
    b_k: Tensor | None = None,
    b_v: Tensor | None = None,
    b_o: Tensor | None = None,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Several heads; the book's dropout draws from torch's one generator, which is seeded for the call."""
    has_bias = any(bias is not None for bias in (b_q, b_k, b_v))
    sizes = {"d_in": x.shape[-1], "d_out": w_q.shape[0], "context_length": x.shape[1], "num_heads": n_heads}
    layer = made(kind, **sizes, dropout=dropout, qkv_bias=has_bias)
    tensors = {
        "W_query.weight": w_q, "W_key.weight": w_k, "W_value.weight": w_v, "out_proj.weight": w_o,
        "W_query.bias": b_q, "W_key.bias": b_k, "W_value.bias": b_v, "out_proj.bias": b_o,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        if generator is not None:
            torch.random.set_rng_state(generator.get_state())
        out = lend(layer, tensors, x)
        if generator is not None:
            generator.set_state(torch.random.get_rng_state())
    return out
