"""What an error usually means: the patterns meet the messages that Python and torch really give."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from groundup.path import raised
from groundup.path.check import check_function
from groundup.path.raised import usual_cause

MADE = [
    ("same name as the part", "dropout = 0.1; dropout(A)"),
    ("inner sizes", "A @ A"),
    ("do not fit", "A + torch.ones(4)"),
    ("do not fit", "A[:] = torch.ones(4)"),
    ("do not fit", "np.ones((2, 3)) @ np.ones((2, 3))"),
    ("`reshape`", "A.T.view(6)"),
    ("There are 6 numbers", "A.reshape(4, 2)"),
    ("`torch.no_grad()`", "P.mul_(2)"),
    ("no way back", "torch.ones(1).sum().backward()"),
    ("anew for every step", "loss = (P * P).sum(); loss.backward(); loss.backward()"),
    ("one yes or no", "bool(A > 0)"),
    ("Two dtypes", "A @ torch.ones(3, 2, dtype=torch.float64)"),
    ("larger than the axis", "torch.nn.functional.embedding(torch.tensor([9]), A)"),
    ("larger than the axis", "A[5]"),
    ("A list ends", "[][0]"),
    ("Something is None", "None + 1"),
    ("does not take the argument `generator`", "torch.nn.functional.relu(A, generator=3)"),
    ("another number of arguments", "(lambda x: x)(1, 2)"),
    ("`softmaxx` is not known", "softmaxx(A)"),
    ("divided by 0", "1 / 0"),
    ("cannot be a key", "{[]: 1}"),
    ("Two kinds of values", "[1] + 2"),
    ("asked for a key", "{(1, 2): 3}[2, 1]"),
    ("a single number is asked for", "int(A)"),
    ("a single number is asked for", "float(np.ones(3))"),
    ("names on the left", "b, t = torch.ones(3).shape"),
    ("names on the left", "b, t = torch.ones(3, 4, 5).shape"),
    ("more indices than axes", "A[0, 0, 0]"),
    ("nothing to stack", "torch.stack([])"),
    ("nothing to stack", "np.stack([])"),
    ("different lengths", "torch.stack([A[0], A[0, :2]])"),
    ("different lengths", "torch.tensor([[1, 2], [3]])"),
    ("treated like a list", "list(3)"),
    ("treated like a list", "3[0]"),
    ("NumPy knows nothing", "P.numpy()"),
]


@pytest.mark.parametrize(("said", "line"), MADE)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_real_message_gets_its_sentence(said: str, line: str) -> None:
    names = {"torch": torch, "np": np, "A": torch.ones(2, 3), "P": torch.ones(3, requires_grad=True)}
    with pytest.raises(Exception) as caught:
        exec(line, names)
    error = f"{type(caught.value).__name__}: {caught.value}"
    assert said in usual_cause(error, "en")
    assert usual_cause(error, "zh")


def test_every_sentence_is_there_in_both_languages() -> None:
    for one in tomllib.loads(Path(raised.__file__).with_suffix(".toml").read_text(encoding="utf-8"))["error"]:
        assert one["en"].format("", "a", "b")
        assert one["zh"].format("", "a", "b")


def test_what_says_enough_by_itself_gets_none() -> None:
    assert usual_cause("the sequence is longer than the context", "en") == ""


def test_a_verdict_on_a_part_that_raises_says_what_it_usually_means() -> None:
    answer = check_function("linear", lambda x, weight, bias=None: x @ weight, seed=1)
    assert any("transpose" in mistake.what + mistake.why for mistake in answer.mistakes)
