"""Errors say what was wrong, where, and what to do; programs match their codes and statuses."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup import errors
from groundup.errors import ConfigError, DataError, GroundupError, ShapeError, quoted

FAMILY = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GroundupError)]


def test_an_error_shows_what_where_and_fix_on_a_line_each() -> None:
    error = ConfigError(
        "training.max_lr is -1", where="--set training.max_lr=-1", fix="use a number above 0, for example 3e-4"
    )
    assert str(error).splitlines() == [
        "training.max_lr is -1 [CFG_VALUE]",
        "  where: --set training.max_lr=-1",
        "  fix:   use a number above 0, for example 3e-4",
    ]


def test_what_is_not_known_gets_no_line() -> None:
    assert str(DataError("the file is empty")) == "the file is empty [DATA]"
    assert str(DataError("the file is empty", fix="give it a text")).count("\n") == 1


def test_an_error_reads_as_json_with_all_its_parts() -> None:
    error = DataError("the file is empty", where="a.txt", fix="give it a text", code="DATA_EMPTY")
    assert error.as_json() == {
        **{"code": "DATA_EMPTY", "what": "the file is empty", "where": "a.txt"},
        **{"fix": "give it a text", "status": 3},
    }


@pytest.mark.parametrize("kind", FAMILY, ids=lambda kind: kind.__name__)
def test_every_kind_belongs_to_the_family_and_has_a_code_and_a_status(kind: type[GroundupError]) -> None:
    error = kind("something")
    assert error.code.isupper()
    assert error.status in (2, 3, 130)
    assert kind("something", code="OTHER", status=2).as_json() | {"what": ""} == {
        **{"code": "OTHER", "what": "", "where": "", "fix": "", "status": 2}
    }


def test_codes_tell_the_kinds_apart() -> None:
    codes = [kind.code for kind in FAMILY]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", [ConfigError, ShapeError])
def test_a_wrong_request_is_a_value_error_too(kind: type[GroundupError]) -> None:
    with pytest.raises(ValueError, match="wrong"):
        raise kind("wrong")
    assert kind.status == 2


@given(st.text(alphabet=st.characters(), max_size=600))
def test_quoted_input_is_printable_and_short(text: str) -> None:
    shown = quoted(text)
    assert shown.isprintable()
    assert len(shown) <= 200


def test_quoted_input_shows_control_characters_and_leaves_words_alone() -> None:
    assert quoted("Über 紅樓夢") == "Über 紅樓夢"
    assert quoted("a\x1b]0;title\x07\nb") == "a\\x1b]0;title\\x07\\nb"
    assert quoted("\udcff") == "\\udcff"
    assert quoted("x" * 300) == "x" * 199 + "…"


def test_bytes_of_a_path_that_are_no_utf8_are_written_out_so_that_any_file_takes_the_error() -> None:
    error = GroundupError("cannot read \udcff.txt", where="runs/\udcff", fix="rename \udcff")
    assert (error.what, error.where, error.fix) == ("cannot read \\udcff.txt", "runs/\\udcff", "rename \\udcff")
    json.dumps(error.as_json(), ensure_ascii=False).encode("utf-8")
