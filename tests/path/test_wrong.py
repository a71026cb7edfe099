"""Wrong in ways that learners are wrong in: each is found, and its cause is named."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from groundup.path.check import check_function

FOLDER = Path(__file__).parent / "wrong"
WRONG = [
    (path.stem, source, named)
    for path in sorted(FOLDER.glob("*.py"))
    for source, named in importlib.import_module(f"path.wrong.{path.stem}").WRONG
]


@pytest.mark.parametrize(("part", "source", "named"), WRONG, ids=[f"{part}-{i}" for i, (part, *_) in enumerate(WRONG)])
def test_it_is_found_and_its_cause_is_named(part: str, source: str, named: str) -> None:
    written: dict[str, object] = {"__name__": "learner"}
    exec(compile(source, "learner.py", "exec"), written)
    function = written[part]
    assert callable(function)
    for seed in (1, 22):
        answer = check_function(part, function, seed=seed)
        assert not answer.passed
        said = " ".join(f"{one.what} {one.why} {one.hint}" for one in answer.mistakes)
        assert re.search(named, said), said
