"""Every test of the command line speaks English unless it says otherwise."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def speaks_english(english: None) -> None:
    """Whatever the machine's language is."""
