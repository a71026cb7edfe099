"""The library's own text of every part, pasted into a workspace, passes every check and trains to the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from groundup.path.catalog import catalog, path_order
from groundup.path.check import check_workspace
from groundup.path.lending import functions_of, lent_source, library_stage
from groundup.path.payoffs.race import race
from groundup.path.workspace import Workspace, make_workspace
from groundup.training import Parts


@pytest.fixture
def pasted(tmp_path: Path) -> Workspace:
    workspace = make_workspace(tmp_path / "my_llm")
    for stage in path_order():
        (workspace.folder / stage["file"]).write_text(library_stage(stage["number"]), encoding="utf-8")
    return workspace


@pytest.mark.slow
def test_the_library_s_own_text_passes_every_check(pasted: Workspace) -> None:
    answers = {answer.part: answer for answer in check_workspace(pasted)}
    assert list(answers) == list(catalog())
    assert [name for name, answer in answers.items() if not answer.passed or answer.lent] == []


@pytest.mark.slow
def test_it_trains_first_gpt_to_the_same_bytes(pasted: Workspace) -> None:
    parts = Parts.from_folder(pasted.folder)
    assert {"gpt_forward", "train_step", "init_gpt", "adamw_step", "learning_rate"} <= parts.own
    result = race(pasted.folder, parts, steps=12)
    assert result.same_weights
    assert result.apart == 0.0
    assert "beside-it" in result.picture.read_text()


def test_a_part_is_lent_with_its_decorators() -> None:
    step = functions_of(lent_source(["adamw_step"]))["adamw_step"]
    param = torch.ones(2, requires_grad=True)
    step(param, torch.ones(2), torch.zeros(2), torch.zeros(2), 1, 0.1)
    assert (param < 1).all()
