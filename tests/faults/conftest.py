"""The tiny run's files, and a fork server for each test file that asks for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.harness import ForkServer, Tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The text and the tokenizer."""
    return Tiny.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """Children that start in milliseconds."""
    with ForkServer() as server:
        yield server
