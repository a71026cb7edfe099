"""The book's classes are judged as the parts that they are, from a script or a notebook."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Run

from groundup.errors import ConfigError
from groundup.path.book import read_book
from groundup.path.check import check_book
from groundup.training import Parts

ATTENTION = """
import torch
import torch.nn as nn

inputs = torch.rand(6, 3)
raise SystemExit("what would run is left out")

class SelfAttention_v1(nn.Module):
    def __init__(self, d_in, d_out):
        super().__init__()
        self.W_query = nn.Parameter(torch.rand(d_in, d_out))
        self.W_key = nn.Parameter(torch.rand(d_in, d_out))
        self.W_value = nn.Parameter(torch.rand(d_in, d_out))

    def forward(self, x):
        keys, queries, values = x @ self.W_key, x @ self.W_query, x @ self.W_value
        return torch.softmax(queries @ keys.T / keys.shape[-1] ** 0.5, dim=-1) @ values

class MultiHeadAttention(nn.Module):
    def __init__(self, d_in, d_out, context_length, dropout, num_heads, qkv_bias=False):
        super().__init__()
        self.d_out, self.num_heads, self.head_dim = d_out, num_heads, d_out // num_heads
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.out_proj = nn.Linear(d_out, d_out)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("mask", torch.triu(torch.ones(context_length, context_length), diagonal=1))

    def forward(self, x):
        b, n, _ = x.shape
        split = lambda y: y.view(b, n, self.num_heads, self.head_dim).transpose(1, 2)
        q, k, v = split(self.W_query(x)), split(self.W_key(x)), split(self.W_value(x))
        scores = (q @ k.transpose(2, 3)).masked_fill(self.mask.bool()[:n, :n], -torch.inf)
        weights = self.dropout(torch.softmax(scores / SCALE, dim=-1))
        return self.out_proj((weights @ v).transpose(1, 2).reshape(b, n, self.d_out))
"""
RIGHT = ATTENTION.replace("SCALE", "self.head_dim ** 0.5")
WRONG = ATTENTION.replace("SCALE", "1")


@pytest.mark.slow
def test_classes_that_are_right_pass_and_a_missing_scale_is_named(tmp_path: Path) -> None:
    file = tmp_path / "ch03.py"
    file.write_text(RIGHT)
    book, answers = check_book(file, seed=1)
    assert set(book.parts) == {"scaled_dot_product_attention", "multi_head_attention"}
    assert all(answer.core for answer in answers), answers
    assert all(answer.cases >= 10 for answer in answers)
    file.write_text(WRONG)
    answer = next(answer for answer in check_book(file, seed=1)[1] if answer.part == "multi_head_attention")
    assert not answer.core
    assert {mistake.id for mistake in answer.mistakes} == {"attention_weights-not-scaled"}


def test_a_notebook_gives_the_same_as_a_script(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# chapter"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install torch\n"]},
        {"cell_type": "code", "source": RIGHT.splitlines(keepends=True)},
    ]
    notebook = tmp_path / "ch03.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    book = read_book(notebook)
    assert set(book.parts) == {"scaled_dot_product_attention", "multi_head_attention"}
    assert "SystemExit" not in book.source
    compile(book.source, "book", "exec")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", "def f(): pass\n", "none of the book's classes"),
        ("a.py", "class MultiHeadAttention(\n", "not valid Python"),
        ("a.ipynb", "{}", "no notebook"),
        ("a.ipynb", '{"cells": [1]}', "no notebook"),
    ],
)
def test_what_is_no_book_is_an_error(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_book(tmp_path / name)


@pytest.mark.slow
@pytest.mark.usefixtures("english")
def test_in_a_workspace_they_are_taken_as_own_and_run(
    tmp_path: Path, groundup: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert groundup("learn", "init", tmp_path / "my_llm").status == 0
    monkeypatch.chdir(tmp_path / "my_llm")
    (tmp_path / "ch03.py").write_text(RIGHT)
    assert "taken as your own" in groundup("check", "--book", tmp_path / "ch03.py").out
    states = groundup("learn", "status", "--json").json
    assert states["multi_head_attention"] in ("own", "edges")
    assert states["scaled_dot_product_attention"] == "lent"  # the book's class has no mask yet: half of the part
    parts = Parts.from_folder(tmp_path / "my_llm")
    assert parts.own == {"multi_head_attention"}
    own = groundup("check", "multi_head_attention", "--json").json
    assert own["core"], own
    kept = tmp_path / "my_llm" / "from_book.py"
    kept.write_text(kept.read_text().replace("self.head_dim ** 0.5", "1"))
    assert groundup("learn", "status", "--json").json["multi_head_attention"] == "unchecked"
