"""The texts of the path: both languages say the same, in the words of the glossary, and every number is computed."""

from __future__ import annotations

import functools
import hashlib
import importlib
import math
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

import groundup.path
from groundup.path.catalog import UNITS, catalog, path_order, unit
from groundup.path.check import check_function
from groundup.path.texts import PLACE, Unit, stage_text
from groundup.path.words import FOLDER

SECTIONS = {
    "en": ["The question", "The idea", "Shapes", "By hand", "What goes wrong", "In today's models", "Source"],
    "zh": ["问题", "想法", "形状", "手算一遍", "常见错误", "今天的模型", "出处"],
}
CODE = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
HAN = re.compile("[一-鿿]")
CODE_WIDTH = 38  # a terminal of 40 columns, less the margins of a code block

NAMES = sorted(path.parent.name for path in UNITS.glob("*/en.md"))
STAGES = {stage["number"]: stage for stage in path_order()}
PARTS = [name for name in catalog() if name in unit(catalog()[name].unit).get("hints", {})]


@functools.cache
def source(name: str, lang: str) -> str:
    return (UNITS / name / f"{lang}.md").read_text(encoding="utf-8")


def the_unit(name: str) -> Unit:
    return Unit(name, stage=0)


def prose(text: str) -> str:
    """The text without headings and code."""
    return re.sub(r"^#+ .*$", "", SPAN.sub("", CODE.sub("", text)), flags=re.MULTILINE)


def headings(text: str) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.*)$", CODE.sub("", text), re.MULTILINE)]


# --- both languages, the same things ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", NAMES)
def test_a_text_has_a_title_and_the_sections_in_their_order(name: str, lang: str) -> None:
    (first, title), *sections = headings(source(name, lang))
    assert first == 1
    assert title == the_unit(name).title(lang)
    assert sections == [(2, section) for section in SECTIONS[lang]]


@pytest.mark.parametrize("name", NAMES)
def test_a_text_is_as_long_as_one_sitting_bears(name: str) -> None:
    assert 250 <= len(source(name, "en").split()) <= 700
    assert 450 <= len(HAN.findall(source(name, "zh"))) <= 1200


@pytest.mark.parametrize("number", STAGES)
def test_a_stage_text_is_short_and_there_in_both_languages(number: int) -> None:
    en, zh = stage_text(number, "en"), stage_text(number, "zh")
    assert [level for level, _ in headings(en)] == [level for level, _ in headings(zh)] == [1]
    assert 150 <= len(en.split()) <= 250
    assert 250 <= len(HAN.findall(zh)) <= 450
    assert len(en.split("\n\n")) == len(zh.split("\n\n"))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_show_the_same_code_formulas_and_numbers(name: str) -> None:
    en, zh = source(name, "en"), source(name, "zh")
    assert set(SPAN.findall(CODE.sub("", en))) == set(SPAN.findall(CODE.sub("", zh)))
    assert [signs(block) for block in CODE.findall(en)] == [signs(block) for block in CODE.findall(zh)]
    for what in (PLACE, NUMBER):
        assert set(what.findall(prose(en))) == set(what.findall(prose(zh)))
    assert len(re.findall(r"^- ", en, re.MULTILINE)) == len(re.findall(r"^- ", zh, re.MULTILINE))


def signs(block: str) -> list[list[str]]:
    """What of each line of a code block means the same in any language: places, numbers, shapes."""
    return [re.findall(r"\{\{.+?\}\}|\([^()]*\)|[=+·/-]|\d+", line) for line in block.splitlines()]


@pytest.mark.parametrize("name", NAMES)
def test_prediction_and_hints_show_the_same_code_and_places(name: str) -> None:
    said = unit(name)
    pairs = [(said["prediction"]["en"], said["prediction"]["zh"]), (said["try"]["en"], said["try"]["zh"])]
    pairs.append((said["prediction"]["en-after"], said["prediction"]["zh-after"]))
    for hints in said["hints"].values():
        assert len(hints["en"]) == len(hints["zh"]) == 2
        pairs += zip(hints["en"], hints["zh"], strict=True)
    for en, zh in pairs:
        assert set(SPAN.findall(en)) == set(SPAN.findall(zh))
        assert set(PLACE.findall(en)) == set(PLACE.findall(zh))
        assert set(NUMBER.findall(prose(en))) == set(NUMBER.findall(prose(zh)))


