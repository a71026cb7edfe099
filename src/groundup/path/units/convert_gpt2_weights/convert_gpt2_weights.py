"""GPT-2's weights under the names and in the layout of init_gpt, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference

Tensors = dict[str, Tensor]
PREFIX = "transformer."


@reference
def convert_gpt2_weights(tensors: dict[str, Tensor], n_layers: int, *, wrong: Wrong = RIGHT) -> dict[str, Tensor]:
    """GPT-2's weights under Hugging Face's names, as those of gpt_forward and init_gpt.

    Names may have the prefix `transformer.`. Linear weights come as (in, out) and go as (out, in); `c_attn` holds q, k
    and v side by side. Masks are left out; `lm_head.weight` is kept only if it differs from the embedding.
    """
    theirs = _without_prefix(tensors, wrong)
    ours = {"wte": theirs["wte.weight"], "wpe": theirs["wpe.weight"]}
    if "convert_gpt2_weights-wte-transposed" in wrong or "convert_gpt2_weights-embeddings-transposed" in wrong:
        ours["wte"] = ours["wte"].T
    if "convert_gpt2_weights-wpe-transposed" in wrong or "convert_gpt2_weights-embeddings-transposed" in wrong:
        ours["wpe"] = ours["wpe"].T
    if "convert_gpt2_weights-embeddings-exchanged" in wrong:
        ours = {"wte": ours["wpe"], "wpe": ours["wte"]}
    if "convert_gpt2_weights-twelve-layers" in wrong:
        n_layers = 12
    if "convert_gpt2_weights-last-layer-missing" in wrong:
        n_layers -= 1
    for i in range(n_layers):
        converted = _block(_block_of(theirs, i, n_layers, wrong), wrong)
        number = i + 1 if "convert_gpt2_weights-layers-from-1" in wrong else i
        ours |= {f"h.{number}.{name}": tensor for name, tensor in converted.items()}
    ours |= {"ln_f.weight": theirs["ln_f.weight"], "ln_f.bias": theirs["ln_f.bias"]}
    ours |= _head(theirs, wrong) | _left_over(theirs, wrong)
    _emptied(tensors, wrong)
    ours = _renamed(ours, wrong)
    has_prefix = "convert_gpt2_weights-prefix-in-the-result" in wrong and PREFIX + "wte.weight" in tensors
    return {PREFIX + name: tensor for name, tensor in ours.items()} if has_prefix else ours


def _without_prefix(tensors: Mapping[str, Tensor], wrong: Wrong) -> Tensors:
    """By their names without the prefix."""
    if "convert_gpt2_weights-prefix-not-removed" in wrong:
        return dict(tensors)
    if "convert_gpt2_weights-prefix-expected" in wrong:
        return {
            name.removeprefix(PREFIX): tensor
            for name, tensor in tensors.items()
            if name.startswith((PREFIX, "lm_head"))
        }
    if "convert_gpt2_weights-first-letters-cut" in wrong:
        return {name[len(PREFIX) :]: tensor for name, tensor in tensors.items()}
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}


def _emptied(tensors: Tensors, wrong: Wrong) -> None:
    """What may have happened to the table that was passed in."""
    if "convert_gpt2_weights-input-used-up" in wrong:
        tensors.clear()
    if "convert_gpt2_weights-changes-input" in wrong:
        for name in [*_masks_in(tensors), "lm_head.weight"]:
            tensors.pop(name, None)
    if "convert_gpt2_weights-prefix-removed-in-place" in wrong:
        for name in list(tensors):
            tensors[name.removeprefix(PREFIX)] = tensors.pop(name)


def _masks_in(tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of what is no weight."""
    return [name for name in tensors if name.endswith((".attn.bias", ".attn.masked_bias"))]


def _block_of(theirs: Mapping[str, Tensor], i: int, n_layers: int, wrong: Wrong) -> Tensors:
    """The tensors of one block by their names in it."""
    if "convert_gpt2_weights-always-the-first-layer" in wrong:
        i = 0
    if "convert_gpt2_weights-layers-reversed" in wrong:
        i = n_layers - 1 - i
    if "convert_gpt2_weights-one-layer-late" in wrong:
        i = min(i + 1, n_layers - 1)
    start = f"h.{i}" if "convert_gpt2_weights-number-not-ended" in wrong else f"h.{i}."
    return {name.split(".", 2)[2]: tensor for name, tensor in theirs.items() if name.startswith(start)}


