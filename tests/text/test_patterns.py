"""The pieces of a text are those of Hugging Face tokenizers, whatever the characters."""

from __future__ import annotations

import itertools

import pytest
import regex
from hard_texts import texts
from hypothesis import given, settings
from tokenizers import Regex, pre_tokenizers

from groundup.text import GPT2_PATTERN, GPT4_PATTERN, PATTERNS, packaged
from groundup.text.patterns import splitter

PRE_TOKENIZERS = {
    "gpt2": pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    "gpt4": pre_tokenizers.Split(Regex(GPT4_PATTERN), "isolated"),
}
ALL_CHARACTERS = [chr(i) for i in range(0x110000) if not 0xD800 <= i <= 0xDFFF]


def ends(pieces: list[str]) -> list[int]:
    return list(itertools.accumulate(map(len, pieces)))


def their_ends(name: str, text: str) -> list[int]:
    return [end for _, (_, end) in PRE_TOKENIZERS[name].pre_tokenize_str(text)]


@pytest.mark.slow
@pytest.mark.parametrize("name", PATTERNS)
def test_all_characters_are_classed_as_tokenizers_classes_them(name: str):
    # In a row of all characters, neighbours of one class make one piece: equal borders mean equal runs.
    everything = "".join(ALL_CHARACTERS)
    assert ends(splitter(name)(everything)) == their_ends(name, everything)

    # Which class a run has shows between a letter, a digit, a sign and a space.
    runs = splitter("gpt2")(everything)
    members = [c for run in runs for c in (run[0], run[len(run) // 2], run[-1])]
    probes = "".join(f"a{c}1{c}!{c} " for c in members)
    assert ends(splitter(name)(probes)) == their_ends(name, probes)


@pytest.mark.parametrize("name", PATTERNS)
def test_all_contractions_are_cut_as_tokenizers_cuts_them(name: str):
    letters = "sdmtlvreSDMTLVREſ\u212ax"
    text = " ".join(f"a'{first}{second}" for first in letters for second in [*letters, ""])
    assert ends(splitter(name)(text)) == their_ends(name, text)


@pytest.mark.parametrize("name", PATTERNS)
@settings(max_examples=300, deadline=None)
@given(text=texts)
def test_texts_are_cut_as_tokenizers_cuts_them(name: str, text: str):
    pieces = splitter(name)(text)
    assert "".join(pieces) == text
    assert ends(pieces) == their_ends(name, text)


@pytest.mark.parametrize("name", PATTERNS)
def test_books_are_cut_as_the_written_pattern_cuts_them(name: str):
    for book in ("shakespeare", "chinese"):
        text = packaged(book).val
        assert splitter(name)(text) == regex.findall(PATTERNS[name], text)


def test_patterns_are_those_of_gpt2_and_gpt4():
    assert regex.findall(GPT2_PATTERN, "I'll pay  1234 dollars!!\n") == [
        "I", "'ll", " pay", " ", " 1234", " dollars", "!!", "\n",
    ]  # fmt: skip
    assert regex.findall(GPT4_PATTERN, "I'LL pay  1234(dollars)\n\n x") == [
        "I", "'LL", " pay", " ", " ", "123", "4", "(dollars", ")\n\n", " x",
    ]  # fmt: skip
