"""What holds for every backward part: float32 stays float32, inputs are left alone, no torch, and own parts fit in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_hand import Arrays, array, assert_equal, random_ids, small_gpt

import groundup
from groundup.backprop import BackpropParts, gpt_backward
from groundup.backprop import attention as a
from groundup.backprop.block import block_backward
from groundup.backprop.embedding import embedding_backward
from groundup.backprop.feedforward import feed_forward_backward, gelu_backward
from groundup.backprop.linear import linear_backward
from groundup.backprop.loss import cross_entropy_backward
from groundup.backprop.norm import layer_norm_backward

HEADS = (2, 4, 7, 4)


def of_block() -> Arrays:
    return {name.removeprefix("h.0."): value for name, value in small_gpt().items() if name.startswith("h.0.")}


def arrays(*shapes: tuple[int, ...]) -> list[Any]:
    return [array(*shape, seed=i) for i, shape in enumerate(shapes)]


STREAM = (2, 7, 16)
CALLS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "linear": (linear_backward, arrays((2, 7, 5), (2, 7, 6), (5, 6))),
    "gelu": (gelu_backward, arrays((2, 7, 5), (2, 7, 5))),
    "softmax": (a.softmax_backward, [array(2, 7, 5), a.softmax(array(2, 7, 5))]),
    "cross_entropy": (cross_entropy_backward, [array(7, 13), random_ids(7)]),
    "layer_norm": (layer_norm_backward, arrays((2, 7, 5), (2, 7, 5), (5,))),
    "embedding": (embedding_backward, [array(2, 7, 5), random_ids(2, 7), 13]),
    "feed_forward": (feed_forward_backward, arrays((2, 7, 5), (2, 7, 5), (9, 5), (9,), (5, 9), (5,))),
    "attention": (a.attention_backward, [*arrays(HEADS, HEADS, HEADS, HEADS), a.causal_mask(7)]),
    "multi_head_attention": (a.multi_head_attention_backward, [*arrays(STREAM, STREAM), of_block(), 4]),
    "block": (block_backward, [*arrays(STREAM, STREAM), of_block(), 4]),
    "gpt": (gpt_backward, [random_ids(2, 7), random_ids(2, 7, seed=1), small_gpt(), 2, 4]),
}


def numbers(value: Any) -> Iterator[np.ndarray]:
    """All arrays of numbers in arguments or an answer."""
    if isinstance(value, np.ndarray):
        yield from [value] if value.dtype.kind == "f" else []
    elif isinstance(value, Mapping):
        yield from numbers(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)


def single(value: Any) -> Any:
    """The same in float32."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float32)
    return {name: single(item) for name, item in value.items()} if isinstance(value, Mapping) else value


@pytest.mark.parametrize("name", CALLS)
def test_float32_stays_float32_and_is_near_float64(name: str) -> None:
    part, arguments = CALLS[name]
    found = list(numbers(part(*map(single, arguments))))
    for single_gradient, gradient in zip(found, numbers(part(*arguments)), strict=True):
        assert single_gradient.dtype == np.float32
        assert np.abs(single_gradient - gradient).max() <= 1e-4 * max(np.abs(gradient).max(), 1e-2)


@pytest.mark.parametrize("name", CALLS)
def test_inputs_are_left_alone_and_not_handed_out(name: str) -> None:
    part, arguments = CALLS[name]
    inputs = list(numbers(arguments))
    before = [value.copy() for value in inputs]
    for gradient in numbers(part(*arguments)):
        gradient[...] = 1.0  # whoever clips in place must not reach the inputs
    for value, old in zip(inputs, before, strict=True):
        assert np.array_equal(value, old)


def test_a_record_holds_every_part_of_the_chapter() -> None:
    assert set(BackpropParts.names()) == {f"{name}_backward" for name in CALLS}
    for name, (part, _) in CALLS.items():
        assert BackpropParts.defaults()[f"{name}_backward"] is part


def own_versions() -> dict[str, Callable[..., Any]]:
    """Every part as somebody's own function, with the arguments of PARTS alone."""

    def own(name: str) -> Callable[..., Any]:
        return lambda *arguments: called.append(name) or CALLS[name][0](*arguments)

    called: list[str] = []
    return {name: own(name) for name in CALLS} | {"": lambda: called}


@pytest.mark.parametrize("name", [name for name in CALLS if name != "gpt"])
def test_an_own_part_is_the_one_that_runs_and_needs_no_more_than_parts_says(name: str) -> None:
    own = own_versions()
    parts = BackpropParts(**{f"{name}_backward": own[name]})
    assert parts.own == {f"{name}_backward"}
    part, arguments = CALLS["gpt"]
    loss, dp = parts.gpt_backward(*arguments)
    wanted_loss, wanted = part(*arguments)
    assert set(own[""]()) == {name}
    assert loss == wanted_loss
    for key, gradient in wanted.items():
        assert_equal(dp[key], gradient)


def test_a_wrong_own_part_changes_the_gradients() -> None:
    parts = BackpropParts(softmax_backward=lambda dy, y: dy * y)
    part, arguments = CALLS["gpt"]
    (_, dp), (_, right) = parts.gpt_backward(*arguments), part(*arguments)
    assert not np.allclose(dp["h.1.attn.w_q"], right["h.1.attn.w_q"])
    assert np.allclose(dp["h.1.attn.w_v"], right["h.1.attn.w_v"])


def test_the_chapter_loads_no_torch() -> None:
    code = "import sys, groundup.backprop; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(groundup.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, timeout=60).returncode == 0
