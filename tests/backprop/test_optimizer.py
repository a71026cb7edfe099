"""Training in NumPy alone takes torch's steps: the same loss on the packaged text, step by step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from by_hand import array, assert_equal, small_gpt

from groundup.backprop import optimizer, train_step
from groundup.model.transformer import gpt_forward, init_gpt
from groundup.text.batches import Windows
from groundup.text.corpus import packaged
from groundup.text.tokenizer import Tokenizer
from groundup.training import clipping, optimizers
from groundup.training.train_step import train_step as torch_train_step

SIZES = {"vocab_size": 300, "context_length": 16, "n_layers": 2, "n_heads": 4, "d_model": 32}


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_the_packaged_text_trains_to_torch_s_loss_step_by_step(tied: bool) -> None:
    text = packaged("the-verdict").train
    ids = torch.tensor(Tokenizer.train([text], SIZES["vocab_size"]).encode(text))
    windows = Windows(ids, SIZES["context_length"], seed=1)
    first = init_gpt(**SIZES, generator=torch.Generator().manual_seed(0))
    if not tied:
        first["lm_head.weight"] = first["wte"].flip(0).clone()
    p = {name: value.double().numpy().copy() for name, value in first.items()}
    tensors = {name: value.double().requires_grad_() for name, value in first.items()}

    def forward(inputs: torch.Tensor, p: dict[str, torch.Tensor]) -> torch.Tensor:
        return gpt_forward(inputs, p, SIZES["n_layers"], SIZES["n_heads"])

    ours: dict[str, object] = {}
    theirs: dict[str, object] = {}
    losses: list[float] = []
    for step in range(30):
        batch = windows.batch(step, 4)
        lr = 0.003 * min(1.0, (step + 1) / 5)
        wanted = torch_train_step(forward, tensors, batch, theirs, lr=lr, max_norm=1.0)
        inputs, targets = (t.numpy() for t in batch)
        found = train_step(inputs, targets, p, ours, SIZES["n_layers"], SIZES["n_heads"], lr=lr, max_norm=1.0)
        assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-9)
        assert found["grad_norm"] == pytest.approx(wanted["grad_norm"], rel=1e-9)
        losses.append(found["loss"])
    assert losses[-1] < losses[0] - 0.5
    for name, tensor in tensors.items():
        assert_equal(p[name], tensor)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_adamw_takes_torch_s_steps(weight_decay: float) -> None:
    param = array(4, 5)
    m, v = np.zeros_like(param), np.zeros_like(param)
    judged = torch.nn.Parameter(torch.tensor(param))
    judge = torch.optim.AdamW([judged], lr=0.01, betas=(0.9, 0.95), eps=1e-8, weight_decay=weight_decay)
    for step in range(1, 6):
        grad = array(4, 5, seed=step)
        kept = grad.copy()
        optimizer.adamw_step(param, grad, m, v, step, 0.01, weight_decay=weight_decay)
        assert np.array_equal(grad, kept)
        judged.grad = torch.tensor(grad)
        judge.step()
    assert_equal(param, judged)


@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clipping_is_that_of_training(max_norm: float) -> None:
    grads = [array(3, 4), None, array(5, seed=1)]
    tensors = [None if grad is None else torch.tensor(grad) for grad in grads]
    assert optimizer.clip_gradients(grads, max_norm) == pytest.approx(clipping.clip_gradients(tensors, max_norm))
    for grad, tensor in zip(grads, tensors, strict=True):
        if grad is not None:
            assert_equal(grad, tensor)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_norm_that_is_no_number_leaves_the_gradients_alone(bad: float) -> None:
    grads = [np.ones(3), np.array([1.0, bad])]
    assert not math.isfinite(optimizer.clip_gradients(grads, 0.1))
    assert (grads[0] == 1).all()


@pytest.mark.parametrize("tied", [True, False])
def test_weight_decay_is_for_the_parameters_that_training_s_rule_names(tied: bool) -> None:
    p = small_gpt(tied=tied)
    decay, _ = optimizers.decay_groups([(name, torch.tensor(value)) for name, value in p.items()])
    assert [name for name, value in p.items() if optimizer.is_decayed(name, value)] == decay
