"""English and Chinese: which is chosen, and that the catalogue is whole."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from command_line import Run, msgids

from groundup.cli.language import LOCALE_FOLDER, choose_language, filled, taken_from
from groundup.cli.terminal import width
from groundup.errors import ConfigError
from groundup.path.workspace import make_workspace

CATALOGUE = LOCALE_FOLDER / "zh" / "LC_MESSAGES"


def translations() -> dict[str, str]:
    """What the .po says."""
    with (CATALOGUE / "groundup.po").open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def test_the_catalogue_holds_exactly_what_the_command_line_says() -> None:
    assert set(translations()) == msgids()


def test_every_text_is_translated_with_the_same_fields() -> None:
    for text, chinese in translations().items():
        assert chinese, text
        assert fields(chinese) == fields(text), text


def fields(text: str) -> set[str | None]:
    """The names in braces."""
    return {name for _literal, name, _spec, _conversion in string.Formatter().parse(text) if name}


def test_the_mo_is_what_babel_compiles_from_the_po() -> None:
    with (CATALOGUE / "groundup.mo").open("rb") as file:
        compiled = {str(message.id): str(message.string) for message in read_mo(file) if message.id}
    assert compiled == translations()


@pytest.mark.parametrize(
    ("asked", "environment", "language"),
    [
        (None, {}, "en"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        (None, {"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        (None, {"LANG": "en_US", "LC_MESSAGES": "zh_TW"}, "zh"),
        (None, {"LANG": "zh_CN.UTF-8", "GROUNDUP_LANG": "en"}, "en"),
        ("zh", {"GROUNDUP_LANG": "en"}, "zh"),
        ("zh-CN", {}, "zh"),
        (None, {"LANG": "fr_FR.UTF-8"}, "en"),
    ],
)
def test_the_flag_wins_over_the_variable_and_that_over_the_locale(
    asked: str | None, environment: dict[str, str], language: str
) -> None:
    assert choose_language(asked, environment) == language


def test_a_language_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match='no language "fr"'):
        choose_language("fr", {})
    with pytest.raises(ConfigError, match='no language ""'):  # `groundup train --lang`
        choose_language("", {})
    assert choose_language(None, {"GROUNDUP_LANG": ""}) == "en"


def test_the_flag_may_stand_anywhere_but_after_two_dashes() -> None:
    assert taken_from(["train", "--lang", "zh", "--json"]) == ("zh", ["train", "--json"])
    assert taken_from(["--lang=zh", "train"]) == ("zh", ["train"])
    assert taken_from(["generate", "m", "--", "--lang"]) == (None, ["generate", "m", "--", "--lang"])


def test_chinese_help_is_chinese_and_the_next_call_is_english_again(groundup: Run) -> None:
    chinese = groundup("train", "--help", "--lang", "zh").out
    assert chinese.startswith("用法：")
    assert "训练目录" in chinese
    assert "Train with" not in chinese
    assert groundup("train", "--help").out.startswith("Usage:")


def test_the_labels_of_an_error_are_chinese_too(groundup: Run) -> None:
    shown = groundup("--lang", "zh", "tran").err.splitlines()
    assert [line.strip().partition("：")[0] for line in shown] == ["错误", "位置", "办法"]


@pytest.mark.parametrize(
    "name", ["tokenizer", "prepare", "train", "generate", "eval", "export", "bench tokenizer", "tokenizer train"]
)
def test_chinese_help_stays_within_the_screen(name: str, groundup: Run) -> None:
    for line in groundup(*name.split(), "--help", "--lang", "zh").out.splitlines():
        assert width(line) <= 92, line


def test_filling_breaks_between_chinese_characters_and_never_before_a_comma() -> None:
    lines = filled("训练模型，" * 20 + "see groundup train --help").splitlines()
    assert all(width(line) <= 76 for line in lines)
    assert not any(line.startswith("，") for line in lines)
    assert "".join(lines).replace(" ", "") == "训练模型，" * 20 + "seegrounduptrain--help"


def test_a_workspace_keeps_the_language_in_which_it_was_begun(tmp_path: Path) -> None:
    assert choose_language(None, {"LANG": "C"}, tmp_path) == "en"
    make_workspace(tmp_path / "mine", lang="zh")
    assert choose_language(None, {"LANG": "C"}, tmp_path / "mine") == "zh"
    assert choose_language("en", {}, tmp_path / "mine") == "en"
    assert choose_language(None, {"GROUNDUP_LANG": "en"}, tmp_path / "mine") == "en"
    for damaged in ("[workspace", "workspace = 3", "[workspace]\nlang = 'xx'"):
        (tmp_path / "mine" / "progress.toml").write_text(damaged)
        assert choose_language(None, {"LANG": "zh_CN"}, tmp_path / "mine") == "zh"
