"""Which parameters decay, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

Named = list[tuple[str, Tensor]]


@reference
def decay_groups(named: list[tuple[str, Tensor]], *, wrong: Wrong = RIGHT) -> tuple[list[str], list[str]]:
    """(the names of the parameters that weight decay shrinks, the names of the others).

    Those with two or more axes decay, but no embedding named wte or wpe, no bias and no norm. named: (name, tensor) of
    each, named as init_gpt names them: wte, h.0.attn.w_q, h.0.attn.b_q, h.0.ln1.weight, …
    """
    decay = [pair for pair in named if _decays(*pair, wrong)]
    no_decay = [pair for pair in named if not _decays(*pair, wrong) and not _forgotten(*pair, wrong)]
    if "decay_groups-embeddings-in-both" in wrong:
        decay = [pair for pair in named if _decays(*pair, wrong) or _is_embedding(pair[0])]
    if "decay_groups-swapped" in wrong:
        decay, no_decay = no_decay, decay
    return _given(decay, no_decay, wrong)


def _given(decay: Named, no_decay: Named, wrong: Wrong) -> Any:
    """What is returned of two groups of pairs."""
    if "decay_groups-gives-tensors" in wrong:
        return [tensor for _, tensor in decay], [tensor for _, tensor in no_decay]
    if "decay_groups-gives-pairs" in wrong:
        return decay, no_decay
    if "decay_groups-gives-booleans" in wrong:
        return {name: group is decay for group in (decay, no_decay) for name, _ in group}
    names = [name for name, _ in decay], [name for name, _ in no_decay]
    if "decay_groups-gives-torch-groups" in wrong:
        return [{"params": group} for group in names]
    return names[0] if "decay_groups-decay-alone" in wrong else names


def _decays(name: str, tensor: Tensor, wrong: Wrong) -> bool:
    if "decay_groups-all" in wrong:
        return True
    if "decay_groups-by-weight" in wrong:
        return name.endswith("weight") and not _is_embedding(name)
    if "decay_groups-by-prefix" in wrong:
        return name.rpartition(".")[2].startswith("w_")
    if "decay_groups-all-but-the-word-bias" in wrong:
        return "bias" not in name
    if "decay_groups-all-but-biases" in wrong:
        return not _is_bias(name)
    if "decay_groups-all-but-embeddings-and-norms" in wrong:
        return not (_is_embedding(name) or _is_norm(name))
    if "decay_groups-by-the-word-bias" in wrong:
        return not ("bias" in name or _is_norm(name))
    if "decay_groups-by-the-word-bias-and-embeddings" in wrong:
        return not ("bias" in name or _is_norm(name) or _is_embedding(name))
    if "decay_groups-all-but-biases-and-norms" in wrong:
        return not (_is_bias(name) or _is_norm(name))
    if "decay_groups-all-but-embeddings" in wrong:
        return not _is_embedding(name)
    if "decay_groups-names-alone" in wrong:
        return not (_is_bias(name) or _is_norm(name) or _is_embedding(name))
    if "decay_groups-norms" in wrong and _is_norm(name):
        return "bias" not in name
    if "decay_groups-biases" in wrong and _is_bias(name):
        return True
    if "decay_groups-head-forgotten" in wrong and name.startswith("lm_head"):
        return False
    if "decay_groups-by-weight-and-axes" in wrong:
        return tensor.dim() >= 2 and name.endswith("weight")
    return _has_axes(tensor, wrong) and not _is_exempt(name, wrong)


def _has_axes(tensor: Tensor, wrong: Wrong) -> bool:
    if "decay_groups-exactly-two-axes" in wrong:
        return tensor.dim() == 2
    if "decay_groups-more-than-two-axes" in wrong:
        return tensor.dim() > 2
    if "decay_groups-one-axis" in wrong:
        return tensor.dim() >= 1
    return tensor.dim() >= 2


def _is_exempt(name: str, wrong: Wrong) -> bool:
    if "decay_groups-embeddings" in wrong:
        return False
    if "decay_groups-tokens" in wrong:
        return name == "wpe"
    return name == "wte" if "decay_groups-positions" in wrong else _is_embedding(name)


def _forgotten(name: str, tensor: Tensor, wrong: Wrong) -> bool:
    """Whether a parameter is in neither group."""
    if "decay_groups-embeddings-nowhere" in wrong:
        return _is_embedding(name)
    return "decay_groups-one-axis-nowhere" in wrong and tensor.dim() < 2


def _is_embedding(name: str) -> bool:
    return name in ("wte", "wpe")


def _is_bias(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last == "bias" or last.startswith("b_")


def _is_norm(name: str) -> bool:
    return ".ln" in name or name.startswith("ln")


def cases(draw: Draw) -> Iterator[Case]:
    """Single parameters, then whole models with and without biases, then names that nothing is known of."""
    yield _case("a matrix decays", [("h.0.attn.w_q", (2, 2))])
    yield _case("a bias does not decay", [("h.0.attn.b_q", (2,)), ("h.0.attn.w_q", (2, 2))])
    yield _case("a bias does not decay", [("classifier.weight", (3, 2)), ("classifier.bias", (3,))])
    yield _case("a norm does not decay", [("h.0.ln1.weight", (2,)), ("h.0.ln1.bias", (2,)), ("h.0.mlp.w_up", (4, 2))])
    yield _case("an embedding does not decay", [("wte", (5, 2)), ("h.0.attn.w_o", (2, 2))])
    yield _case("an embedding does not decay", [("wpe", (4, 2)), ("h.0.attn.w_o", (2, 2))])
    yield _case("the output layer is a matrix and decays", [("wte", (5, 2)), ("lm_head.weight", (5, 2))])
    for n_layers in (1, 2, 3):
        for biases, head in ((True, False), (True, True), (False, False), (False, True)):
            named = _model(n_layers, biases, head)
            yield _case("the parameters of a model", named)
            yield _case("the parameters of a model", draw.sample(named, len(named)))
    for n in (3, 5):
        named = _model(2, True, True)
        yield _case("the parameters of a model", draw.sample(named, n))
    yield _case(
        "what has one axis does not decay, whatever its name", [("h.0.attn.sink", (3,)), ("h.0.mlp.w_up", (4, 2))]
    )
    yield _case("what has one axis does not decay, whatever its name", [("gain", (1,)), ("scale", (4,)), ("w", (3, 1))])
    yield _case(
        "two or more axes decay", [("h.0.mlp.w_gate", (3, 4, 2)), ("h.0.mlp.router", (3, 2)), ("h.0.mlp.b_up", (4,))]
    )
    yield _case("two or more axes decay", [("conv", (2, 2, 3, 1)), ("adapter.a", (1, 1))])
    yield _case("a number by itself does not decay", [("h.0.scale", ()), ("h.0.attn.w_v", (2, 2))], edge)
    yield _case("a group may be empty", [("ln_f.weight", (2,)), ("wte", (3, 2))], edge)
    yield _case("a group may be empty", [], edge)


def _model(n_layers: int, biases: bool, head: bool) -> list[tuple[str, tuple[int, ...]]]:
    """The names of a GPT's parameters, and their shapes."""
    shapes: dict[str, tuple[int, ...]] = {"wte": (7, 2), "wpe": (5, 2)}
    for i in range(n_layers):
        block: dict[str, tuple[int, ...]] = {f"attn.w_{one}": (2, 2) for one in "qkvo"}
        block |= {"mlp.w_up": (8, 2), "mlp.w_down": (2, 8), "ln1.weight": (2,), "ln2.weight": (2,)}
        if biases:
            block |= {f"attn.b_{one}": (2,) for one in "qkvo"}
            block |= {"mlp.b_up": (8,), "mlp.b_down": (2,), "ln1.bias": (2,), "ln2.bias": (2,)}
        shapes |= {f"h.{i}.{name}": shape for name, shape in block.items()}
    shapes |= {"ln_f.weight": (2,)} | ({"ln_f.bias": (2,)} if biases else {})
    return list((shapes | ({"lm_head.weight": (7, 2)} if head else {})).items())


def _case(shows: str, named: list[tuple[str, tuple[int, ...]]], kind: Any = case) -> Case:
    # With gradients=True they require a gradient, as parameters do.
    return kind(shows, [(name, torch.zeros(shape)) for name, shape in named], gradients=True, view=_groups)


def _groups(seen: list[Observation]) -> Any:
    """Both groups, their names in alphabetical order, since any will do. What is no name is its type's."""
    value = seen[0]["value"]
    return [_names(group) for group in value] if isinstance(value, list | tuple) else type(value).__name__


def _names(group: Any) -> Any:
    if not isinstance(group, list | tuple | set | frozenset):
        return type(group).__name__
    return sorted(one if isinstance(one, str) else type(one).__name__ for one in group)
