"""Where the tests of checkpoints save."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's checkpoints."""
    return tmp_path / "run" / "checkpoints"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A run's checkpoints in a place that everybody may enter."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        yield Path(place) / "checkpoints"