def seal(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", [*NAMES, *(f"stage{number}" for number in STAGES)])
def test_the_chinese_text_is_that_of_this_english_one(name: str) -> None:
    if name in NAMES:
        english, known, where = source(name, "en"), unit(name)["zh-of"], f"{name}/text.toml"
    else:
        number = int(name.removeprefix("stage"))
        english, known, where = stage_text(number, "en"), STAGES[number]["zh-of"], "path.toml"
    fresh = f'zh-of = "{seal(english)}"'
    assert known == seal(english), f"{name}: English has changed; once the Chinese says the same, {where}: {fresh}"


def test_no_paragraph_stands_in_two_units() -> None:
    for lang in ("en", "zh"):
        seen: dict[str, str] = {}
        for name in NAMES:
            for paragraph in re.split(r"\n\s*\n|\n- ", prose(source(name, lang))):
                plain = " ".join(paragraph.split())
                assert not plain or seen.setdefault(plain, name) == name, (plain, seen[plain], name)


@pytest.mark.parametrize("name", NAMES)
def test_a_unit_says_how_long_and_hard_it_is_and_where_to_read(name: str) -> None:
    about = tomllib.loads((UNITS / name / "text.toml").read_text(encoding="utf-8"))
    assert 5 <= about["minutes"] <= 60
    assert about["difficulty"] in (1, 2, 3)
    assert re.fullmatch(r"\d(\.\d)*|", about["book"])
    if about["book"]:
        assert about["book"] in source(name, "en")
    assert all(number in source(name, "en") for number in NUMBER.findall(about["paper"]))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said_in_two_files_of_a_unit(name: str) -> None:
    keys = [key for path in (UNITS / name).glob("*.toml") for key in tomllib.loads(path.read_text(encoding="utf-8"))]
    assert len(keys) == len(set(keys))


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", NAMES)
def test_every_place_is_filled(name: str, lang: str) -> None:
    one = the_unit(name)
    for text in (one.text(lang), one.question(lang), one.explanation(lang)):
        assert "{{" not in text
        assert "}}" not in text
        assert not re.search(r"\b(nan|inf)\b", re.sub(r"-inf\b", "", text))
    assert PLACE.search(source(name, lang)), "the example by hand is computed"


@pytest.mark.parametrize("name", NAMES)
def test_a_prediction_has_an_answer_which_its_question_does_not_tell(name: str) -> None:
    one = the_unit(name)
    assert math.isfinite(one.answer())
    for lang in ("en", "zh"):
        assert f"{one.answer():.4g}" not in NUMBER.findall(one.question(lang))
        # It is shown after "It is 0.1293." or after "Yes."
        assert not one.explanation(lang)[0].isdigit()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("name", NAMES)
def test_a_code_block_fits_a_narrow_terminal(name: str, lang: str) -> None:
    for block in CODE.findall(the_unit(name).text(lang)):
        for line in block.splitlines():
            assert cell_len(line) <= CODE_WIDTH, line


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_hints_are_there_for_every_part(name: str) -> None:
    said = unit(name)
    assert set(said.get("parts", said["hints"])) == set(said["hints"])


@pytest.mark.parametrize("name", NAMES)
def test_a_skeleton_has_one_to_three_blanks_and_is_python_when_they_are_filled(name: str) -> None:
    for part in unit(name)["hints"]:
        hints = the_unit(name).hints(part, "en")
        assert hints.skeleton.count("____") == len(hints.blanks)
        assert 1 <= len(hints.blanks) <= 3
        assert part in defined(hints.solution)


@pytest.mark.parametrize("part", PARTS)
def test_the_filled_skeleton_passes_and_the_unfilled_one_does_not(part: str) -> None:
    hints = the_unit(catalog()[part].unit).hints(part, "en")
    filled = check_function(part, defined(hints.solution)[part], seed=1)
    assert filled.passed, filled.mistakes
    try:
        unfilled = defined(hints.skeleton)[part]
    except SyntaxError:
        return
    assert not check_function(part, unfilled, seed=1).passed


def defined(text: str) -> dict[str, Callable[..., Any]]:
    """The functions of a text; what else they call is the library's."""
    modules = {part.library for part in catalog().values()} | {"model.attention", "model.linear", "model.dropout"}
    names: dict[str, Any] = {name: importlib.import_module(name) for name in ("torch", "math")}
    for module in sorted(modules):
        names |= {
            key: value for key, value in vars(importlib.import_module(f"groundup.{module}")).items() if key[0] != "_"
        }
    exec(text, names)
    return names


# --- words ------------------------------------------------------------------------------------------------------------


@functools.cache
def glossary() -> dict[str, dict[str, Any]]:
    return tomllib.loads((Path(groundup.path.__file__).parent / "glossary.toml").read_text(encoding="utf-8"))


def texts_of(table: Any, lang: str, inside: bool = False) -> Iterator[str]:
    """Every text of a language in a table of messages: what stands under `en`, `zh`, `zh-after`…; the properties."""
    if isinstance(table, str):
        yield from [table] if inside else []
    elif isinstance(table, list):
        for entry in table:
            yield from texts_of(entry, lang, inside)
    elif isinstance(table, dict):
        for key, entry in table.items():
            is_own = key in (lang, f"{lang}-after") or (key == "properties" and lang == "zh")
            yield from texts_of(entry, lang, inside or is_own)


@functools.cache
def said_in(lang: str) -> list[tuple[str, str]]:
    """(where, text) of everything that the path says in a language."""
    said = [(f"{name}/{lang}.md", the_unit(name).text(lang)) for name in NAMES]
    said += [(f"stage{number}.{lang}.md", stage_text(number, lang)) for number in STAGES]
    messages = [FOLDER / f"{name}.toml" for name in ("words", "raised", "placement")]
    for path in (*sorted(UNITS.glob("**/*.toml")), *messages):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        said += [(str(path.relative_to(FOLDER)), text) for text in texts_of(table, lang)]
    return said


@functools.cache
def plain(text: str) -> str:
    """The text without code, in which a term's English name at its first mention is gone too."""
    text = SPAN.sub("`", CODE.sub("", text))
    for term in glossary().values():
        text = text.replace(term.get("first", term["zh"]), term["zh"])
    return text


def test_there_are_messages_in_both_languages() -> None:
    assert len(said_in("zh")) > 150
    assert len(said_in("en")) > 150


@pytest.mark.parametrize("term", glossary())
def test_no_other_word_is_used_for_a_term(term: str) -> None:
    for key, lang in (("not", "zh"), ("en-not", "en")):
        for word in glossary()[term].get(key, []):
            found = re.compile(rf"(?<![A-Za-z_]){re.escape(word)}(?![A-Za-z_])")  # warmup_steps is a name
            assert [(where, text) for where, text in said_in(lang) if found.search(plain(text))] == [], word


def first_mentions(text: str) -> Iterator[tuple[str, str]]:
    """(term, the text from its first mention on) of every term. In 缩放点积注意力 nobody mentions 点积."""
    terms = sorted(glossary(), key=lambda term: -len(glossary()[term]["zh"]))
    found = [
        f"(?P<g{i}>{glossary()[term].get('find') or re.escape(glossary()[term]['zh'])})" for i, term in enumerate(terms)
    ]
    seen: set[str] = set()
    for mention in re.finditer("|".join(found), text):
        term = terms[int(str(mention.lastgroup)[1:])]
        if term not in seen:
            seen.add(term)
            yield term, text[mention.start() :]


@pytest.mark.parametrize("where", [*NAMES, *(f"stage{number}" for number in STAGES)])
def test_a_term_is_introduced_where_a_text_mentions_it_first(where: str) -> None:
    text = source(where, "zh") if where in NAMES else stage_text(int(where.removeprefix("stage")), "zh")
    for term, rest in first_mentions(prose(text)):
        assert rest.startswith(glossary()[term].get("first", "")), (term, rest[:30])


@pytest.mark.parametrize("name", NAMES)
def test_a_term_of_the_english_text_stands_in_the_chinese_one(name: str) -> None:
    for term, entry in glossary().items():
        if re.search(rf"\b{re.escape(term)}s?\b", prose(source(name, "en")), re.IGNORECASE):
            assert entry["zh"] in source(name, "zh"), term


# --- Chinese typography -----------------------------------------------------------------------------------------------

FAULTS = {
    "a space belongs between Chinese and Latin": r"[一-鿿][A-Za-z0-9`√]|[A-Za-z0-9`%°][一-鿿]",
    "no space belongs beside full-width marks": r"[，。：；！？（）、“”] +\S|[^\s\-|] +[，。：；！？（）、“”]",
    "marks in Chinese are full-width": r"[一-鿿] ?[,;:!?]|[,;:!?] ?[一-鿿]|[一-鿿]\.(?![A-Za-z0-9.])",
    "brackets around or after Chinese are full-width": r"[一-鿿]\(|[一-鿿] \([a-z]{2,}\)|\([^()\n]*[一-鿿]|\)[一-鿿]",
    "Chinese quotes are curved": r"[一-鿿][\"']|[\"'][一-鿿]",
    "it is 你": "您",
    "no English dash or dots": r"[一-鿿] ?(?:--|\.\.\.)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_chinese_is_set_as_chinese(fault: str) -> None:
    for where, text in said_in("zh"):
        found = re.search(FAULTS[fault], SPAN.sub("`x`", CODE.sub("", text)))
        assert found is None, (where, text[max(0, found.start() - 20) : found.end() + 20])


@pytest.mark.parametrize(
    ("fault", "text"),
    list(
        zip(
            FAULTS,
            ["每个token", "完成 。", "权重,偏置", "头(head)", '"头"', "您好", "等等..."],
            strict=True,
        )
    ),
)
def test_each_fault_of_typography_is_noticed(fault: str, text: str) -> None:
    assert re.search(FAULTS[fault], text)


def test_every_name_in_the_glossary_is_its_own() -> None:
    chinese = [entry["zh"] for entry in glossary().values()]
    assert len(chinese) == len(set(chinese))
    for entry in glossary().values():
        assert entry.get("first", entry["zh"]).startswith(entry["zh"])
        assert entry["zh"] not in entry.get("not", [])