def _block(theirs: Mapping[str, Tensor], wrong: Wrong) -> Tensors:
    """One block."""
    up, down = ("c_proj", "c_fc") if "convert_gpt2_weights-mlp-exchanged" in wrong else ("c_fc", "c_proj")
    bias_up, bias_down = (down, up) if "convert_gpt2_weights-mlp-biases-exchanged" in wrong else (up, down)
    first, second = ("2", "1") if "convert_gpt2_weights-norms-exchanged" in wrong else ("1", "2")
    weight, bias = "weight", "bias"
    if "convert_gpt2_weights-norm-weight-and-bias-exchanged" in wrong:
        weight, bias = bias, weight
    into_out = "mlp.c_proj" if "convert_gpt2_weights-c_proj-of-the-mlp" in wrong else "attn.c_proj"
    return {
        "ln1.weight": theirs[f"ln_{first}.{weight}"],
        "ln1.bias": theirs[f"ln_{first}.{bias}"],
        **_queries_keys_values(theirs["attn.c_attn.weight"], theirs["attn.c_attn.bias"], wrong),
        "attn.w_o": _turned(theirs[f"{into_out}.weight"], "w_o", wrong),
        "attn.b_o": theirs[f"{into_out}.bias"],
        "ln2.weight": theirs[f"ln_{second}.{weight}"],
        "ln2.bias": theirs[f"ln_{second}.{bias}"],
        "mlp.w_up": _turned(theirs[f"mlp.{up}.weight"], "w_up", wrong),
        "mlp.b_up": theirs[f"mlp.{bias_up}.bias"],
        "mlp.w_down": _turned(theirs[f"mlp.{down}.weight"], "w_down", wrong),
        "mlp.b_down": theirs[f"mlp.{bias_down}.bias"],
    }


def _turned(weight: Tensor, name: str, wrong: Wrong) -> Tensor:
    """(in, out) -> (out, in). name: what it is a part of."""
    forgotten = {
        "c_attn": "convert_gpt2_weights-c_attn-not-transposed" in wrong,
        "w_o": "convert_gpt2_weights-output-not-transposed" in wrong,
        "w_up": "convert_gpt2_weights-up-not-transposed" in wrong,
        "w_down": "convert_gpt2_weights-down-not-transposed" in wrong,
    }
    if forgotten[name] or "convert_gpt2_weights-not-transposed" in wrong:
        return weight
    if name != "c_attn" and "convert_gpt2_weights-only-c_attn-transposed" in wrong:
        return weight
    if "convert_gpt2_weights-reshaped" in wrong:
        return weight.reshape(weight.shape[::-1])
    square = weight.shape[0] == weight.shape[1]
    return weight if square and "convert_gpt2_weights-square-not-transposed" in wrong else weight.T


def _queries_keys_values(weight: Tensor, bias: Tensor, wrong: Wrong) -> Tensors:
    """w_q, w_k, w_v (C, C) and their biases. weight: (C, 3*C), bias: (3*C,)."""
    c = len(weight)
    if "convert_gpt2_weights-split-along-the-inputs" in wrong:
        parts = [part.T for part in weight.chunk(3)]  # (3*C, C/3)
    elif "convert_gpt2_weights-every-third" in wrong:
        parts = [weight[:, i::3].T for i in range(3)]  # (C, C)
    elif "convert_gpt2_weights-split-after-reshape" in wrong:
        parts = list(weight.reshape(3 * c, c).chunk(3))  # (C, C)
    else:
        parts = [_turned(part, "c_attn", wrong) for part in weight.chunk(3, 1)]
    biases = list(bias.chunk(3))  # (C,)
    if "convert_gpt2_weights-every-third-bias" in wrong:
        biases = [bias[i::3] for i in range(3)]  # (C,)
    if "convert_gpt2_weights-bias-not-split" in wrong:
        biases = [bias] * 3
    if "convert_gpt2_weights-first-bias-for-all" in wrong:
        biases = [biases[0]] * 3
    if "convert_gpt2_weights-c_attn-not-split" in wrong:
        return {"attn.c_attn.weight": weight.T, "attn.c_attn.bias": bias}
    order = _order(wrong)
    weights = {f"attn.w_{name}": part for name, part in zip(order, parts, strict=True)}
    if "convert_gpt2_weights-no-input-biases" in wrong:
        return weights
    return weights | {f"attn.b_{name}": part for name, part in zip(order, biases, strict=True)}


