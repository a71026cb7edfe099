"""Each part of the path: its reference is right, and every known mistake shows and is told apart from the others."""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest

from groundup.path.case import CORE, EDGE
from groundup.path.catalog import UNITS, catalog, path_order, unit
from groundup.path.compare import differ
from groundup.path.diagnose import Suspects, diagnose
from groundup.path.observe import observe

SEED = 1
CLEARLY = 100.0  # tolerances by which a mistake must differ somewhere
PARTS = list(catalog())
# All tests of a part on one worker, since what its mistakes do is computed once.
GROUPED = [pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in PARTS]
STAGES_WITH_FIVE = (1, 2, 3, 4, 5)


@functools.cache
def suspects_of(name: str) -> Suspects:
    part = catalog()[name]
    cases = part.cases(SEED)
    return Suspects(part, cases, [observe(part.reference, case.calls) for case in cases])


def library(name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"groundup.{catalog()[name].library}"), name)


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_all_switches_off_it_is_the_library_s_own_part(name: str, seed: int) -> None:
    part = catalog()[name]
    for case in part.cases(seed):
        expected = observe(part.reference, case.calls)
        assert all(seen["error"] is None or "Assertion" not in seen["error"]["classes"][0] for seen in expected)
        fault = differ(case, expected, observe(library(name), case.calls))
        assert fault is None, (case.shows, fault)


@pytest.mark.parametrize("name", GROUPED)
def test_a_part_has_enough_cases_of_both_tiers(name: str) -> None:
    cases = catalog()[name].cases(SEED)
    assert 20 <= len(cases) <= 200
    assert {case.tier for case in cases} <= {CORE, EDGE}
    assert any(case.tier == CORE for case in cases)


@pytest.mark.parametrize("name", GROUPED)
def test_the_switches_of_the_source_are_those_of_the_texts(name: str) -> None:
    part = catalog()[name]
    source = (UNITS / part.unit / f"{name}.py").read_text(encoding="utf-8")
    used = {
        node.left.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant)
        and isinstance(node.comparators[0], ast.Name) and node.comparators[0].id == "wrong"
    }  # fmt: skip
    assert used == set(part.own_mistakes)


@pytest.mark.parametrize("name", GROUPED)
def test_every_mistake_shows_clearly_in_some_case(name: str) -> None:
    suspects = suspects_of(name)
    for key in catalog()[name].own_mistakes:
        differences = [
            differ(case, suspects.expected[i], suspects.observed(frozenset({key}), i))
            for i, case in enumerate(suspects.cases)
        ]
        assert max((one.size for one in differences if one), default=0.0) >= CLEARLY, key


MISTAKES = [
    pytest.param(name, key, marks=pytest.mark.xdist_group(name))
    for name in PARTS
    for key in catalog()[name].own_mistakes
]


@pytest.mark.parametrize(("name", "one"), MISTAKES)
def test_a_mistake_is_told_apart_from_each_other_one(name: str, one: str) -> None:
    suspects = suspects_of(name)
    got = [suspects.observed(frozenset({one}), i) for i in range(len(suspects.cases))]
    listed = {frozenset(row[:2]) for row in unit(catalog()[name].unit).get("alike", [])}  # the third is the reason
    alike = {
        other
        for other in catalog()[name].own_mistakes
        if other != one and suspects.explains(frozenset({other}), got, range(len(suspects.cases)))
    }
    assert alike == {other for pair in listed if one in pair for other in pair - {one}}


MANY = 100  # mistakes, inherited ones among them: to try them all on each takes a while


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[*[pytest.mark.slow] * (len(part.mistakes) > MANY), pytest.mark.xdist_group(name)])
        for name, part in catalog().items()
    ],
)
def test_each_mistake_is_named_and_nothing_else(name: str) -> None:
    suspects = suspects_of(name)
    for key in catalog()[name].own_mistakes:
        got = [suspects.observed(frozenset({key}), i) for i in range(len(suspects.cases))]
        explanations, whole = diagnose(suspects, got, suspects.shows_in(key), seconds=30)
        rows = unit(catalog()[name].unit).get("alike", [])
        twins = {other for row in rows for other in row[:2] if key in row[:2]}
        assert set(explanations) == {frozenset({one}) for one in {key} | twins}, key
        assert whole


@pytest.mark.parametrize("name", GROUPED)
def test_a_mistake_s_texts_are_there_in_both_languages(name: str) -> None:
    for mistake in catalog()[name].own_mistakes.values():
        for lang, word in itertools.product(("en", "zh"), ("what", "why", "hint")):
            text = mistake.say(lang, word)
            assert text.strip()
            assert bool(re.search("[一-鿿]", text)) == (lang == "zh"), text
            assert not re.search(r"[一-鿿] ?[,;:!?]", text), f"full-width marks in {text}"


@pytest.mark.parametrize("name", GROUPED)
def test_a_case_s_property_has_a_chinese_text(name: str) -> None:
    for case in catalog()[name].cases(SEED):
        assert re.search("[一-鿿]", catalog()[name].property_words(case.shows, "zh")), case.shows


@pytest.mark.parametrize("name", [name for name in PARTS if catalog()[name].stage in STAGES_WITH_FIVE])
def test_there_are_five_mistakes_or_more(name: str) -> None:
    assert len(catalog()[name].own_mistakes) >= 5 or "few" in unit(catalog()[name].unit)


def test_needs_run_backwards_along_the_path() -> None:
    for name in PARTS:
        assert set(catalog()[name].needs) <= set(catalog()[name].earlier)


def test_every_unit_folder_is_on_the_path() -> None:
    listed = [name for stage in path_order() for name in stage["units"]]
    assert sorted(listed) == sorted(path.parent.name for path in UNITS.glob("*/unit.toml"))
