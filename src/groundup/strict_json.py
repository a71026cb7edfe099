"""JSON from elsewhere, read strictly.

Python's reader is generous: of two equal keys the last wins, `NaN` is a number, and a deeply nested text ends in a
RecursionError. In a file that says where bytes lie, each of these is a way to mean two things at once.

Who reads with it: `text/tokenizer_json.py`, `weights/safetensors_file.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NoReturn


def parse_json(data: bytes | bytearray) -> object:
    """The value of a JSON text in UTF-8. Raises ValueError for whatever is not plain JSON, equal keys too."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise ValueError(f"the key {counts.most_common(1)[0][0][:80]!r} stands there twice")
    return table


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
