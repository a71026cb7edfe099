"""Right is right in any style: every correct implementation passes, whatever the seed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundup.path.check import check_function

FOLDER = Path(__file__).parent / "styles"
SEEDS = (1, 2, 3)


def styles() -> list[tuple[str, str, Callable[..., Any]]]:
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        module = importlib.import_module(f"path.styles.{path.stem}")
        found += [
            (path.stem, name, function)
            for name, function in vars(module).items()
            if name.startswith(f"{path.stem}_") and callable(function)
        ]
    return found


@pytest.mark.parametrize(
    ("part", "name", "function"), styles(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_correct_implementation_passes(part: str, name: str, function: Callable[..., Any]) -> None:
    for seed in SEEDS:
        answer = check_function(part, function, seed=seed)
        assert answer.passed, (name, seed, answer.mistakes)
