"""Shards of a small text, made once; each test takes a copy that it may damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from training.on_disk import make_shards


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shards."""
    return make_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(prepared, tmp_path / "shards"))
