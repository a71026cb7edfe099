"""GPT-2's first weights, right or with one of their known mistakes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import EDGE, Call, Case, Draw, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

READERS = ("attn.w_q", "attn.w_k", "attn.w_v", "mlp.w_up")  # read the stream of a block
WRITERS = ("attn.w_o", "mlp.w_down")  # write into it
NORMAL = 2.8  # deviations: of thousands of normal numbers some are farther out

Sizes = tuple[int, int, int, int, int]
Shape = tuple[int, ...]


@reference
def init_gpt(
    vocab_size: int,
    context_length: int,
    n_layers: int,
    n_heads: int,
    d_model: int,
    generator: torch.Generator,
    *,
    wrong: Wrong = RIGHT,
) -> dict[str, Tensor]:
    """GPT-2's first weights, by the names that gpt_forward uses.

    Matrices and embeddings: normal, deviation 0.02; attn.w_o and mlp.w_down: 0.02/√(2·n_layers). Biases 0, norms 1.
    """
    drawn_from = None if "init_gpt-generator-ignored" in wrong else generator
    if "init_gpt-always-the-same" in wrong:
        drawn_from = seeded_generator(0)
    shapes = _shapes((vocab_size, context_length, n_layers, n_heads, d_model), wrong)
    p = {name: _drawn(name, shape, n_layers, drawn_from, wrong) for name, shape in shapes.items()}
    for name in p:
        if "init_gpt-layers-alike" in wrong and name.startswith("h."):
            p[name] = p[f"h.0.{name.split('.', 2)[2]}"]
        if "init_gpt-queries-keys-and-values-alike" in wrong and name.endswith((".w_k", ".w_v")):
            p[name] = p[f"{name[:-1]}q"]
    return p


def _shapes(sizes: Sizes, wrong: Wrong = RIGHT) -> dict[str, Shape]:
    """The shape of each parameter by its name."""
    v, n_positions, n_layers, h, c = sizes
    if "init_gpt-sizes-exchanged" in wrong:
        v, n_positions = n_positions, v
    f = c if "init_gpt-feed-forward-as-wide-as-the-model" in wrong else 4 * c
    head = (h, c // h, c) if "init_gpt-a-matrix-for-each-head" in wrong else (c, c)
    up, down = ((c, f), (f, c)) if "init_gpt-transposed" in wrong else ((f, c), (c, f))
    block: dict[str, Shape] = {f"attn.w_{name}": head for name in "qkv"} | {"attn.w_o": (c, c)}
    if "init_gpt-one-matrix-for-queries-keys-and-values" in wrong:
        block = {"attn.w_qkv": (3 * c, c), "attn.w_o": (c, c), "attn.b_qkv": (3 * c,), "attn.b_o": (c,)}
    else:
        block |= {f"attn.b_{name}": (c,) for name in "qkvo"}
    block |= {"mlp.w_up": up, "mlp.b_up": (f,), "mlp.w_down": down, "mlp.b_down": (c,)}
    block |= {f"{norm}.{name}": (c,) for norm in ("ln1", "ln2") for name in ("weight", "bias")}
    layers = range(n_layers)
    if "init_gpt-one-layer-short" in wrong:
        layers = range(n_layers - 1)
    if "init_gpt-layers-from-one" in wrong:
        layers = range(1, n_layers + 1)
    shapes: dict[str, Shape] = {"wte": (v, c), "wpe": (n_positions, c)}
    if "init_gpt-embeddings-transposed" in wrong:
        shapes = {"wte": (c, v), "wpe": (c, n_positions)}
    shapes |= {f"h.{i}.{name}": shape for i in layers for name, shape in block.items()}
    if "init_gpt-no-final-norm" not in wrong:
        shapes |= {"ln_f.weight": (c,), "ln_f.bias": (c,)}
    if "init_gpt-a-head-of-its-own" in wrong:
        shapes["lm_head.weight"] = (v, c)
    if "init_gpt-no-biases" in wrong:
        shapes = {name: shape for name, shape in shapes.items() if ".b_" not in name}
    if "init_gpt-no-biases-at-all" in wrong:
        shapes = {name: shape for name, shape in shapes.items() if ".b_" not in name and ".bias" not in name}
    if "init_gpt-no-attention-input-biases" in wrong:
        shapes = {name: shape for name, shape in shapes.items() if not name.endswith((".b_q", ".b_k", ".b_v"))}
    if "init_gpt-no-norms" in wrong:
        shapes = {name: shape for name, shape in shapes.items() if "ln" not in name}
    return shapes


def _drawn(name: str, shape: Shape, n_layers: int, generator: torch.Generator | None, wrong: Wrong) -> Tensor:
    """The first value of one parameter."""
    if len(shape) == 1:
        return _vector(name, shape, generator, wrong)
    if "init_gpt-zeros" in wrong:
        return torch.zeros(shape)
    if "init_gpt-xavier" in wrong:
        return _normal(shape, math.sqrt(2 / (shape[-2] + shape[-1])), generator)
    deviation = 1.0 if "init_gpt-standard-normal" in wrong else 0.02
    if "init_gpt-variance-for-deviation" in wrong:
        deviation = 0.02**2
    if "init_gpt-deviation-for-variance" in wrong:
        deviation = math.sqrt(0.02)
    if name in ("wte", "wpe"):
        return _embedding(name, shape, deviation, n_layers, generator, wrong)
    if "init_gpt-as-torch-does" in wrong or "init_gpt-matrices-as-torch-does" in wrong:
        return _uniform(shape, 1 / math.sqrt(shape[-1]), generator)
    return _normal(shape, deviation * _scale(name, n_layers, wrong), generator, wrong)


def _vector(name: str, shape: Shape, generator: torch.Generator | None, wrong: Wrong) -> Tensor:
    """The first value of a bias, or of a norm's weight."""
    is_of_norm, is_weight = ".b_" not in name, name.endswith("weight")
    if is_of_norm and "init_gpt-norms-random" in wrong:
        return _normal(shape, 0.02, generator)
    if not is_weight and "init_gpt-every-bias-random" in wrong:
        return _normal(shape, 0.02, generator)
    if not is_of_norm and "init_gpt-biases-random" in wrong:
        return _normal(shape, 0.02, generator)
    if not is_of_norm and "init_gpt-as-torch-does" in wrong:
        return _uniform(shape, 1 / math.sqrt(shape[0]), generator)
    if "init_gpt-norms-zero" in wrong:
        return torch.zeros(shape)
    if is_of_norm and "init_gpt-norms-exchanged" in wrong:
        is_weight = not is_weight
    return torch.ones(shape) if is_weight else torch.zeros(shape)


