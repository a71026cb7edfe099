"""What a terminal is shown."""

from __future__ import annotations

import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.cli.terminal import (
    CLOSING,
    JOINT,
    OPENING,
    argument_text,
    breakable,
    has_colour,
    padded,
    read_stdin,
    say_markdown,
    styled,
    table,
    visible,
    width,
)
from groundup.errors import ConfigError, DataError


class Terminal(io.StringIO):
    """A stream with a person at its end."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@given(st.text())
def test_nothing_that_is_shown_can_act_on_a_terminal(text: str) -> None:
    for character in visible(text):
        assert character in "\n\t" or not (ord(character) < 32 or 0x7F <= ord(character) < 0xA0)


def test_escapes_are_written_out_and_text_stays() -> None:
    assert visible("a\x1b]0;title\x07b\n\tc") == "a\\x1b]0;title\\x07b\n\tc"
    assert visible("\u202eevil") == "\\u202eevil"
    assert visible("你好, naïve 👩‍👩‍👧") == "你好, naïve 👩‍👩‍👧"


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not has_colour(io.StringIO())
    assert has_colour(Terminal())
    assert styled("x", Terminal(), bold=True) == "\x1b[1mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert styled("x", Terminal(), bold=True) == "x"


def test_columns_line_up_whatever_the_script() -> None:
    assert width("词元 a") == 6
    assert padded("词元", 6) == "词元  "
    lines = table([["", "tokens/s"], ["词元", "12"], ["greedy", "1,234"]]).splitlines()
    assert [width(line) for line in lines] == [16, 16, 16]


def test_an_argument_in_utf_8_is_text_in_every_locale() -> None:
    kept = "Привет".encode().decode("ascii", "surrogateescape")  # what Python makes of it where the locale is C
    assert argument_text(kept, "the prompt") == "Привет"
    with pytest.raises(ConfigError) as caught:
        argument_text(b"\xff".decode("utf-8", "surrogateescape"), "the prompt")
    assert (caught.value.code, caught.value.status) == ("CLI_PROMPT", 2)


def test_stdin_is_utf_8_and_its_last_line_end_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("你好\n\n".encode()), encoding="latin-1"))
    assert read_stdin() == "你好\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"ab\xff")))
    with pytest.raises(DataError, match="byte 2 is 0xff"):
        read_stdin()


CHINESE = "一个查询（query）与 3 个键（key）的点积就是分数，`exp(x)` 让它变成正数；“点积”再除以 √D，softmax 给出权重。"


@pytest.mark.parametrize("columns", [12, 17, 40, 80])
def test_chinese_fills_its_lines_and_no_line_begins_with_a_closing_mark(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("groundup.cli.terminal.n_columns", lambda: columns)
    say_markdown(CHINESE)
    shown = capsys.readouterr().out
    assert JOINT not in shown
    lines = [line.rstrip() for line in shown.rstrip().split("\n")]
    assert "".join(lines).replace(" ", "") == CHINESE.replace("`", "").replace(" ", "")
    for line, following in itertools.pairwise(lines):
        assert width(line) <= columns
        assert following[0] not in CLOSING
        assert line[-1] not in OPENING
        assert width(line) >= columns - width("（query）")  # as wide as a piece without a joint


def test_english_has_no_joints() -> None:
    assert breakable("# A token (T, D)\n\n`x` is “it”, …") == "# A token (T, D)\n\n`x` is “it”, …"
