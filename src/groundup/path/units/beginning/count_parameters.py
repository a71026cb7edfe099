"""The number of parameters of a GPT, right or with one of its known mistakes."""

from __future__ import annotations

from collections.abc import Iterator

from ...case import Case, Draw, case
from ...reference import RIGHT, Wrong, reference


@reference
def count_parameters(
    vocab_size: int,
    context_length: int,
    n_layers: int,
    n_heads: int,
    d_model: int,
    tied: bool = True,
    *,
    wrong: Wrong = RIGHT,
) -> int:
    """How many numbers gpt_forward's model learns, biases included."""
    if "count_parameters-tied-inverted" in wrong:
        tied = not tied
    if "count_parameters-always-tied" in wrong:
        tied = True
    if "count_parameters-head-always-counted" in wrong:
        tied = False
    c, layers = d_model, n_layers
    if "count_parameters-one-layer" in wrong:
        layers = 1
    if "count_parameters-one-layer-short" in wrong:
        layers = n_layers - 1
    blocks = layers * _block(n_heads, c, wrong)
    if "count_parameters-masks-counted" in wrong:
        blocks += layers * context_length**2
    table = vocab_size * c
    places = 0 if "count_parameters-no-positions" in wrong else context_length * c
    if "count_parameters-position-for-each-token" in wrong:
        places = vocab_size * c
    if "count_parameters-embeddings-in-each-layer" in wrong:
        table, places = layers * table, layers * places
    last = 2 * c
    if "count_parameters-final-norm-without-bias" in wrong or "count_parameters-norms-without-bias" in wrong:
        last = c
    if "count_parameters-no-final-norm" in wrong or "count_parameters-no-norms" in wrong:
        last = 0
    head = 0 if tied else vocab_size * c
    if not tied and "count_parameters-head-with-bias" in wrong:
        head += vocab_size
    if "count_parameters-output-always-with-bias" in wrong:
        head += vocab_size
    if "count_parameters-without-embeddings" in wrong:
        table = places = 0
    return table + places + blocks + last + head


def _block(n_heads: int, c: int, wrong: Wrong) -> int:
    """Of one block of width c."""
    d = c // n_heads
    projection, input_biases, output_bias = c * c, 3 * c, c
    if "count_parameters-one-head" in wrong:
        projection, input_biases = d * c, 3 * d
    if "count_parameters-each-head-as-wide-as-the-model" in wrong:
        projection, input_biases = n_heads * c * c, 3 * n_heads * c
    if "count_parameters-no-attention-input-biases" in wrong:
        input_biases = 0
    if "count_parameters-no-attention-biases" in wrong:
        input_biases = output_bias = 0
    if "count_parameters-no-attention-output-bias" in wrong:
        output_bias = 0
    f = 4 * c
    if "count_parameters-feed-forward-as-wide-as-the-model" in wrong:
        f = c
    if "count_parameters-feed-forward-twice-as-wide" in wrong:
        f = 2 * c
    up, down = f * c + f, f * c + c
    if "count_parameters-hidden-bias-as-wide-as-the-model" in wrong:
        up = f * c + c
    if "count_parameters-no-hidden-bias" in wrong:
        up = f * c
    if "count_parameters-no-last-bias" in wrong:
        down = f * c
    if "count_parameters-no-feed-forward-biases" in wrong:
        up = down = f * c
    if "count_parameters-no-biases" in wrong:
        up, down, input_biases, output_bias = f * c, f * c, 0, 0
    if "count_parameters-gated" in wrong:
        up *= 2
    if "count_parameters-only-one-feed-forward-matrix" in wrong:
        down = 0
    output = 0 if "count_parameters-no-output-projection" in wrong else c * c + output_bias
    norms = 4 * c
    if "count_parameters-norms-without-bias" in wrong or "count_parameters-one-norm" in wrong:
        norms = 2 * c
    if "count_parameters-no-norms" in wrong or "count_parameters-no-norms-in-blocks" in wrong:
        norms = 0
    return 3 * projection + input_biases + output + up + down + norms


LAYOUTS = (
    (3, 2, 1, 1, 2), (5, 3, 2, 2, 4), (4, 4, 1, 2, 4), (7, 5, 3, 1, 2), (6, 9, 2, 3, 6), (11, 4, 4, 2, 8),
    (50, 16, 3, 4, 16), (257, 64, 4, 8, 64),
)  # fmt: skip


def cases(draw: Draw) -> Iterator[Case]:
    """Small models that can be counted by hand, then any, tied, untied, and as it comes."""
    all_of_it = "wte, wpe, n_layers blocks with biases and F = 4·C, and the final norm, each number once"
    for sizes in LAYOUTS:
        yield case(all_of_it, *sizes, True)
    for sizes in LAYOUTS[:4]:
        yield case("an untied model has an output matrix of its own", *sizes, False)
    for _ in range(8):
        yield case(all_of_it, *_sizes(draw), True)
        yield case("an untied model has an output matrix of its own", *_sizes(draw), False)
    for sizes in LAYOUTS[:4]:
        yield case("a model is tied unless tied=False says otherwise", *sizes)
    for tied in (True, False):
        yield case("tied given by name", *LAYOUTS[0], tied=tied)


def _sizes(draw: Draw) -> tuple[int, int, int, int, int]:
    h, d = draw.randrange(2, 6), draw.randrange(2, 12)
    return draw.randrange(20, 400), draw.randrange(5, 60), draw.randrange(2, 7), h, h * d
