"""The functions that some parts are given: a model in small for `generate_tokens`, a slope for `numerical_gradient`.

A function cannot travel between processes, but its name and the numbers that it is made of can. Each stub below makes a
function, and may note in a log what the part asked of it. What is `Kept` among its values is the same object as among
the arguments: a loss knows the parameters that it is the loss of.

Read next: `observe.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Log = list[Any]


def make(name: str, values: tuple[Any, ...], log: Log) -> Callable[..., Any]:
    """The function called `name`, made from values; what it is asked goes into the log."""
    return STUBS[name](log, *values)


def table_of_logits(log: Log, table: Any) -> Callable[..., Any]:
    """A model in small: the scores for the next token depend on the last one. table: (V, V)."""

    def next_logits(ids: Any) -> Any:
        ids = [int(token) for token in ids]
        log.append(ids)
        return table[ids[-1]].clone()

    return next_logits


def sum_of_losses(_log: Log, params: Any) -> Callable[..., Any]:
    """The loss of a line: for a micro-batch (x (N, I), y (N,)) the sum of its squared errors, and N.

    params: a weight (I,), a bias (), and for each further entry of a micro-batch a factor () that it is multiplied by.
    """

    def loss_fn(micro_batch: Any) -> tuple[Any, int]:
        x, y, *more = micro_batch
        weight, bias, *factors = params
        errors = x @ weight + bias - y  # (N,)
        for factor, one in zip(factors, more, strict=False):
            errors = errors + factor * one
        return errors.square().sum(), len(y)

    return loss_fn


def bigram(_log: Log, trained: Any = None) -> Callable[..., Any]:
    """A language model in small, as gpt_forward without its blocks.

    params: wte (V, C); the others are optional: wpe (L, C), h.0.attn.w_o (C, C), ln_f.weight and ln_f.bias (C,),
    lm_head.weight (V, C). trained: the parameters as they are Kept, if they are to be trained: they want a gradient.
    """
    for param in (trained or {}).values():
        param.requires_grad_()

    def forward(inputs: Any, params: Any) -> Any:
        x = params["wte"][inputs]  # (B, T, C)
        if "wpe" in params:
            x = x + params["wpe"][: inputs.shape[1]]
        if "h.0.attn.w_o" in params:
            x = x + x @ params["h.0.attn.w_o"].T
        if "ln_f.weight" in params:
            x = x * params["ln_f.weight"]
        if "ln_f.bias" in params:
            x = x + params["ln_f.bias"]
        return x @ params.get("lm_head.weight", params["wte"]).T  # (B, T, V)

    return forward


def bigram_that_is_used(log: Log) -> Callable[..., Any]:
    """The same model, which notes where autograd remembers what it does."""
    model = bigram(log)

    def forward(inputs: Any, params: Any) -> Any:
        logits = model(inputs, params)  # (B, T, V)
        if logits.requires_grad and not log:
            log.append("a graph is built")
        return logits

    return forward


STUBS: dict[str, Callable[..., Callable[..., Any]]] = {
    "table_of_logits": table_of_logits,
    "sum_of_losses": sum_of_losses,
    "bigram": bigram,
    "bigram_that_is_used": bigram_that_is_used,
}