def _order(wrong: Wrong) -> str:
    """What the three parts of c_attn are taken for."""
    if "convert_gpt2_weights-queries-and-keys-exchanged" in wrong:
        return "kqv"
    if "convert_gpt2_weights-keys-and-values-exchanged" in wrong:
        return "qvk"
    return "vkq" if "convert_gpt2_weights-queries-and-values-exchanged" in wrong else "qkv"


def _head(theirs: Mapping[str, Tensor], wrong: Wrong) -> Tensors:
    """The matrix before the logits, if it is not the embedding itself."""
    wte = theirs["wte.weight"]
    head = theirs["lm_head.weight"] if "convert_gpt2_weights-head-expected" in wrong else theirs.get("lm_head.weight")
    if "convert_gpt2_weights-head-always-made" in wrong:
        return {"lm_head.weight": wte if head is None or "convert_gpt2_weights-head-tied" in wrong else head}
    if head is None or "convert_gpt2_weights-head-left-out" in wrong:
        return {}
    if torch.equal(head, wte) and "convert_gpt2_weights-head-always-kept" not in wrong:
        return {}
    if "convert_gpt2_weights-head-tied" in wrong:
        return {"lm_head.weight": wte}
    turned = "convert_gpt2_weights-head-transposed" in wrong or "convert_gpt2_weights-embeddings-transposed" in wrong
    return {"lm_head.weight": head.T if turned else head}


def _left_over(theirs: Mapping[str, Tensor], wrong: Wrong) -> Tensors:
    """Masks, where somebody takes them along."""
    masks = {name: theirs[name] for name in _masks_in(theirs)}
    if "convert_gpt2_weights-masks-kept" in wrong:
        return masks
    if "convert_gpt2_weights-mask-kept" in wrong:
        return {name: tensor for name, tensor in masks.items() if not name.endswith("masked_bias")}
    if "convert_gpt2_weights-masked-bias-kept" in wrong:
        return {name: tensor for name, tensor in masks.items() if name.endswith("masked_bias")}
    return {}


def _renamed(ours: Tensors, wrong: Wrong) -> Tensors:
    """What is returned: all of it, or what somebody leaves of it."""
    without: tuple[str, ...] = ()
    if "convert_gpt2_weights-no-positions" in wrong:
        without = ("wpe",)
    if "convert_gpt2_weights-no-final-norm" in wrong:
        without = ("ln_f.weight", "ln_f.bias")
    if "convert_gpt2_weights-no-output-bias" in wrong:
        without = ("attn.b_o",)
    if "convert_gpt2_weights-no-biases" in wrong:
        without = ("b_q", "b_k", "b_v", "b_o", "b_up", "b_down")
    ours = {name: tensor for name, tensor in ours.items() if not name.endswith(without or "*")}
    if "convert_gpt2_weights-always-float32" in wrong:
        ours = {name: tensor.float() for name, tensor in ours.items()}
    if "convert_gpt2_weights-embeddings-not-renamed" in wrong:
        return {f"{name}.weight" if name in ("wte", "wpe") else name: tensor for name, tensor in ours.items()}
    if "convert_gpt2_weights-norms-not-renamed" in wrong:
        return {name.replace("ln1.", "ln_1.").replace("ln2.", "ln_2."): tensor for name, tensor in ours.items()}
    return ours


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """Small models: with and without the prefix, masks and a head of their own; one of more than ten layers."""
    turned = "linear weights are turned from (in, out) to (out, in), and c_attn is cut into q, k and v"
    yield case(turned, _by_hand(), 1)
    for v, t, c, f, n_layers in (
        (5, 4, 3, 12, 1), (7, 5, 6, 24, 1), (5, 4, 3, 12, 2), (11, 3, 6, 24, 2), (3, 3, 3, 3, 1), (6, 6, 6, 6, 2),
    ):  # fmt: skip
        yield case(turned, gpt2_weights(draw, v, t, c, f, n_layers), n_layers)
    for c, f, n_layers in ((3, 3, 1), (3, 12, 2), (9, 36, 1), (6, 6, 3)):
        yield case("the prefix transformer. is removed", _prefixed(gpt2_weights(draw, 7, 5, c, f, n_layers)), n_layers)
    for c, n_layers, prefixed in ((6, 1, False), (3, 2, False), (6, 3, True), (3, 2, True)):
        tensors = gpt2_weights(draw, 7, 5, c, 4 * c, n_layers) | _masks(5, n_layers)
        yield case("the masks attn.bias and attn.masked_bias are left out", _as(prefixed, tensors), n_layers)
    for n_layers in (3, 5):
        yield case("every layer has its own weights", gpt2_weights(draw, 4, 4, 3, 12, n_layers), n_layers)
    yield case("more than ten layers", gpt2_weights(draw, 4, 2, 3, 3, 12), 12)
    for v, c, prefixed in ((7, 6, False), (5, 3, True), (3, 3, True)):
        tensors = _as(prefixed, gpt2_weights(draw, v, 5, c, 4 * c, 2))
        wte = tensors[PREFIX + "wte.weight" if prefixed else "wte.weight"]
        tied = tensors | {"lm_head.weight": wte.clone()}
        yield case("lm_head.weight is left out where it is the embedding", tied, 2)
        own = tensors | {"lm_head.weight": draw.tensor(v, c)}
        yield case("lm_head.weight is kept where it differs from the embedding", own, 2)
    for dtype in (torch.float64, torch.bfloat16):
        tensors = {name: tensor.to(dtype) for name, tensor in gpt2_weights(draw, 5, 4, 3, 12, 1).items()}
        yield edge("keeps the dtype", tensors, 1)


