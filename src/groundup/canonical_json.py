"""JSON that proves itself: one way to write a value, and a hash inside that covers the rest.

An index says what other files must be, byte for byte; but who says that the index is as it was written? It says so
itself. As there is one way only to write a value, a reader can write what it read again and compare the bytes; and the
entry `self` is the sha256 of the text without it. Together the two notice every flipped bit and every lost byte.

Read next: `weights/manifest.py` and `text/shards.py`, which keep such files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def canonical_json(value: object) -> bytes:
    """The one way to write a JSON value: sorted keys, no spaces, ASCII, a newline at the end. ValueError on NaN."""
    return (json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False) + "\n").encode("ascii")


def sealed(table: Mapping[str, Any]) -> Json:
    """The table with `self`, the hash of all the rest, put in."""
    return dict(table) | {"self": hashlib.sha256(canonical_json(table)).hexdigest()}


def parse_sealed(data: bytes) -> Json | None:
    """The sealed table, if these are exactly the bytes that were written."""
    try:
        table = json.loads(data.decode("ascii"))
        if not isinstance(table, dict) or canonical_json(table) != data:
            return None
        rest = {key: value for key, value in table.items() if key != "self"}
        return table if table.get("self") == hashlib.sha256(canonical_json(rest)).hexdigest() else None
    except (ValueError, RecursionError):
        return None
