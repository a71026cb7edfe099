"""How the book's classes and helpers become parts: each function below is one part, computed by one of the reader's.

Their text is put beside the reader's (`book.py`), and takes the class or the helper as its first argument. Weights are
lent to a layer for one call, by their names in it: gradients reach them, and nothing is copied.

Read next: `book.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

IGNORED = -100  # the target that the loss of torch, and so the book's, leaves out


class NotAsked(Exception):
    """The part can do something that the book's class is not meant to: the case is left out."""


def lend(layer: torch.nn.Module, tensors: Mapping[str, Tensor | None], x: Tensor) -> Tensor:
    """The layer's answer with these tensors in the place of its own; a bias that is not given is 0."""
    own = dict(layer.named_parameters())
    dtype = next((tensor.dtype for tensor in tensors.values() if tensor is not None), x.dtype)
    lent = {name: torch.zeros_like(tensor, dtype=dtype) for name, tensor in own.items()}
    for name, tensor in tensors.items():
        plain = name.removesuffix(".weight")
        if tensor is not None and name in own:
            lent[name] = tensor
        elif tensor is not None and plain in own:  # a plain parameter is (in, out), torch's Linear (out, in)
            lent[plain] = tensor.T
    return functional_call(layer, lent, (x,))


@functools.lru_cache(maxsize=32)
def made(kind: type, **named: object) -> torch.nn.Module:
    """The class, given those of the arguments that it takes."""
    taken = inspect.signature(kind).parameters
    return kind(**{name: value for name, value in named.items() if name in taken})


@functools.lru_cache(maxsize=32)
def configured(kind: type, **config: object) -> torch.nn.Module:
    """The class, given the book's dictionary of sizes."""
    return kind(config)


def with_seed(generator: torch.Generator | None, call: Callable[[], Tensor]) -> Tensor:
    """The call's answer where dropout draws from torch's one generator, which is seeded for it from this one."""
    with torch.random.fork_rng(devices=[]):
        if generator is not None:
            torch.random.set_rng_state(generator.get_state())
        out = call()
        if generator is not None:
            generator.set_state(torch.random.get_rng_state())
    return out


# --- chapter 2 --------------------------------------------------------------------------------------------------------


def dataset(kind: type, ids: Tensor, context_length: int, stride: int) -> tuple[Tensor, Tensor]:
    """A dataset of windows, which wants a tokenizer: here one that knows the ids already."""

    class Known:
        def encode(self, *_: object, **__: object) -> list[int]:
            return ids.tolist()

    if len(ids) <= context_length:
        raise NotAsked("a text that is longer than one window")
    windows = list(kind("", Known(), context_length, stride))
    return torch.stack([inputs for inputs, _ in windows]), torch.stack([targets for _, targets in windows])


# --- chapter 3 --------------------------------------------------------------------------------------------------------


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
    return with_seed(generator, lambda: lend(layer, tensors, x))


# --- chapter 4 --------------------------------------------------------------------------------------------------------


def norm(kind: type, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float = 1e-5) -> Tensor:
    """The norm with `scale` and `shift`; its epsilon is an attribute."""
    layer = made(kind, emb_dim=x.shape[-1])
    vars(layer)["eps"] = eps
    return lend(layer, {"scale": weight, "shift": bias}, x)


def activation(kind: type, x: Tensor) -> Tensor:
    """A layer without weights."""
    return made(kind)(x)


def widened(kind: type, x: Tensor, w_up: Tensor, b_up: Tensor, w_down: Tensor, b_down: Tensor) -> Tensor:
    """The feed-forward network, whose inner width is four times the outer one."""
    width = x.shape[-1]
    if w_up.shape[0] != 4 * width:
        raise NotAsked("an inner width of four times the outer one")
    layer = configured(kind, emb_dim=width)
    tensors = {"layers.0.weight": w_up, "layers.0.bias": b_up, "layers.2.weight": w_down, "layers.2.bias": b_down}
    return lend(layer, tensors, x)


IN_BLOCK = {
    "attn.w_q": "att.W_query.weight", "attn.w_k": "att.W_key.weight", "attn.w_v": "att.W_value.weight",
    "attn.b_q": "att.W_query.bias", "attn.b_k": "att.W_key.bias", "attn.b_v": "att.W_value.bias",
    "attn.w_o": "att.out_proj.weight", "attn.b_o": "att.out_proj.bias",
    "mlp.w_up": "ff.layers.0.weight", "mlp.b_up": "ff.layers.0.bias",
    "mlp.w_down": "ff.layers.2.weight", "mlp.b_down": "ff.layers.2.bias",
    "ln1.weight": "norm1.scale", "ln1.bias": "norm1.shift", "ln2.weight": "norm2.scale", "ln2.bias": "norm2.shift",
}  # fmt: skip


