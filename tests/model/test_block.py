"""The transformer block: as a function over parameters by name, and as a module of every kind."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from small import BOOK, MODERN, generator, random_tensor, small_model
from torch import Tensor
from torch.nn import functional

from groundup.model.attention import causal_mask, multi_head_attention
from groundup.model.block import Block, transformer_block
from groundup.model.dropout import dropout
from groundup.model.feedforward import feed_forward
from groundup.model.norm import layer_norm


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> None:
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def block(**settings: object) -> Block:
    return small_model(**settings).h[0]


def parameters(**settings: object) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in block(**settings).named_parameters()}


X = random_tensor(2, 6, 16, seed=99)
POSITIONS = torch.arange(6)


def test_the_block_is_torchs_pre_norm_layer() -> None:
    p = parameters()
    bend = partial(functional.gelu, approximate="tanh")
    reference = torch.nn.TransformerEncoderLayer(16, 4, 64, 0.0, bend, batch_first=True, norm_first=True)
    attention = {f"in_proj_{kind}": [p[f"attn.{kind[0]}_{name}"] for name in "qkv"] for kind in ("weight", "bias")}
    own = {f"self_attn.{name}": torch.cat(pieces) for name, pieces in attention.items()}
    own |= {"self_attn.out_proj.weight": p["attn.w_o"], "self_attn.out_proj.bias": p["attn.b_o"]}
    own |= {"linear1.weight": p["mlp.w_up"], "linear1.bias": p["mlp.b_up"]}
    own |= {"linear2.weight": p["mlp.w_down"], "linear2.bias": p["mlp.b_down"]}
    own |= {f"norm{i}.{kind}": p[f"ln{i}.{kind}"] for i in (1, 2) for kind in ("weight", "bias")}
    reference.load_state_dict(own)
    reference.train()  # in eval mode torch takes a fused path without the tanh form
    close(transformer_block(X, p, 4), reference(X, src_mask=~causal_mask(6)))


@pytest.mark.parametrize("bias", [True, False])
def test_the_module_is_the_function(bias: bool) -> None:
    module = block(bias=bias)
    close(module(X, POSITIONS), transformer_block(X, dict(module.named_parameters()), 4))


def test_a_missing_bias_means_none() -> None:
    p = parameters()
    zeroed = {name: torch.zeros_like(value) if ".b_" in name or "bias" in name else value for name, value in p.items()}
    without = {name: value for name, value in p.items() if not (".b_" in name or "bias" in name)}
    close(transformer_block(X, without, 4), transformer_block(X, zeroed, 4))


def test_dropout_acts_on_the_attention_weights_and_on_what_each_branch_adds() -> None:
    p, draw = parameters(), generator(5)
    attended = multi_head_attention(
        layer_norm(X, p["ln1.weight"], p["ln1.bias"]),
        *(p[f"attn.w_{name}"] for name in "qkvo"),
        4,
        *(p[f"attn.b_{name}"] for name in "qkvo"),
        dropout=0.4,
        generator=draw,
    )
    x = X + dropout(attended, 0.4, True, draw)
    normed = layer_norm(x, p["ln2.weight"], p["ln2.bias"])
    thought = feed_forward(normed, *(p[f"mlp.{name}"] for name in ("w_up", "b_up", "w_down", "b_down")))
    expected = x + dropout(thought, 0.4, True, draw)
    close(transformer_block(X, p, 4, dropout=0.4, generator=generator(5)), expected)


@pytest.mark.parametrize("settings", [BOOK, MODERN, {"feed_forward": "relu2"}, {"position": "none", "window": 2}])
def test_a_block_ignores_the_future(settings: dict[str, object]) -> None:
    module = block(**settings)
    changed = X.clone()
    changed[:, 4:] += 3
    before, after = module(X, POSITIONS), module(changed, POSITIONS)
    close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("settings", [BOOK, MODERN])
def test_a_block_adds_to_the_stream(settings: dict[str, object]) -> None:
    module = block(**settings)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith(("w_o", "b_o", "w_down", "b_down")):
                parameter.zero_()
    close(module(X, POSITIONS), X)


def test_every_parameter_has_a_gradient() -> None:
    for settings in (BOOK, MODERN):
        module = block(**settings)
        module(X, POSITIONS).square().sum().backward()
        for name, parameter in module.named_parameters():
            # Softmax ignores what is added to all scores of a query: the bias of the keys teaches nothing.
            assert name == "attn.b_k" or parameter.grad.abs().max() > 0, name