def _embedding(
    name: str, shape: Shape, deviation: float, n_layers: int, generator: torch.Generator | None, wrong: Wrong
) -> Tensor:
    """The first value of a table of rows."""
    if "init_gpt-embeddings-standard-normal" in wrong or "init_gpt-as-torch-does" in wrong:
        deviation = 1.0
    if name == "wpe" and "init_gpt-positions-smaller" in wrong:
        deviation = 0.01
    if name == "wpe" and "init_gpt-positions-zero" in wrong:
        deviation = 0.0
    if "init_gpt-everything-scaled" in wrong:
        deviation /= math.sqrt(2 * n_layers)
    return _normal(shape, deviation, generator, wrong)


def _scale(name: str, n_layers: int, wrong: Wrong) -> float:
    """How much smaller than 0.02 the deviation of a block's matrix is."""
    scaled: tuple[str, ...] = WRITERS
    if "init_gpt-only-attention-scaled" in wrong:
        scaled = ("attn.w_o",)
    if "init_gpt-only-feed-forward-scaled" in wrong:
        scaled = ("mlp.w_down",)
    if "init_gpt-wrong-projections-scaled" in wrong:
        scaled = READERS
    if "init_gpt-everything-scaled" in wrong or "init_gpt-whole-blocks-scaled" in wrong:
        scaled = ("",)
    if not name.endswith(scaled) or "init_gpt-residual-not-scaled" in wrong:
        return 1.0
    if "init_gpt-residual-zero" in wrong:
        return 0.0
    if "init_gpt-scaled-by-layers" in wrong:
        return 1 / math.sqrt(n_layers)
    if "init_gpt-scaled-without-root" in wrong:
        return 1 / (2 * n_layers)
    if "init_gpt-divided-by-layers" in wrong:
        return 1 / n_layers
    if "init_gpt-scaled-up" in wrong:
        return math.sqrt(2 * n_layers)
    if "init_gpt-scaled-by-own-number" in wrong:
        return 1 / math.sqrt(2 * (int(name.split(".")[1]) + 1))
    return 1 / math.sqrt(2 * n_layers)


