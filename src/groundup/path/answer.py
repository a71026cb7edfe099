"""The answer of the checker: a verdict, and why.

Its fields are those of `groundup check --json`, fixed by the list of parts.

Read next: `source.py`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from .. import __version__


@dataclass(frozen=True)
class Found:
    """One mistake, known (with an id) or only seen (without). sure: nothing else explains what was seen."""

    id: str | None
    sure: bool
    what: str
    why: str
    evidence: str
    hint: str


@dataclass(frozen=True)
class Answer:
    """The verdict on one part."""

    part: str
    passed: bool
    core: bool
    outcome: str  # pass, wrong, error, missing, syntax, timeout, memory, crashed, forbidden, calls-library
    mistakes: tuple[Found, ...] = ()
    remarks: tuple[str, ...] = ()
    lent: tuple[str, ...] = ()
    cases: int = 0
    failed: int = 0
    isolation: str = "basic"
    seconds: float = 0.0
    version: str = __version__
    seed: int = 0
    output: str = field(default="", repr=False)  # the beginning of what the learner's code wrote

    def as_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        return dataclasses.asdict(self)
