"""Where to begin: a wrong answer names its unit, and a stage's largest part stands for all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundup.path.catalog import catalog, path_order
from groundup.path.placement import pass_stage, place, questions, task_of
from groundup.path.session import first_open
from groundup.path.texts import units
from groundup.path.workspace import Workspace, make_workspace

STAGES = [stage["number"] for stage in path_order()]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "my_llm")


def test_each_question_has_its_answer_and_its_unit() -> None:
    assert len(questions()) >= 6
    for question in questions():
        assert question.is_right(question.answer)
        assert not question.is_right(question.answer + 0.1)
        assert {units()[name].stage for name in question.units} == {0}
    assert {name for question in questions() for name in question.units} == {
        unit.name for unit in units().values() if unit.stage == 0
    }


def test_a_wrong_answer_leaves_its_unit_and_no_other_of_stage_0(workspace: Workspace) -> None:
    wrong = [question for question in questions() if "backpropagate" in question.units]
    assert place(workspace, wrong) == ["backpropagate", "tiny_network"]
    again = Workspace(workspace.folder)
    assert again.state_of("backpropagate") == "lent"
    assert again.state_of("matrix_multiply") == "placed"
    assert first_open(again).name == "backpropagate"
    assert place(again, []) == []
    assert first_open(again).stage == 1


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_larger_task_that_is_made_of_others(stage: int) -> None:
    task = task_of(stage)
    assert task.stage == stage
    assert len([part for part in catalog().values() if part.stage == stage]) >= 5


ATTENTION = """
import torch
from parts import HELPERS

def multi_head_attention(
    x, w_q, w_k, w_v, w_o, n_heads, b_q=None, b_k=None, b_v=None, b_o=None, *, dropout=0.0, generator=None
):
    b, t, c = x.shape
    def heads(weight, bias):
        y = x @ weight.T
        y = y if bias is None else y + bias
        return y.view(b, t, n_heads, c // n_heads).transpose(1, 2)
    q, k, v = heads(w_q, b_q), heads(w_k, b_k), heads(w_v, b_v)
    scores = q @ k.transpose(-1, -2) / (c // n_heads) ** 0.5
    scores = scores.masked_fill(~torch.ones(t, t, dtype=torch.bool).tril(), float("-inf"))
    weights = WEIGHTS
    if dropout:
        kept = torch.rand(weights.shape, generator=generator) >= dropout
        weights = weights * kept / (1 - dropout) if dropout < 1 else weights * 0
    out = (weights @ v).transpose(1, 2).reshape(b, t, c) @ w_o.T
    return out if b_o is None else out + b_o
"""


def test_the_larger_task_passes_its_stage(workspace: Workspace) -> None:
    path = workspace.folder / "attention.py"
    path.write_text(
        ATTENTION.replace("from parts import HELPERS\n", "").replace("WEIGHTS", "torch.softmax(scores, -1)")
    )
    answer, leans = pass_stage(workspace, 2, lang="en")
    assert answer.passed
    assert leans == []
    again = Workspace(workspace.folder)
    assert again.state_of("multi_head_attention") == "own"
    assert again.state_of("softmax") == "placed"
    assert again.state_of("layer_norm") == "lent"


def test_a_larger_task_that_leans_on_lent_parts_of_its_stage_does_not(workspace: Workspace) -> None:
    path = workspace.folder / "attention.py"
    path.write_text(ATTENTION.replace("HELPERS", "softmax").replace("WEIGHTS", "softmax(scores, -1)"))
    answer, leans = pass_stage(workspace, 2, lang="en")
    assert answer.passed
    assert leans == ["softmax"]
    assert Workspace(workspace.folder).state_of("causal_mask") == "lent"
