"""The trace shows every gradient on its way back, from the loss to the embedding."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import random_ids, small_gpt

from groundup.backprop import BackpropParts, gpt_backward, trace_gradients, trace_table

IDS, TARGETS = random_ids(2, 7), random_ids(2, 7, seed=1)


def test_the_trace_runs_from_the_loss_over_the_last_block_to_the_embedding() -> None:
    passed = trace_gradients(IDS, TARGETS, small_gpt(), 2, 4)
    outermost = [item.part for item in passed if " / " not in item.part]
    assert outermost[0] == "cross_entropy"
    assert outermost[-1] == "embedding"
    assert list(dict.fromkeys(outermost)) == [
        "cross_entropy", "linear", "layer_norm", "h.1 block", "h.0 block", "embedding",
    ]  # fmt: skip
    assert any(item.part == "h.1 block / multi_head_attention / attention / softmax" for item in passed)


def test_shapes_and_norms_are_those_of_the_gradients() -> None:
    p = small_gpt()
    _, dp = gpt_backward(IDS, TARGETS, p, 2, 4)
    passed = trace_gradients(IDS, TARGETS, p, 2, 4)
    found = {(item.part, item.gradient): item for item in passed}
    for name in ("attn.w_q", "ln2.bias", "mlp.w_up"):
        item = found["h.1 block", name]
        assert item.shape == dp[f"h.1.{name}"].shape
        assert item.norm == pytest.approx(np.linalg.norm(dp[f"h.1.{name}"]))
    assert found["h.0 block", "dx"].shape == (2, 7, 16)


def test_an_own_part_is_watched_too() -> None:
    wrong = BackpropParts(gelu_backward=lambda dy, x: np.zeros_like(x))
    passed = trace_gradients(IDS, TARGETS, small_gpt(), 2, 4, parts=wrong)
    assert {item.norm for item in passed if item.part.endswith("gelu")} == {0.0}


def test_missing_biases_and_an_untied_output_are_no_trouble() -> None:
    passed = trace_gradients(IDS, TARGETS, small_gpt(bias=False, tied=False), 2, 4)
    assert not [item for item in passed if item.part.startswith("h.") and item.gradient.startswith("attn.b_")]


def test_the_table_has_a_line_for_each_gradient_and_can_leave_out_the_inner_parts() -> None:
    passed = trace_gradients(IDS, TARGETS, small_gpt(), 2, 4)
    assert len(trace_table(passed).splitlines()) == 1 + len(passed)
    assert " / " not in trace_table(passed, depth=1)