def _normal(shape: Shape, deviation: float, generator: torch.Generator | None, wrong: Wrong = RIGHT) -> Tensor:
    drawn = torch.randn(shape, generator=generator)  # (…)
    if "init_gpt-truncated" in wrong:
        drawn = drawn.clamp(-2, 2)
    if "init_gpt-uniform" in wrong:
        drawn = _uniform(shape, 1.0, generator)  # (…)
    if "init_gpt-not-around-zero" in wrong:
        drawn = _uniform(shape, 1.0, generator).abs()  # (…)
    return deviation * drawn


def _uniform(shape: Shape, bound: float, generator: torch.Generator | None) -> Tensor:
    """Between -bound and bound."""
    return bound * (2 * torch.rand(shape, generator=generator) - 1)


# --- cases ------------------------------------------------------------------------------------------------------------

LAYOUTS: tuple[Sizes, ...] = (
    (3, 2, 1, 1, 2), (5, 3, 2, 2, 4), (4, 4, 1, 2, 4), (7, 5, 3, 1, 2), (6, 9, 2, 3, 6), (11, 4, 4, 2, 8),
    (8, 8, 2, 4, 8),
)  # fmt: skip


def cases(draw: Draw) -> Iterator[Case]:
    """Names and shapes, then, of larger models, what cannot be chance: deviations, constants, what is alike.

    Of 78 features: then each of the usual wrong deviations is well inside of a step of `_deviation`.
    """
    v, n_positions, n_layers, h, _c = _sizes(draw, 1)
    narrow, wide = (Call((v, n_positions, n_layers, h, c, draw.seed_value())) for c in (39, 156))
    for sizes in (*LAYOUTS, _sizes(draw, draw.randrange(1, 5), 6)):
        view = functools.partial(_layout, sizes)
        yield _case(draw, "the names and shapes that gpt_forward reads", sizes, view)
    yield Case("one deviation for every width, not as Xavier or Kaiming choose it", (narrow, wide), view=_growth)
    for n_layers in (1, 2, 4):
        layers = sorted({0, n_layers - 1})
        readers = [f"h.{i}.{name}" for i in layers for name in READERS]
        writers = [f"h.{i}.{name}" for i in layers for name in WRITERS]
        for shows, names in (
            ("token and position embeddings: deviation 0.02", ["wte", "wpe"]),
            ("the matrices that read from the residual stream: deviation 0.02", readers),
            ("the residual projections: deviation 0.02/√(2·n_layers)", writers),
        ):
            yield _case(draw, shows, _sizes(draw, n_layers), functools.partial(_deviations, names))
        few = _sizes(draw, n_layers, 2)
        biases = [name for name in _shapes(few) if ".b_" in name]
        norms = [name for name in _shapes(few) if "ln" in name]
        yield _case(draw, "biases are 0", few, functools.partial(_constants, biases))
        yield _case(draw, "norms have weight 1 and bias 0", few, functools.partial(_constants, norms))
    yield _case(draw, "normal numbers around 0", _sizes(draw, 1), _distributions)
    for n_layers in (2, 4):
        yield _case(draw, "every matrix has numbers of its own", _sizes(draw, n_layers, 6), _twins)
        yield _case(draw, "normal numbers around 0", _sizes(draw, n_layers), _distributions)
    for n_layers in (1, 2):
        sizes, one, other = _sizes(draw, n_layers, 6), draw.seed_value(), draw.seed_value()
        first, second = Call((*sizes, one)), Call((*sizes, other))
        yield Case("another generator draws others", (first, second), view=_same)
        yield Case("the same generator draws the same", (first, first), EDGE, view=_same)


