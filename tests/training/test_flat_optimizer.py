"""The fused step: equal to the plain one, on views of flat buffers."""

from __future__ import annotations

import pytest
import torch
from small import MODERN, random_ids, random_tensor, small_model
from torch import Tensor

from groundup.training import flat_optimizer
from groundup.training.flat_optimizer import FlatOptimizer, fused_optimizer_step
from groundup.training.optimizers import make_optimizer, optimizer_step


def give_gradients(params: dict[str, Tensor], seed: int) -> None:
    for i, param in enumerate(params.values()):
        param.grad = random_tensor(*param.shape, seed=1000 * seed + i, dtype=param.dtype)


@pytest.mark.parametrize("method", ["adamw", "muon"])
@pytest.mark.parametrize("settings", [{}, MODERN])
@pytest.mark.parametrize("size", [100, flat_optimizer.STACK])
def test_the_fused_step_equals_the_plain_one(
    method: str, settings: dict[str, object], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_optimizer, "STACK", size)  # 100: one matrix at a time
    plain = make_optimizer(small_model(**settings).named_parameters(), method, muon_lr_scale=3.0)
    flat = FlatOptimizer(make_optimizer(small_model(**settings).named_parameters(), method, muon_lr_scale=3.0))
    for step in range(5):
        for optimizer in (plain, flat):
            give_gradients(optimizer.params, step)
        optimizer_step(plain, 0.01)
        fused_optimizer_step(flat, 0.01)
    # Vector and scalar code, single and stacked products round differently in the last bit.
    tolerance = 1e-6 if method == "adamw" else 1e-5
    for name, tensor in (plain.tensors() | plain.params).items():
        torch.testing.assert_close((flat.tensors() | flat.params)[name], tensor, rtol=tolerance, atol=tolerance)
    assert flat.step == 5


def test_in_float64_nothing_but_the_last_bits_differs() -> None:
    plain = make_optimizer(small_model().double().named_parameters())
    flat = FlatOptimizer(make_optimizer(small_model().double().named_parameters()))
    for step in range(5):
        for optimizer in (plain, flat):
            give_gradients(optimizer.params, step)
        optimizer_step(plain, 0.01)
        fused_optimizer_step(flat, 0.01)
    for name, param in plain.params.items():
        torch.testing.assert_close(flat.params[name], param, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_the_model_keeps_its_parameters_and_its_logits(method: str) -> None:
    model, ids = small_model(**MODERN), random_ids(2, 5)
    parameters, logits = dict(model.named_parameters()), model(ids)
    flat = FlatOptimizer(make_optimizer(model.named_parameters(), method))
    assert all(parameter is parameters[name] for name, parameter in model.named_parameters())
    assert model(ids).equal(logits)
    for segment in flat.segments:
        first = segment.params[0]
        assert first.data_ptr() == segment.param.data_ptr()
        assert sum(param.numel() for param in segment.params) == segment.param.numel()


def test_one_segment_holds_one_rule() -> None:
    flat = FlatOptimizer(make_optimizer(small_model(tie_embeddings=False).named_parameters(), "muon"))
    # AdamW with and without decay; Muon for (C, C), (F, C) and (C, F).
    assert len(flat.segments) == 5
    for segment in flat.segments:
        names = [name for name, param in flat.params.items() if any(param is other for other in segment.params)]
        assert {flat.rules[name] for name in names} == {segment.rule}


def test_moments_that_exist_move_along() -> None:
    plain = make_optimizer(small_model().named_parameters())
    give_gradients(plain.params, 0)
    optimizer_step(plain, 0.01)
    before = plain.tensors()
    flat = FlatOptimizer(plain)
    assert flat.step == 1
    assert all(tensor.any() and tensor.equal(before[name]) for name, tensor in flat.tensors().items())


def test_loading_a_state_reaches_the_flat_buffers() -> None:
    flat = FlatOptimizer(make_optimizer(small_model().named_parameters(), "muon"))
    flat.load({name: torch.full_like(tensor, 2.0) for name, tensor in flat.tensors().items()}, 7)
    assert flat.step == 7
    assert all((moment == 2.0).all() for segment in flat.segments for moment in segment.moments)


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_a_parameter_without_a_gradient_stays_as_it_is(method: str) -> None:
    flat = FlatOptimizer(make_optimizer(small_model().named_parameters(), method))
    give_gradients(flat.params, 0)
    flat.params["wpe"].grad = flat.params["h.0.attn.w_q"].grad = None
    before = {name: param.detach().clone() for name, param in flat.params.items()}
    fused_optimizer_step(flat, 0.1)
    assert {name for name, param in flat.params.items() if param.equal(before[name])} == {"wpe", "h.0.attn.w_q"}


def test_the_gradients_stay_as_they_were() -> None:
    flat = FlatOptimizer(make_optimizer(small_model().named_parameters(), "muon"))
    give_gradients(flat.params, 0)
    before = [param.grad.clone() for param in flat.params.values()]
    fused_optimizer_step(flat, 0.1)
    assert all(param.grad.equal(grad) for param, grad in zip(flat.params.values(), before, strict=True))


def test_a_gradient_of_another_layout_is_taken_in_the_order_of_its_parameter() -> None:
    model = small_model()
    flat, plain = (
        FlatOptimizer(make_optimizer(model.named_parameters())),
        make_optimizer(small_model().named_parameters()),
    )
    for optimizer in (flat, plain):
        give_gradients(optimizer.params, 0)
    grad = flat.params["h.0.mlp.w_up"].grad
    flat.params["h.0.mlp.w_up"].grad = grad.T.contiguous().T
    fused_optimizer_step(flat, 0.01)
    optimizer_step(plain, 0.01)
    torch.testing.assert_close(flat.params["h.0.mlp.w_up"], plain.params["h.0.mlp.w_up"])
