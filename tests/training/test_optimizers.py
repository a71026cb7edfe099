"""Optimizers: AdamW against torch's, Muon against its own definition, and which parameter gets what."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small import DTYPES, MODERN, random_ids, random_tensor, small_model
from torch import Tensor, nn

from groundup.errors import CheckpointError
from groundup.training.loss import cross_entropy
from groundup.training.optimizers import (
    OptimizerState,
    Rule,
    adamw_step,
    decay_groups,
    make_optimizer,
    muon_orthogonalize,
    muon_step,
    optimizer_step,
)


def give_gradients(params: dict[str, Tensor], seed: int) -> None:
    for i, param in enumerate(params.values()):
        param.grad = random_tensor(*param.shape, seed=1000 * seed + i, dtype=param.dtype)


def test_matrices_decay_and_embeddings_biases_and_norms_do_not() -> None:
    decay, no_decay = decay_groups(list(small_model(tie_embeddings=False).named_parameters()))
    block = [f"h.0.{name}" for name in ("attn.w_q", "attn.w_k", "attn.w_v", "attn.w_o", "mlp.w_up", "mlp.w_down")]
    assert sorted(decay) == sorted([*block, *(name.replace("h.0", "h.1") for name in block), "lm_head.weight"])
    assert {"wte", "wpe", "h.0.attn.b_q", "h.1.mlp.b_down", "h.0.ln1.weight", "ln_f.bias"} < set(no_decay)


@pytest.mark.parametrize(
    ("name", "shape", "decays"),
    [
        ("h.0.mlp.w_gate", (3, 4, 5), True),  # one matrix for each expert
        ("h.0.mlp.b_up", (3, 4), False),  # one bias for each expert
        ("h.0.attn.q_norm", (2, 4), False),  # one scale for each head
        ("h.0.attn.bias", (2, 4), False),
        ("model.wte.weight", (7, 4), False),
        ("h.0.attn.w_q", (4,), False),
        ("h.0.mlp.w_up", (1, 1), True),
        ("scale", (), False),
    ],
)
def test_what_decays_depends_on_axes_and_name(name: str, shape: tuple[int, ...], decays: bool) -> None:
    assert decay_groups([(name, torch.zeros(shape))]) == (([name], []) if decays else ([], [name]))


def test_every_parameter_is_in_one_group_and_in_order() -> None:
    names = [name for name, _ in small_model(**MODERN).named_parameters()]
    decay, no_decay = decay_groups(list(small_model(**MODERN).named_parameters()))
    assert sorted(decay + no_decay) == sorted(names)
    assert decay == [name for name in names if name in decay]


def test_twenty_steps_of_adamw_are_those_of_torch() -> None:
    ours, theirs = small_model().double(), small_model().double()
    decay, _ = decay_groups(list(theirs.named_parameters()))
    groups: list[dict[str, object]] = [{"params": [], "weight_decay": 0.1}, {"params": [], "weight_decay": 0.0}]
    for name, parameter in theirs.named_parameters():
        groups[0 if name in decay else 1]["params"].append(parameter)
    reference = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    optimizer = make_optimizer(ours.named_parameters())

    for step in range(20):
        ids, targets = random_ids(2, 6, seed=step), random_ids(2, 6, seed=step + 100)
        for model in (ours, theirs):
            model.zero_grad()
            cross_entropy(model(ids), targets).backward()
        lr = 1e-2 / (step + 1)
        for group in reference.param_groups:
            group["lr"] = lr
        reference.step()
        optimizer_step(optimizer, lr)
    for parameter, expected in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-9, atol=1e-11)


def test_the_first_step_of_adamw_by_hand() -> None:
    param, m, v = torch.tensor([2.0, 2.0]), torch.zeros(2), torch.zeros(2)
    adamw_step(param, torch.tensor([4.0, -0.01]), m, v, step=1, lr=0.1, weight_decay=0.5)
    # It shrinks by 5%, then goes by lr against the sign of the gradient, whatever that is.
    torch.testing.assert_close(param, torch.tensor([1.8, 2.0]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(m, torch.tensor([0.4, -0.001]))
    torch.testing.assert_close(v, torch.tensor([0.8, 5e-6]))


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_adamw_takes_any_shape_and_dtype_and_leaves_the_gradient(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    param, grad = random_tensor(*shape, dtype=dtype), random_tensor(*shape, seed=1, dtype=dtype)
    m, v, before = torch.zeros_like(param), torch.zeros_like(param), grad.clone()
    expected = [tensor.double() for tensor in (param, grad, m, v)]
    adamw_step(param, grad, m, v, 1, 0.1, eps=1e-3)
    adamw_step(*expected, 1, 0.1, eps=1e-3)
    assert grad.equal(before)
    tolerance = 1e-5 if dtype in (torch.float32, torch.float64) else 2e-2  # a few roundings of three digits
    for tensor, wide in zip((param, m, v), (expected[0], expected[2], expected[3]), strict=True):
        assert tensor.dtype == dtype
        torch.testing.assert_close(tensor.double(), wide, rtol=tolerance, atol=tolerance)


def test_moments_may_be_wider_than_the_parameter() -> None:
    param, m, v = torch.ones(3, dtype=torch.bfloat16), torch.zeros(3), torch.zeros(3)
    adamw_step(param, torch.ones(3, dtype=torch.bfloat16), m, v, 1, 0.5, weight_decay=0.0)
    assert param.tolist() == [0.5] * 3 and m.dtype == torch.float32


def test_adamw_on_slices_is_adamw_on_the_whole() -> None:
    tensors = [random_tensor(100, seed=i) for i in range(2)] + [torch.zeros(100), torch.zeros(100)]
    copies = [tensor.clone() for tensor in tensors]
    adamw_step(*tensors, 1, 0.1)
    for cut in (slice(0, 33), slice(33, 100)):
        adamw_step(*(copy[cut] for copy in copies), 1, 0.1)
    for tensor, copy in zip(tensors, copies, strict=True):
        torch.testing.assert_close(tensor, copy, rtol=1e-6, atol=1e-7)  # vector and scalar code round differently


def test_a_parameter_that_learns_can_be_stepped_without_a_graph() -> None:
    param = nn.Parameter(torch.ones(3))
    (param**2).sum().backward()
    adamw_step(param, param.grad, torch.zeros(3), torch.zeros(3), 1, 0.1)
    assert param.requires_grad and param.is_leaf and (param < 1).all()


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24), (1, 5), (5, 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_singular_values_come_near_one(shape: tuple[int, int], seed: int) -> None:
    g = 1e-3 * random_tensor(*shape, seed=seed)
    u, values, v = torch.linalg.svd(g, full_matrices=False)
    after = u.T @ muon_orthogonalize(g) @ v.T
    # The largest start near 1, the smallest near 0: five rounds lift those above 1% of the norm to where they belong.
    large = values > 0.02 * values.norm()
    assert ((after.diagonal()[large] > 0.3) & (after.diagonal()[large] < 1.3)).all()
    torch.testing.assert_close(after, torch.diag(after.diagonal()), rtol=0, atol=1e-4)  # the directions stay


def test_orthogonalising_is_the_quintic_of_its_definition() -> None:
    for shape in [(6, 4), (4, 6)]:
        g = random_tensor(*shape, dtype=torch.float64)
        x = g / (g.square().sum().sqrt() + 1e-7)
        for _ in range(5):
            x = 3.4445 * x - 4.7750 * x @ x.T @ x + 2.0315 * x @ x.T @ x @ x.T @ x
        torch.testing.assert_close(muon_orthogonalize(g), x)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5)])
def test_a_stack_of_matrices_is_each_by_itself(shape: tuple[int, int]) -> None:
    stack = random_tensor(2, 3, *shape)
    result = muon_orthogonalize(stack)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(result[i, j], muon_orthogonalize(stack[i, j]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16])
def test_orthogonalising_keeps_the_dtype_and_its_input(dtype: torch.dtype) -> None:
    g = random_tensor(6, 4, dtype=dtype)
    before = g.clone()
    result = muon_orthogonalize(g)
    assert result.dtype == dtype and result.shape == (6, 4) and g.equal(before)
    # Five rounds of an unstable polynomial in three digits: near enough for an update.
    tolerance = 1e-4 if dtype in (torch.float32, torch.float64) else 0.1
    torch.testing.assert_close(result.double(), muon_orthogonalize(g.double()), rtol=tolerance, atol=tolerance)


def test_no_steps_only_normalise_and_zeros_stay_zeros() -> None:
    g = random_tensor(4, 6)
    torch.testing.assert_close(muon_orthogonalize(g, steps=0), g / g.norm())
    assert not muon_orthogonalize(torch.zeros(4, 6)).any()


def test_orthogonalising_has_the_right_gradient() -> None:
    g = random_tensor(3, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: muon_orthogonalize(x, steps=2), [g])


@given(scale=st.floats(1e-2, 1e2))
def test_orthogonalising_forgets_the_length(scale: float) -> None:
    g = random_tensor(4, 6, dtype=torch.float64)
    torch.testing.assert_close(muon_orthogonalize(scale * g), muon_orthogonalize(g), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (16, 4)])
def test_muon_is_nesterov_momentum_orthogonalised(shape: tuple[int, int]) -> None:
    param, buffer = random_tensor(*shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    expected, sum_of_gradients = param.clone(), torch.zeros(shape, dtype=torch.float64)
    for step in range(4):
        grad = random_tensor(*shape, seed=step + 1, dtype=torch.float64)
        muon_step(param, grad, buffer, 0.02, weight_decay=0.1)
        # As first published: a sum of gradients, of which only the direction counts.
        sum_of_gradients = 0.95 * sum_of_gradients + grad
        update = muon_orthogonalize(grad + 0.95 * sum_of_gradients)
        expected = expected * (1 - 0.02 * 0.1) - 0.02 * 0.2 * max(shape) ** 0.5 * update
        torch.testing.assert_close(param, expected, rtol=1e-5, atol=1e-6)  # 1e-7 is added to norms of other lengths


def test_muon_steps_with_the_part_that_it_is_given() -> None:
    param = torch.zeros(2, 2)
    muon_step(param, torch.ones(2, 2), torch.zeros(2, 2), 0.5, muon_orthogonalize=lambda g: torch.full_like(g, 3.0))
    torch.testing.assert_close(param, torch.full((2, 2), -0.5 * 3.0 * 0.2 * 2**0.5))


def test_muon_gets_the_matrices_of_the_blocks_and_adamw_all_others() -> None:
    optimizer = make_optimizer(small_model(**MODERN).named_parameters(), "muon", muon_lr_scale=9.0)
    methods = {name: rule.method for name, rule in optimizer.rules.items()}
    assert {methods[f"h.{i}.{name}"] for i in (0, 1) for name in ("attn.w_q", "attn.w_o", "mlp.w_gate")} == {"muon"}
    assert {methods[name] for name in ("wte", "lm_head.weight", "h.0.ln1.weight", "h.0.attn.q_norm")} == {"adamw"}
    assert optimizer.rules["h.0.attn.w_q"] == Rule("muon", 0.1, 9.0)
    assert optimizer.rules["lm_head.weight"] == Rule("adamw", 0.1)
    assert optimizer.rules["wte"] == Rule("adamw", 0.0)


def test_a_step_scales_the_rate_of_each_rule() -> None:
    params = {"a": nn.Parameter(torch.ones(1)), "b": nn.Parameter(torch.ones(1)), "c": nn.Parameter(torch.ones(1, 1))}
    rules = {"a": Rule("adamw", 0.0), "b": Rule("adamw", 0.0, 3.0), "c": Rule("muon", 0.0, 2.0)}
    optimizer = OptimizerState(params, rules)
    for param in params.values():
        param.grad = torch.ones_like(param)
    optimizer_step(optimizer, 0.1, muon_orthogonalize=lambda g: g / g.norm())
    assert params["a"].item() == pytest.approx(0.9)
    assert params["b"].item() == pytest.approx(0.7)
    assert params["c"].item() == pytest.approx(1 - 0.1 * 2 * 0.2)  # a step of a (1, 1) matrix is 0.2 long


def test_a_step_is_made_of_the_parts_that_it_is_given() -> None:
    model, calls = small_model(), list[int]()
    optimizer = make_optimizer(model.named_parameters(), decay_groups=lambda named: ([name for name, _ in named], []))
    give_gradients(optimizer.params, 0)

    def own(
        param: Tensor, grad: Tensor, m: Tensor, v: Tensor, step: int, lr: float, *rest: object, weight_decay: float
    ) -> None:
        assert weight_decay == 0.1
        calls.append(step)

    optimizer_step(optimizer, 0.1, adamw_step=own)
    assert calls == [1] * len(optimizer.params)


def test_a_parameter_without_a_gradient_stays_as_it_is() -> None:
    optimizer = make_optimizer(small_model().named_parameters(), "muon")
    give_gradients(optimizer.params, 0)
    optimizer.params["wpe"].grad = optimizer.params["h.0.attn.w_q"].grad = None
    before = {name: param.detach().clone() for name, param in optimizer.params.items()}
    optimizer_step(optimizer, 0.1)
    assert {name for name, param in optimizer.params.items() if param.equal(before[name])} == {"wpe", "h.0.attn.w_q"}


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_a_state_saved_and_loaded_goes_on_as_if_nothing_had_been(method: str) -> None:
    steady = make_optimizer(small_model().named_parameters(), method)
    for step in range(3):
        give_gradients(steady.params, step)
        optimizer_step(steady, 0.01)
    saved = {name: tensor.clone() for name, tensor in steady.tensors().items()}
    resumed = make_optimizer(small_model().named_parameters(), method)
    resumed.load(saved, 3)
    with torch.no_grad():
        for name, param in resumed.params.items():
            param.copy_(steady.params[name])
    for optimizer in (steady, resumed):
        give_gradients(optimizer.params, 3)
        optimizer_step(optimizer, 0.01)
    assert resumed.step == 4
    assert all(param.equal(steady.params[name]) for name, param in resumed.params.items())


def test_moments_are_named_after_their_parameters() -> None:
    names = set(make_optimizer(small_model().named_parameters(), "muon").tensors())
    assert {"m.wte", "v.wte", "momentum.h.0.attn.w_q", "m.h.0.ln1.weight"} < names
    assert "m.h.0.attn.w_q" not in names and "momentum.wte" not in names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("m.wte"), "m.wte is missing"),
        (lambda tensors: tensors.update({"m.other": torch.zeros(1)}), "m.other is unknown"),
        (lambda tensors: tensors.update({"v.wte": torch.zeros(3)}), r"v.wte is \(3,\) torch.float32, not \(13, 16\)"),
        (lambda tensors: tensors.update({"v.wte": tensors["v.wte"].double()}), "v.wte is .* torch.float64, not"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_whole(change, message: str) -> None:
    optimizer = make_optimizer(small_model().named_parameters())
    tensors = {name: torch.ones_like(tensor) for name, tensor in optimizer.tensors().items()}
    change(tensors)
    with pytest.raises(CheckpointError, match=message) as caught:
        optimizer.load(tensors, 5)
    assert caught.value.code == "CKPT_FIT"
    assert optimizer.step == 0 and not any(tensor.any() for tensor in optimizer.tensors().values())


@pytest.mark.parametrize("method", ["adamw", "muon"])
def test_optimizers_learn(method: str) -> None:
    model = small_model().train()
    optimizer = make_optimizer(model.named_parameters(), method)
    ids, targets = random_ids(4, 6), random_ids(4, 6, seed=1)
    losses: list[float] = []
    for _ in range(60):
        model.zero_grad()
        loss = cross_entropy(model(ids), targets)
        loss.backward()
        optimizer_step(optimizer, 0.02)
        losses.append(loss.item())
    assert losses[0] > math.log(13) / 2 and losses[-1] < 0.3
