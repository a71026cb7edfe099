"""What holds for every part: any leading shape, three dtypes, any device, inputs left alone, gradients that flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small import DTYPES, random_ids, random_tensor, small_model
from torch import Tensor

from groundup.model import attention as a
from groundup.model.block import transformer_block
from groundup.model.dropout import dropout
from groundup.model.embedding import embed, token_embedding
from groundup.model.feedforward import feed_forward, gelu, mlp, swiglu
from groundup.model.linear import linear
from groundup.model.norm import layer_norm, rms_norm
from groundup.model.position import rope
from groundup.model.transformer import gpt_forward


def shapes(*given: tuple[int, ...]) -> Callable[[torch.dtype], list[Any]]:
    """Arguments of these shapes, in a dtype."""
    return lambda dtype: [random_tensor(*shape, seed=i, dtype=dtype) for i, shape in enumerate(given)]


def book(dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.detach().to(dtype) for name, value in small_model().named_parameters()}


def book_block(dtype: torch.dtype) -> dict[str, Tensor]:
    return {name.removeprefix("h.0."): value for name, value in book(dtype).items() if name.startswith("h.0.")}


HEADS = (2, 4, 6, 8)
FEW_HEADS = (2, 2, 6, 8)
SQUARE = [(8, 8)] * 4
PARTS: dict[str, tuple[Callable[..., Any], Callable[[torch.dtype], list[Any]]]] = {
    "linear": (linear, shapes((2, 6, 8), (5, 8), (5,))),
    "softmax": (a.softmax, shapes((2, 3, 6))),
    "attention_weights": (a.attention_weights, lambda d: [*shapes(HEADS, HEADS)(d), a.causal_mask(6)]),
    "scaled_dot_product_attention": (
        a.scaled_dot_product_attention,
        lambda d: [*shapes(HEADS, HEADS, HEADS)(d), a.causal_mask(6)],
    ),
    "split_heads": (a.split_heads, lambda d: [*shapes((2, 6, 8))(d), 4]),
    "merge_heads": (a.merge_heads, shapes(HEADS)),
    "single_head_attention": (a.single_head_attention, shapes((2, 6, 8), (4, 8), (4, 8), (4, 8))),
    "multi_head_attention": (a.multi_head_attention, lambda d: [*shapes((2, 6, 8), *SQUARE)(d), 4]),
    "grouped_query_attention": (a.grouped_query_attention, shapes(HEADS, FEW_HEADS, FEW_HEADS)),
    "cached_attention": (a.cached_attention, lambda d: [*shapes(HEADS, FEW_HEADS, FEW_HEADS)(d), {}]),
    "attention": (a.attention, lambda d: [*shapes(HEADS, FEW_HEADS, FEW_HEADS)(d), 3]),
    "dropout": (dropout, lambda d: [*shapes((2, 6, 8))(d), 0.5]),
    "layer_norm": (layer_norm, shapes((2, 6, 8), (8,), (8,))),
    "rms_norm": (rms_norm, shapes((2, 6, 8), (8,))),
    "gelu": (gelu, shapes((2, 6, 8))),
    "feed_forward": (feed_forward, shapes((2, 6, 8), (12, 8), (12,), (8, 12), (8,))),
    "swiglu": (swiglu, shapes((2, 6, 8), (12, 8), (12, 8), (8, 12))),
    "mlp": (mlp, lambda d: [*shapes((2, 6, 8))(d), "relu2", *shapes((12, 8), (8, 12))(d)]),
    "rope": (rope, lambda d: [*shapes(HEADS)(d), torch.arange(6)]),
    "transformer_block": (transformer_block, lambda d: [*shapes((2, 6, 16))(d), book_block(d), 4]),
    "token_embedding": (token_embedding, lambda d: [random_ids(2, 6), *shapes((13, 8))(d)]),
    "embed": (embed, lambda d: [random_ids(2, 6), *shapes((13, 8), (9, 8))(d)]),
    "gpt_forward": (gpt_forward, lambda d: [random_ids(2, 6), book(d), 2, 4]),
}
EVERY_PART = pytest.mark.parametrize(("part", "arguments"), PARTS.values(), ids=PARTS.keys())
POINTWISE = ["linear", "softmax", "layer_norm", "rms_norm", "gelu", "feed_forward", "swiglu", "dropout"]


def tensors(arguments: list[Any]) -> list[Tensor]:
    nested = [list(item.values()) if isinstance(item, dict) else [item] for item in arguments]
    return [item for items in nested for item in items if isinstance(item, Tensor)]


@EVERY_PART
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_part_gives_the_dtype_of_its_input_and_leaves_its_inputs_alone(
    part: Callable[..., Any], arguments: Callable[[torch.dtype], list[Any]], dtype: torch.dtype
) -> None:
    given = arguments(dtype)
    inputs = tensors(given)
    before = [item.clone() for item in inputs]
    output = part(*given)
    assert output.dtype == dtype
    assert torch.isfinite(output).all()
    assert all(torch.equal(item, copy) for item, copy in zip(inputs, before, strict=True))


@EVERY_PART
def test_a_part_runs_where_its_inputs_are(
    part: Callable[..., Any], arguments: Callable[[torch.dtype], list[Any]]
) -> None:
    # "meta" is a device without data: a tensor made on the CPU by mistake does not mix with it.
    def moved(item: Any) -> Any:
        if isinstance(item, dict):
            return {name: value.to("meta") for name, value in item.items()}
        return item.to("meta") if isinstance(item, Tensor) else item

    given = arguments(torch.float32)
    expected = part(*given)
    output = part(*[moved(item) for item in arguments(torch.float32)])
    assert output.device.type == "meta"
    assert output.shape == expected.shape


@EVERY_PART
def test_gradients_reach_every_input(part: Callable[..., Any], arguments: Callable[[torch.dtype], list[Any]]) -> None:
    given = arguments(torch.float64)
    inputs = [item.requires_grad_() for item in tensors(given) if item.is_floating_point()]
    output = part(*given)
    output.square().sum().backward()
    assert all(item.grad is not None and torch.isfinite(item.grad).all() for item in inputs)


@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("leading", [(), (3,), (2, 3, 4)])
def test_leading_axes_are_free(name: str, leading: tuple[int, ...]) -> None:
    part, arguments = PARTS[name]
    x, *rest = arguments(torch.float32)
    shaped = random_tensor(*leading, x.shape[-1], seed=5)
    output = part(shaped, *rest)
    assert output.shape[: len(leading)] == leading
    if name != "dropout":
        flat = part(shaped.reshape(-1, x.shape[-1]), *rest)
        torch.testing.assert_close(output.reshape(flat.shape), flat)