def _by_hand() -> Tensors:
    """A model of one layer with C = 3, whose c_attn, c_proj and norms are easy to follow; all else is 0."""
    tensors = {name: torch.zeros_like(tensor) for name, tensor in gpt2_weights(Draw(0), 2, 2, 3, 3, 1).items()}
    tensors["wte.weight"] = torch.arange(6.0).view(2, 3)
    tensors["h.0.attn.c_attn.weight"] = torch.arange(27.0).view(3, 9)
    tensors["h.0.attn.c_attn.bias"] = torch.arange(9.0)
    tensors["h.0.attn.c_proj.weight"] = torch.arange(9.0).view(3, 3)
    tensors["h.0.ln_1.weight"] = torch.ones(3)
    return tensors


def gpt2_weights(draw: Draw, v: int, t: int, c: int, f: int, n_layers: int) -> Tensors:
    """A model's weights under Hugging Face's names. v: tokens, t: positions, c: width, f: feed-forward width."""
    shapes: dict[str, tuple[int, ...]] = {"wte.weight": (v, c), "wpe.weight": (t, c)}
    for i in range(n_layers):
        block = {
            "ln_1.weight": (c,), "ln_1.bias": (c,),
            "attn.c_attn.weight": (c, 3 * c), "attn.c_attn.bias": (3 * c,),
            "attn.c_proj.weight": (c, c), "attn.c_proj.bias": (c,),
            "ln_2.weight": (c,), "ln_2.bias": (c,),
            "mlp.c_fc.weight": (c, f), "mlp.c_fc.bias": (f,),
            "mlp.c_proj.weight": (f, c), "mlp.c_proj.bias": (c,),
        }  # fmt: skip
        shapes |= {f"h.{i}.{name}": shape for name, shape in block.items()}
    shapes |= {"ln_f.weight": (c,), "ln_f.bias": (c,)}
    return {name: draw.tensor(*shape) for name, shape in shapes.items()}


def _masks(t: int, n_layers: int) -> Tensors:
    """What older files hold besides: the causal mask of each layer, and the number that stood for a forbidden score."""
    masks: Tensors = {}
    for i in range(n_layers):
        masks[f"h.{i}.attn.bias"] = torch.ones(t, t).tril().view(1, 1, t, t)
        masks[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return masks


def _prefixed(tensors: Tensors) -> Tensors:
    return {PREFIX + name: tensor for name, tensor in tensors.items()}


def _as(prefixed: bool, tensors: Tensors) -> Tensors:
    return _prefixed(tensors) if prefixed else tensors
