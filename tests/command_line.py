"""For the tests of the command line: a very small run, what a command answered, and every text that is translated."""

from __future__ import annotations

import ast
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from groundup.cli.language import paragraphs
from groundup.cli.main import COMMANDS, groundup
from groundup.insight.findings import AILMENTS

TINY = [
    *("--set", "data.corpus=the-verdict"),
    *("--set", "model.vocab_size=300"),
    *("--set", "model.context_length=16"),
    *("--set", "model.n_layers=1"),
    *("--set", "model.d_model=16"),
    *("--set", "model.n_heads=2"),
    *("--set", "training.steps=4"),
    *("--set", "training.batch_size=4"),
    *("--set", "evaluation.batches=2"),
    *("--set", "evaluation.sample_tokens=8"),
]


@dataclass
class Outcome:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one line of JSON and nothing else."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error of a command that was given --json."""
        return self.json["error"]


Run = Callable[..., Outcome]


def process(*words: str | bytes, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "groundup", *words]
    return subprocess.run(
        command, capture_output=True, timeout=60, env=os.environ | environment, encoding="utf-8", errors="replace"
    )


needs_dev_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")


# --- what is translated -------------------------------------------------------------------------------------------

LIBRARY = Path(importlib.import_module("groundup").__file__).parent
# What click says by itself on a help page.
CLICK = {"Usage:", "Options", "Commands", "Show this message and exit.", "default: {default}", "required"}


def msgids() -> set[str]:
    """Everything that the catalogue must hold."""
    found = {what for _address, what in COMMANDS.values()} | CLICK
    for path in LIBRARY.rglob("*.py"):
        found |= set(marked(ast.parse(path.read_text("utf-8"))))
    for ailment in AILMENTS.values():
        found |= {ailment.what, ailment.evidence, ailment.cause, ailment.cure}
    commands = [groundup]
    for address, _what in COMMANDS.values():
        module, _colon, name = address.partition(":")
        commands.append(getattr(importlib.import_module(module), name))
    for command in commands:
        found |= set(helps(command))
    return found


def marked(tree: ast.AST) -> Iterator[str]:
    """The texts in `_("…")` and `Sentence("…")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="_" | "Sentence"), args=[ast.Constant(value=str(text))]):
                yield text


def helps(command: click.Command) -> Iterator[str]:
    """The help of a command, of its options, and of the commands in it."""
    if command.help:
        yield from paragraphs(command.help)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.help:
            yield parameter.help
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from helps(inner)
