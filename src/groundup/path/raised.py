"""What an error of Python or torch usually means, in words for whoever has just made it.

Read next: `diagnose.py`.
"""

from __future__ import annotations

import functools
import re
import tomllib
from pathlib import Path
from typing import Any


def usual_cause(message: str, lang: str) -> str:
    """A sentence or two on what an error with this message usually means; "" where it says enough by itself."""
    for pattern, words in _known():
        if found := pattern.search(message):
            return words[lang].format("", *(group or "" for group in found.groups()))
    return ""


@functools.cache
def _known() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    said = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["error"]
    return [(re.compile(one["pattern"]), one) for one in said]