def block(
    kind: type,
    x: Tensor,
    p: dict[str, Tensor],
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The transformer block, whose residual connections the book calls shortcuts."""
    layer = configured(kind, **sizes_of(x.shape[-1], x.shape[1], n_heads, dropout, p))
    return with_seed(generator, lambda: lend(layer, {IN_BLOCK[name]: tensor for name, tensor in p.items()}, x))


def sizes_of(width: int, context_length: int, n_heads: int, dropout: float, p: dict[str, Tensor]) -> dict[str, Any]:
    """The book's dictionary of sizes, for a block."""
    inner = next(tensor.shape[0] for name, tensor in p.items() if name.endswith("mlp.w_up"))
    if inner != 4 * width:
        raise NotAsked("an inner width of four times the outer one")
    has_bias = any(name.endswith(("attn.b_q", "attn.b_k", "attn.b_v")) for name in p)
    return {
        "emb_dim": width, "context_length": context_length, "n_heads": n_heads,
        "drop_rate": dropout, "qkv_bias": has_bias,
    }  # fmt: skip


def whole_model(
    kind: type,
    ids: Tensor,
    p: dict[str, Tensor],
    n_layers: int,
    n_heads: int,
    *,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The model, whose output head is a matrix of its own; where the part ties it, it is given the embedding."""
    (vocab_size, width), context_length = p["wte"].shape, p["wpe"].shape[0]
    if ids.shape[1] > context_length:
        raise NotAsked("a text that fits into the context")
    sizes = sizes_of(width, context_length, n_heads, dropout, p)
    layer = configured(kind, vocab_size=vocab_size, n_layers=n_layers, **sizes)
    tensors: dict[str, Tensor | None] = {
        "tok_emb.weight": p["wte"], "pos_emb.weight": p["wpe"],
        "out_head.weight": p.get("lm_head.weight", p["wte"]),
        "final_norm.scale": p["ln_f.weight"], "final_norm.shift": p.get("ln_f.bias"),
    }  # fmt: skip
    for name, tensor in p.items():
        if name.startswith("h."):
            _h, number, inner = name.split(".", 2)
            tensors[f"trf_blocks.{number}.{IN_BLOCK[inner]}"] = tensor
    return with_seed(generator, lambda: lend(layer, tensors, ids))


def written(
    function: Callable[..., Tensor],
    next_logits: Callable[[list[int]], Tensor],
    prompt: list[int],
    max_new_tokens: int,
    choose: Callable[[Tensor], Any],
    eos_id: int | None = None,
    context_length: int | None = None,
) -> list[int]:
    """The loop that writes, which always takes the best token and never stops early."""

    def model(ids: Tensor) -> Tensor:
        logits = next_logits(ids[0].tolist())
        if int(choose(logits)) != int(logits.argmax()):
            raise NotAsked("the best token each time")
        return logits.expand(1, ids.shape[1], -1)

    if eos_id is not None:
        raise NotAsked("no end of text")
    size = len(prompt) + max_new_tokens if context_length is None else context_length
    with torch.no_grad():
        return function(model, torch.tensor([prompt]), max_new_tokens, size)[0].tolist()


# --- chapter 5 --------------------------------------------------------------------------------------------------------


def batch_loss(function: Callable[..., Tensor], logits: Tensor, targets: Tensor, ignore_index: int = IGNORED) -> Tensor:
    """The loss of a batch, of a model that gives the logits."""
    if ignore_index != IGNORED or not (targets != IGNORED).any() or logits.dtype not in (torch.float32, torch.float64):
        raise NotAsked("targets of which some count, and logits that are not rounded")
    rows, count = logits.reshape(1, -1, logits.shape[-1]), targets.reshape(1, -1)

    def model(_ids: Tensor) -> Tensor:
        return rows

    return function(count, count, model, torch.device("cpu"))


def loader_loss(
    function: Callable[..., Any], forward: Callable[..., Tensor], params: dict[str, Tensor], batches: list[Any]
) -> float:
    """The loss over batches, which averages the means of batches: the same where all are of one size."""
    if len({int((targets != IGNORED).sum()) for _inputs, targets in batches}) != 1:
        raise NotAsked("batches with equally many targets")

    def model(ids: Tensor) -> Tensor:
        return forward(ids, params)

    with torch.no_grad():
        return float(function(batches, model, torch.device("cpu")))