def _case(draw: Draw, shows: str, sizes: Sizes, view: Callable[[list[Observation]], Any]) -> Case:
    return case(shows, *sizes, draw.seed_value(), view=view)


def _sizes(draw: Draw, n_layers: int, d_model: int = 78) -> Sizes:
    """Of a model with enough rows to tell deviations by."""
    return draw.randrange(95, 100), draw.randrange(62, 67), n_layers, draw.choice((1, 2)), d_model


def _layout(sizes: Sizes, seen: list[Observation]) -> dict[str, Any]:
    """Which names and shapes are not as gpt_forward reads them. An output that is the embedding itself is tied, too."""
    p, wanted = _parameters(seen[0]), _shapes(sizes)
    tied = "lm_head.weight" in p and torch.equal(p["lm_head.weight"], p["wte"])
    shapes = {name: tuple(value.shape) for name, value in p.items() if not (tied and name == "lm_head.weight")}
    return {
        "missing": [name for name in wanted if name not in shapes],
        "unknown": sorted(name for name in shapes if name not in wanted),
        "shapes": {name: shape for name, shape in shapes.items() if name in wanted and shape != wanted[name]},
    }


def _parameters(seen: Observation) -> dict[str, Tensor]:
    """The tensors that came, by their names."""
    p = seen["value"]
    return {name: value for name, value in p.items() if isinstance(value, Tensor)} if isinstance(p, dict) else {}


def _deviations(names: list[str], seen: list[Observation]) -> dict[str, str]:
    p = _parameters(seen[0])
    return {name: f"{_deviation(p[name]):.4g}" for name in names if name in p}


def _growth(seen: list[Observation]) -> dict[str, str]:
    """How many times as large deviations are in the second model."""
    first, second = (_parameters(one) for one in seen)
    pairs = {name: (_deviation(first[name]), _deviation(second[name])) for name in ("wte", "h.0.mlp.w_up")}
    return {name: f"{large / small:.4g} times" if small else "0" for name, (small, large) in pairs.items()}


def _deviation(value: Tensor) -> float:
    """The standard deviation, to the nearest of 0.02 · √2 to some power: chance moves none to another."""
    deviation = float(value.double().std())
    return 0.02 * 2 ** (round(2 * math.log2(deviation / 0.02)) / 2) if deviation > 1e-9 else 0.0


def _constants(names: list[str], seen: list[Observation]) -> dict[str, str]:
    """The number that a vector is full of."""
    p = _parameters(seen[0])
    return {name: _constant(p[name].flatten()) for name in names if name in p}


def _constant(value: Tensor) -> str:
    return f"{float(value[0]):.4g}" if bool((value == value[0]).all()) else "different numbers"


def _distributions(seen: list[Observation]) -> dict[str, str]:
    p = _parameters(seen[0])
    return {name: _distribution(p[name]) for name in ("wte", "wpe", "h.0.mlp.w_up") if name in p}


def _distribution(value: Tensor) -> str:
    """What thousands of numbers look like."""
    numbers = value.double().flatten()
    deviation = float(numbers.std())
    if deviation < 1e-9:
        return "all the same"
    around = "around 0" if abs(float(numbers.mean())) < 0.2 * deviation else "not around 0"
    farthest = float((numbers - numbers.mean()).abs().max()) / deviation
    return f"{'normal' if farthest > NORMAL else 'cut off'}, {around}"


def _twins(seen: list[Observation]) -> list[list[str]]:
    """The matrices that hold the same numbers."""
    p = {name: value for name, value in _parameters(seen[0]).items() if name.startswith("h.") and value.ndim > 1}
    names = list(p)
    return [[one, other] for i, one in enumerate(names) for other in names[i + 1 :] if torch.equal(p[one], p[other])]


def _same(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    first, second = (_parameters(one) for one in seen)
    return all(torch.equal(first[name], second[name]) for name in first)
