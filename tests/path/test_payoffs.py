"""A model of one layer learns to reverse words; without a mask it only seems to."""

from __future__ import annotations

import pytest
import torch

from groundup.path.payoffs.reversal import WIDTH, attention_map, drawn, learn_to_reverse, twin_of
from groundup.training import Parts


@pytest.mark.slow
def test_it_learns_to_reverse_and_its_twin_only_reads_the_answer_off() -> None:
    told: list[int] = []
    own = learn_to_reverse(Parts(), lambda step, loss: told.append(step))
    twin = learn_to_reverse(twin_of(Parts()))
    assert told == list(range(1, 201))
    assert own.right >= 0.95
    assert own.loss < 0.02
    assert twin.loss < 0.02  # a wrong mask trains too
    assert twin.right < 0.2
    line, weights = attention_map(own, Parts())
    diagonal = weights[WIDTH:, :WIDTH].flip(1).diagonal()  # (8,) the anti-diagonal
    assert (diagonal > 0.3).sum() >= WIDTH - 1
    assert len(list(drawn(line, weights))) == WIDTH + 1
    _line, seen = attention_map(twin, twin_of(Parts()))
    assert seen.triu(1).sum() > 1  # it looks ahead
    assert torch.equal(weights.triu(1), torch.zeros_like(weights))
