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
MODEL = """
import tiktoken_that_is_not_installed
from previous_chapters import MultiHeadAttention
import torch
import torch.nn as nn
from torch.utils.data import Dataset

class GPTDatasetV1(Dataset):
    def __init__(self, txt, tokenizer, max_length, stride):
        ids = tokenizer.encode(txt, allowed_special={"<|endoftext|>"})
        starts = range(0, len(ids) - max_length, stride)
        self.input_ids = [torch.tensor(ids[i : i + max_length]) for i in starts]
        self.target_ids = [torch.tensor(ids[i + 1 : i + max_length + 1]) for i in starts]

    def __len__(self):
        return len(self.input_ids)

    def __getitem__(self, i):
        if i >= len(self):
            raise IndexError(i)
        return self.input_ids[i], self.target_ids[i]

class LayerNorm(nn.Module):
    def __init__(self, emb_dim):
        super().__init__()
        self.eps = 1e-5
        self.scale = nn.Parameter(torch.ones(emb_dim))
        self.shift = nn.Parameter(torch.zeros(emb_dim))

    def forward(self, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = x.var(dim=-1, keepdim=True, unbiased=UNBIASED)
        return self.scale * centred / torch.sqrt(variance + self.eps) + self.shift

class GELU(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))

class FeedForward(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        width = cfg["emb_dim"]
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        return self.layers(x)

class TransformerBlock(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.att = MultiHeadAttention(
            d_in=cfg["emb_dim"], d_out=cfg["emb_dim"], context_length=cfg["context_length"],
            num_heads=cfg["n_heads"], dropout=cfg["drop_rate"], qkv_bias=cfg["qkv_bias"],
        )
        self.ff = FeedForward(cfg)
        self.norm1, self.norm2 = LayerNorm(cfg["emb_dim"]), LayerNorm(cfg["emb_dim"])
        self.drop_shortcut = nn.Dropout(cfg["drop_rate"])

    def forward(self, x):
        x = x + self.drop_shortcut(self.att(self.norm1(x)))
        return x + self.drop_shortcut(self.ff(self.norm2(x)))

class GPTModel(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.tok_emb = nn.Embedding(cfg["vocab_size"], cfg["emb_dim"])
        self.pos_emb = nn.Embedding(cfg["context_length"], cfg["emb_dim"])
        self.drop_emb = nn.Dropout(cfg["drop_rate"])
        self.trf_blocks = nn.Sequential(*[TransformerBlock(cfg) for _ in range(cfg["n_layers"])])
        self.final_norm = LayerNorm(cfg["emb_dim"])
        self.out_head = nn.Linear(cfg["emb_dim"], cfg["vocab_size"], bias=False)

    def forward(self, in_idx):
        positions = torch.arange(in_idx.shape[1], device=in_idx.device)
        x = self.drop_emb(self.tok_emb(in_idx) + self.pos_emb(positions))
        return self.out_head(self.final_norm(self.trf_blocks(x)))

def generate_text_simple(model, idx, max_new_tokens, context_size):
    for _ in range(max_new_tokens):
        with torch.no_grad():
            logits = model(idx[:, -context_size:])[:, -1, :]
        idx = torch.cat([idx, logits.argmax(dim=-1, keepdim=True)], dim=1)
    return idx

def calc_loss_batch(input_batch, target_batch, model, device):
    logits = model(input_batch.to(device))
    return nn.functional.cross_entropy(logits.flatten(0, 1), target_batch.to(device).flatten())

def calc_loss_loader(data_loader, model, device, num_batches=None):
    losses = [calc_loss_batch(inputs, targets, model, device).item() for inputs, targets in data_loader]
    return sum(losses) / len(losses)
"""


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


LATER = {
    "next_token_windows", "multi_head_attention", "layer_norm", "gelu", "feed_forward", "transformer_block",
    "gpt_forward", "generate_tokens", "cross_entropy", "evaluate_loss",
}  # fmt: skip


@pytest.mark.slow
def test_the_later_chapters_pass_with_what_stands_in_the_file_beside_them(tmp_path: Path) -> None:
    (tmp_path / "previous_chapters.py").write_text(RIGHT)
    file = tmp_path / "ch05.py"
    file.write_text(MODEL.replace("UNBIASED", "False"))
    book, answers = check_book(file, seed=1)
    assert set(book.parts) >= LATER
    wrong = [(answer.part, answer.outcome, answer.mistakes[:1]) for answer in answers if not answer.core]
    assert wrong == []
    assert all(answer.cases >= 5 for answer in answers), [(answer.part, answer.cases) for answer in answers]
    said = {answer.part: " ".join(answer.remarks) for answer in answers}
    assert "residual" in said["transformer_block"]
    assert "ties it" in said["gpt_forward"]
    assert "one size" in said["evaluate_loss"]


@pytest.mark.slow
def test_a_mistake_in_an_inner_class_is_named_in_it_and_in_what_is_made_of_it(tmp_path: Path) -> None:
    (tmp_path / "previous_chapters.py").write_text(RIGHT)
    file = tmp_path / "ch04.py"
    file.write_text(MODEL.replace("UNBIASED", "True"))
    answers = {answer.part: answer for answer in check_book(file, seed=1)[1]}
    assert not answers["layer_norm"].core
    for name in ("layer_norm", "transformer_block"):
        assert answers[name].mistakes[0].id == "layer_norm-unbiased", answers[name]
    assert not answers["gpt_forward"].core
    assert answers["feed_forward"].core


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
