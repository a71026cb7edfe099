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
GRAPH = "a graph is built"


def make(name: str, values: tuple[Any, ...], log: Log) -> Callable[..., Any]:
    """The function called `name`, made from values; what it is asked goes into the log."""
    return STUBS[name](log, *values)


def last_plus_one(_log: Log, vocab_size: int) -> Callable[..., Any]:
    """A model in small, whose best next token is the last one plus 1 (after the highest id comes 0)."""
    return _model(lambda ids: _peak(ids[-1] + 1, vocab_size))


def sum_of_ids(_log: Log, vocab_size: int) -> Callable[..., Any]:
    """A model in small, whose best next token is the sum of all that it sees, without the tens if V is 10."""
    return _model(lambda ids: _peak(sum(ids), vocab_size))


def first_plus_length(_log: Log, vocab_size: int) -> Callable[..., Any]:
    """A model in small, whose best next token is the first that it sees plus the number of all that it sees."""
    return _model(lambda ids: _peak(ids[0] + len(ids), vocab_size))


def table_of_logits(_log: Log, table: Any) -> Callable[..., Any]:
    """A model in small: the scores are a row that depends on all that it sees. table: (V, V)."""
    return _model(lambda ids: table[sum((i + 1) * token for i, token in enumerate(ids)) % len(table)].clone())


def _model(scores_of: Callable[[list[int]], Any]) -> Callable[..., Any]:
    """next_logits: takes the ids of one text, as a list or as a tensor."""

    def next_logits(ids: Any) -> Any:
        if getattr(ids, "ndim", 1) != 1:
            raise ValueError("next_logits takes the ids of one text, not a batch")
        return scores_of([int(token) for token in ids])

    return next_logits


def curve(log: Log, line: Any, together: Any, cubic: Any) -> Callable[..., float]:
    """A smooth function of an array, each of whose slopes depends on all numbers. The three are arrays of its shape."""

    def f(x: Any) -> float:
        return float((line * x).sum() + (together * x).sum() ** 2 + (cubic * x**3).sum())

    return f


def _peak(token: int, vocab_size: int) -> Any:
    """Scores that fall away from one token to both sides, alike: [-1, 0, -1, -2]."""
    import torch

    return -(torch.arange(vocab_size) - token % vocab_size).abs().float()


def best(_log: Log) -> Callable[..., Any]:
    """Chooses the largest score."""
    return _choice(lambda logits: int(logits.argmax()))


def best_as_tensor(_log: Log) -> Callable[..., Any]:
    """The same, as greedy gives it."""
    return _choice(lambda logits: logits.argmax())


def worst(_log: Log) -> Callable[..., Any]:
    """Chooses the smallest score."""
    return _choice(lambda logits: int(logits.argmin()))


def first_above_two(_log: Log) -> Callable[..., Any]:
    """Chooses the first token whose score is above 2, otherwise 0: no probability is."""
    return _choice(lambda logits: int((logits > 2).int().argmax()))


def last_above_zero(_log: Log) -> Callable[..., Any]:
    """Chooses the last token whose score is above 0, otherwise 0: every probability is, and no logarithm of one."""
    return _choice(lambda logits: max(i * (score > 0) for i, score in enumerate(logits.flatten().tolist())))


def _choice(chosen: Callable[[Any], Any]) -> Callable[..., Any]:
    """choose: takes the scores of one text."""

    def choose(logits: Any) -> Any:
        if logits.ndim > 1:
            raise ValueError(f"choose takes scores of shape (V,), not {tuple(logits.shape)}")
        return chosen(logits)

    return choose


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


def bigram_that_is_used(log: Log, trained: Any = None) -> Callable[..., Any]:
    """The same model, which notes where autograd remembers what it does.

    trained: parameters that have been trained; it notes which of them want no gradient any more.
    """
    model = bigram(log)
    log += [f"{name} wants no gradient" for name, param in (trained or {}).items() if not param.requires_grad]

    def forward(inputs: Any, params: Any) -> Any:
        logits = model(inputs, params)  # (B, T, V)
        if logits.requires_grad and GRAPH not in log:
            log.append(GRAPH)
        return logits

    return forward


def table_of_log_probs(_log: Log, table: Any) -> Callable[..., Any]:
    """A model in small for texts side by side: the log-probabilities depend on the last token. table: (V, V)."""

    def next_log_probs(texts: Any) -> Any:
        import numpy as np

        return np.array([table[int(ids[-1])] for ids in texts]).reshape(-1, len(table))

    return next_log_probs


def log_probs_of_texts(_log: Log, seed: int, vocab_size: int) -> Callable[..., Any]:
    """The same where they depend on every token of a text: no two texts are equally probable."""

    def next_log_probs(texts: Any) -> Any:
        import numpy as np

        logits = [np.random.default_rng([seed, *map(int, ids)]).normal(0.0, 1.5, vocab_size) for ids in texts]
        table = np.array(logits).reshape(-1, vocab_size)
        return table - np.log(np.exp(table).sum(axis=1, keepdims=True))

    return next_log_probs


STUBS: dict[str, Callable[..., Callable[..., Any]]] = {
    "last_plus_one": last_plus_one,
    "sum_of_ids": sum_of_ids,
    "first_plus_length": first_plus_length,
    "table_of_logits": table_of_logits,
    "curve": curve,
    "best": best,
    "best_as_tensor": best_as_tensor,
    "worst": worst,
    "first_above_two": first_above_two,
    "last_above_zero": last_above_zero,
    "sum_of_losses": sum_of_losses,
    "bigram": bigram,
    "bigram_that_is_used": bigram_that_is_used,
    "table_of_log_probs": table_of_log_probs,
    "log_probs_of_texts": log_probs_of_texts,
}
