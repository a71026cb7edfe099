"""What the path says, in English and Chinese: every sentence stands once, in both, in a TOML file.

Read next: `catalog.py`.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parent


@functools.cache
def _sentences() -> dict[str, dict[str, str]]:
    return tomllib.loads((FOLDER / "words.toml").read_text(encoding="utf-8"))


def say(lang: str, key: str, **values: object) -> str:
    """The sentence called `key`, with values in its places."""
    return _sentences()[key][lang].format(**values)


def say_property(shows: str, lang: str) -> str:
    """A property that the cases of many parts show, and which is written in English beside them."""
    return shows if lang == "en" else _sentences()["properties"].get(shows, shows)
