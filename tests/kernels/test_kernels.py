"""Each fused function equals the plain one beside it, in values and in gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from groundup.errors import ShapeError
from groundup.kernels import FUSED, fuse, linear
from groundup.kernels.attention import append_in_place
from groundup.kernels.gelu import gelu
from groundup.kernels.linear import fused_linear, is_for_onednn, linear_gelu
from groundup.model import ModelConfig, ModelParts, Transformer
from groundup.model.attention import append_to_cache
from groundup.training import Parts

B, H, G, T, D, C, F, V = 2, 4, 2, 7, 6, 12, 20, 11


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def assert_same(
    plain: Callable[..., object], fused: Callable[..., object], *inputs: object, rtol: float = 1e-9, atol: float = 1e-11
) -> None:
    """Values and gradients by every tensor that has one."""
    leaves = [item for item in inputs if isinstance(item, Tensor) and item.requires_grad]
    results = []
    for function in (plain, fused):
        answer = function(*inputs)
        outputs = list(answer) if isinstance(answer, tuple) else [answer]
        seeds = [torch.cos(torch.arange(float(out.numel()), dtype=out.dtype)).view(out.shape) for out in outputs]
        total = sum((out * seed).sum() for out, seed in zip(outputs, seeds, strict=True))
        gradients = torch.autograd.grad(total, leaves, allow_unused=True)
        results.append([*outputs, *gradients])
    for one, other in zip(*results, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=rtol, atol=atol)


@pytest.mark.parametrize("window", [None, 1, 3, 100])
@pytest.mark.parametrize("n_kv_heads", [H, G, 1])
def test_attention(window: int | None, n_kv_heads: int) -> None:
    q, k, v = drawn(B, H, T, D), drawn(B, n_kv_heads, T, D, seed=1), drawn(B, n_kv_heads, T, D, seed=2)
    assert_same(Parts().attention, FUSED["attention"], q, k, v, window)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("cut", [1, 3, T - 1])
def test_attention_with_a_cache(window: int | None, cut: int) -> None:
    q, k, v = (drawn(B, heads, T, D, seed=seed).detach() for seed, heads in enumerate((H, G, G)))
    whole = Parts().attention(q, k, v, window)
    for attention in (Parts().attention, FUSED["attention"]):
        cache: dict[str, Tensor] = {}
        pieces = [
            attention(q[:, :, part], k[:, :, part], v[:, :, part], window, cache)
            for part in (slice(0, cut), slice(cut, cut + 1), slice(cut + 1, T))
            if part.start < T and part.stop > part.start
        ]
        torch.testing.assert_close(torch.cat(pieces, dim=2), whole)


def test_a_growing_cache_holds_what_a_concatenated_one_holds() -> None:
    plain: dict[str, Tensor] = {}
    grown: dict[str, Tensor] = {}
    for step in range(200):
        k, v = drawn(1, 1, 1 + step % 3, 2, seed=step).detach(), drawn(1, 1, 1 + step % 3, 2, seed=-step).detach()
        append_to_cache(k, v, plain)
        append_in_place(k, v, grown)
        if step == 90:  # a beam search puts reordered tensors in their places
            for cache in (plain, grown):
                cache["k"], cache["v"] = cache["k"].flip(2), cache["v"].flip(2)
    assert plain["k"].equal(grown["k"]) and plain["v"].equal(grown["v"])


@pytest.mark.parametrize("window", [1, 2, 6, 100])
def test_a_growing_cache_behind_a_window_holds_what_is_seen(window: int) -> None:
    plain: dict[str, Tensor] = {}
    grown: dict[str, Tensor] = {}
    for step in range(200):
        k, v = drawn(2, 3, 1 + step % 3, 2, seed=step).detach(), drawn(2, 3, 1 + step % 3, 2, seed=-step).detach()
        for cache, append in ((plain, append_to_cache), (grown, append_in_place)):
            append(k, v, cache, window)
        assert plain["k"].equal(grown["k"]) and plain["v"].equal(grown["v"])


@pytest.mark.parametrize("n_kv_heads", [H, G, 1])
@pytest.mark.parametrize("window", [None, 1, 3, 6, 100])
def test_attention_after_a_shared_beginning_is_that_after_a_copied_one(window: int | None, n_kv_heads: int) -> None:
    b, beginning = 3, {name: drawn(1, n_kv_heads, 5, D, seed=i).detach() for i, name in enumerate("kv")}
    shared = [{f"shared_{name}": row for name, row in beginning.items()} for _ in range(2)]
    copied = {name: row.expand(b, -1, -1, -1) for name, row in beginning.items()}
    for step, n_tokens in enumerate((1, 1, 2, 1, 1)):
        q = drawn(b, H, n_tokens, D, seed=step).detach()
        k, v = (drawn(b, n_kv_heads, n_tokens, D, seed=seed + step).detach() for seed in (50, 90))
        expected = Parts().attention(q, k, v, window, copied)
        for attention, cache in zip((Parts().attention, FUSED["attention"]), shared, strict=True):
            torch.testing.assert_close(attention(q, k, v, window, cache), expected)
            assert cache["shared_k"] is beginning["k"]


def test_attention_with_dropout_is_the_plain_one() -> None:
    q, k, v = drawn(B, H, T, D), drawn(B, G, T, D, seed=1), drawn(B, G, T, D, seed=2)
    one, other = (
        attention(q, k, v, dropout=0.5, generator=torch.Generator().manual_seed(3))
        for attention in (Parts().attention, FUSED["attention"])
    )
    assert one.equal(other)


@pytest.mark.parametrize("n_tokens", [T, 300])
@pytest.mark.parametrize("window", [None, 3])
def test_attention_of_short_floats_is_that_of_float32_rounded(window: int | None, n_tokens: int) -> None:
    q, k, v = (drawn(1, heads, n_tokens, D, seed=heads, dtype=torch.bfloat16) for heads in (H, G, 1))
    k, v = k.expand(1, G, n_tokens, D), v.expand(1, G, n_tokens, D)
    with torch.autocast("cpu", torch.bfloat16):
        got = FUSED["attention"](q, k, v, window)
    assert got.dtype == torch.bfloat16
    assert_near(got, Parts().attention(q.float(), k.float(), v.float(), window), q)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gelu_of_short_floats_is_that_of_float32_rounded(dtype: torch.dtype) -> None:
    x = (3 * drawn(50, 40, dtype=torch.float32)).detach().to(dtype).requires_grad_()
    got = gelu(x)
    assert got.dtype == dtype
    assert_near(got, Parts().gelu(x.float()), x)


def assert_near(got: Tensor, expected: Tensor, x: Tensor) -> None:
    """Values and the gradient by x, to the digits of a short float."""
    gradients = [torch.autograd.grad(y.float().cos().sum(), x, retain_graph=True)[0] for y in (got, expected)]
    torch.testing.assert_close(got.float(), expected, rtol=0.02, atol=0.02)
    torch.testing.assert_close(*gradients, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("kind", ["layer", "rms"])
@pytest.mark.parametrize("has_branch", [False, True])
def test_residual_norm(kind: str, has_branch: bool) -> None:
    x, weight, bias = drawn(B, T, C), drawn(C), drawn(C, seed=1) if kind == "layer" else None
    branch = drawn(B, T, C, seed=4) if has_branch else None
    assert_same(Parts().residual_norm, FUSED["residual_norm"], x, branch, weight, bias, 1e-5, kind)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("has_frequencies", [False, True])
def test_rope(dtype: torch.dtype, has_frequencies: bool) -> None:
    x, positions = drawn(B, T, H, D, dtype=dtype), torch.arange(3, T + 3)
    frequencies = torch.tensor([1.0, 0.5, 0.01], dtype=torch.float64) if has_frequencies else None

    def on_heads(rope: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x: rope(x.transpose(1, 2), positions, 500.0, frequencies)

    assert_same(on_heads(Parts().rope), on_heads(FUSED["rope"]), x)


def test_rope_of_an_odd_width_is_refused_as_in_the_plain_part() -> None:
    with pytest.raises(ShapeError, match="heads are 5 wide"):
        FUSED["rope"](drawn(1, 1, 2, 5), torch.arange(2))


def test_rms_norm() -> None:
    assert_same(Parts().rms_norm, FUSED["rms_norm"], drawn(B, T, C), drawn(C), 1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rms_norm_of_short_floats_is_computed_in_float32(dtype: torch.dtype) -> None:
    x, weight = 300 * drawn(B, T, C, dtype=torch.float32).detach().to(dtype), drawn(C).detach().to(dtype)
    one, other = Parts().rms_norm(x, weight), FUSED["rms_norm"](x, weight)
    assert one.dtype == other.dtype == dtype
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["gelu", "relu2", "swiglu", "geglu"])
def test_mlp(kind: str) -> None:
    has_gate, has_bias = kind in ("swiglu", "geglu"), kind in ("gelu", "relu2")
    inputs = [drawn(B, T, C), kind, drawn(F, C), drawn(C, F), drawn(F, C, seed=1) if has_gate else None]
    inputs += [drawn(F), drawn(C)] if has_bias else []
    assert_same(Parts().mlp, FUSED["mlp"], *inputs)


@pytest.mark.parametrize("cap", [None, 2.0])
def test_head_loss(cap: float | None) -> None:
    targets = torch.arange(B * T).view(B, T) % V
    targets[0, 2:5] = -100
    assert_same(Parts().head_loss, FUSED["head_loss"], drawn(B, T, C), drawn(V, C), targets, cap)


def test_head_loss_with_nothing_to_predict_is_zero_with_zero_gradient() -> None:
    hidden, weight = drawn(B, T, C), drawn(V, C)
    loss = FUSED["head_loss"](hidden, weight, torch.full((B, T), -100))
    loss.backward()
    assert loss.item() == 0 and not hidden.grad.any() and not weight.grad.any()


SHAPES = [(1, 1, C), (1, 5, C), (3, C), (1, 33, C), (2, 40, C)]


@pytest.fixture
def onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products by oneDNN, whoever has made this machine's processor."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(linear, "mkl_holds_back", lambda: True)


@pytest.mark.parametrize(
    ("maker", "has_mkl", "expected"),
    [("AuthenticAMD", True, True), ("GenuineIntel", True, False), ("", True, False), ("AuthenticAMD", False, False)],
)
def test_onednn_is_asked_where_mkl_keeps_its_best_to_its_own_maker(
    monkeypatch: pytest.MonkeyPatch, maker: str, has_mkl: bool, expected: bool
) -> None:
    monkeypatch.setattr(linear, "processor_maker", lambda: maker)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: has_mkl)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert linear.mkl_holds_back.__wrapped__() == expected


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("has_bias", [False, True])
def test_onednn_gives_the_same_product_and_the_same_gradients(shape: tuple[int, ...], has_bias: bool) -> None:
    x, weight = drawn(*shape, dtype=torch.float32), drawn(F, C, dtype=torch.float32)
    bias = drawn(F, dtype=torch.float32) if has_bias else None
    assert is_for_onednn(x, weight)
    assert_same(Parts().linear, fused_linear, x, weight, bias, rtol=1e-5, atol=1e-5)
    assert_same(
        lambda *inputs: Parts().gelu(Parts().linear(*inputs)), linear_gelu, x, weight, bias, rtol=1e-5, atol=1e-5
    )
    with torch.no_grad():
        torch.testing.assert_close(fused_linear(x, weight, bias), Parts().linear(x, weight, bias))
        torch.testing.assert_close(linear_gelu(x, weight, bias), Parts().gelu(Parts().linear(x, weight, bias)))


@pytest.mark.usefixtures("onednn")
def test_onednn_takes_gradients_and_weights_that_do_not_lie_in_order() -> None:
    x, weight = drawn(2, T, C, dtype=torch.float32), drawn(2 * F, C, dtype=torch.float32)

    def stretched(linear: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, weight: linear(x.mT, weight[::2, :T]).mT.sum()

    assert_same(stretched(Parts().linear), stretched(fused_linear), x, weight, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("onednn")
def test_a_weight_that_is_not_trained_gets_no_gradient() -> None:
    x, weight, bias = (drawn(*shape, dtype=torch.float32) for shape in ((T, C), (F, C), (F,)))
    fused_linear(x, weight.detach(), bias.detach()).sum().backward()
    torch.testing.assert_close(x.grad, weight.sum(0).expand(T, C))
    fused_linear(x.detach(), weight, bias.detach()).sum().backward()
    assert weight.grad is not None and bias.grad is None


@pytest.mark.usefixtures("onednn")
def test_onednn_is_left_alone_with_what_it_does_not_compute_better() -> None:
    x, weight = drawn(1, C, dtype=torch.float32), drawn(F, C, dtype=torch.float32)
    assert not is_for_onednn(x.double(), weight.double())
    assert not is_for_onednn(x[0], weight)
    assert not is_for_onednn(x[:0], weight)
    assert not is_for_onednn(x.bfloat16(), weight.bfloat16())
    assert not is_for_onednn(x.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_for_onednn(x, weight)
        assert fused_linear(x, weight).dtype == torch.bfloat16


@pytest.mark.usefixtures("onednn")
def test_the_compiler_sees_one_graph_that_leaves_the_products_to_it() -> None:
    x, weight = drawn(2, T, C, dtype=torch.float32), drawn(F, C, dtype=torch.float32)
    calls: list[str] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        calls.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    compiled = torch.compile(fused_linear, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x, weight), Parts().linear(x, weight), rtol=1e-5, atol=1e-5)
    assert calls and not any("mkldnn" in call for call in calls)


def test_linear_and_token_embedding() -> None:
    assert_same(Parts().linear, FUSED["linear"], drawn(B, T, C), drawn(F, C), drawn(F))
    ids = torch.tensor([[1, 1, 3], [0, 1, 10]])
    assert_same(Parts().token_embedding, FUSED["token_embedding"], ids, drawn(V, C))


CONFIGS = {
    "the book's": {},
    "untied, sinusoidal": {"tie_embeddings": False, "position": "sinusoidal"},
    "llama's": {"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "n_kv_heads": 2},
    "qwen3's": {"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "qk_norm": True},
    "all the rest": {
        "position": "rope", "feed_forward": "relu2", "window": 3, "logit_soft_cap": 5.0, "embedding_norm": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("settings", CONFIGS.values(), ids=CONFIGS.keys())
def test_a_whole_model_is_the_same_plain_and_fused(settings: dict[str, object]) -> None:
    config = ModelConfig(vocab_size=V, context_length=9, n_layers=2, d_model=16, n_heads=4, **settings)
    plain = Transformer(config, ModelParts()).init_weights(torch.Generator().manual_seed(1)).double()
    fused = Transformer(config, fuse(ModelParts())).double()
    fused.load_state_dict(plain.state_dict())
    ids = torch.arange(2 * T).view(2, T) % V
    for model in (plain, fused):
        model(ids).cos().sum().backward()
    torch.testing.assert_close(plain(ids), fused(ids), rtol=1e-9, atol=1e-11)
    for (name, one), (_, other) in zip(plain.named_parameters(), fused.named_parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-8, atol=1e-10, msg=name)


def test_a_kernel_steps_aside_for_an_own_part_that_it_covers() -> None:
    def own(x: Tensor) -> Tensor:
        return x

    fused = fuse(ModelParts(gelu=own))
    assert fused.chosen["mlp"].__module__ == "groundup.model.feedforward"
    assert fused.chosen["attention"].__module__ == "groundup.kernels.attention"
    assert fused.gelu is own
