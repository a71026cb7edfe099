"""Torch that is put off: a file that imports it costs nothing until something of it is used."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

IMPORTS = """
import sys
from groundup.path.deferred import Name, put_off
put_off()
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset
def is_there(): return "torch._C" in sys.modules
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + textwrap.dedent(program)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_imports_and_annotations_fetch_nothing() -> None:
    assert run("""
        def one(x: Tensor, y: Tensor | None = None, z: "list[torch.Tensor]" = ()) -> torch.Tensor: return torch.exp(x)
        def two(x: int, dtype=torch.float32): return x + 1
        assert two(1) == 2
        print(is_there())
    """) == "False"  # fmt: skip


@pytest.mark.parametrize(
    "use",
    [
        "assert torch.tensor([1.0, 2.0]).sum().item() == 3.0",
        "assert torch.zeros(2, dtype=torch.float64).dtype == torch.float64",
        "assert F.relu(torch.tensor(-1.0)).item() == 0.0",
        "class Net(nn.Module): pass\nNet()",
        "class Words(Dataset): pass\nWords()",
        "assert not isinstance(3, Tensor)",
        "@torch.no_grad()\ndef f(): return 1\nassert f() == 1",
    ],
)
def test_a_use_fetches_the_real_one(use: str) -> None:
    assert run(f"{use}\nprint(is_there())") == "True"
