"""The handbook: every entry can be said, in any language."""

from __future__ import annotations

import string

import pytest

from groundup.insight.findings import AILMENTS, Finding


def fields(text: str) -> set[str]:
    """The names in braces."""
    return {name for _literal, name, _spec, _conversion in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", AILMENTS)
def test_every_entry_says_what_why_and_what_to_do(name: str) -> None:
    ailment = AILMENTS[name]
    needed = fields(ailment.what + ailment.evidence + ailment.cause + ailment.cure)
    said = Finding(name, dict.fromkeys(needed, 7)).as_json()
    assert list(said) == ["id", "level", "what", "evidence", "cause", "cure"]
    assert all(said.values())
    assert not any("{" in text for text in said.values())


def test_a_hostile_value_is_shown_escaped_and_short_and_is_no_template() -> None:
    said = Finding("status-damaged", {"why": "\x1b]0;x\x07{what}" + "y" * 9000}).as_json()
    assert "\x1b" not in said["evidence"]
    assert "{what}" in said["evidence"]
    assert len(said["evidence"]) <= 1000


def test_a_finding_is_said_in_the_reader_s_language() -> None:
    chinese = {"the run was killed": "训练被强行终止"}
    said = Finding("killed", {"step": 3, "newest": 2, "resume": "r"}).as_json(lambda text: chinese.get(text, text))
    assert said["what"] == "训练被强行终止"
    assert said["cure"] == "go on with: r"
