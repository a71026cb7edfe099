"""The fast trainer against the readable one."""

from __future__ import annotations

from collections import Counter

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.text import GPT2_PATTERN, GPT4_PATTERN, packaged, train_bpe
from groundup.text.bpe_training import learn_merges

# Few letters give many ties, runs and overlaps.
repetitive = st.text(alphabet="aab c'1é中\n", max_size=60)
patterns = st.sampled_from([None, GPT2_PATTERN, GPT4_PATTERN])


def pieces_of(text: str, pattern: str | None) -> Counter[str]:
    return Counter([text] if pattern is None else regex.findall(pattern, text))


@settings(max_examples=500, deadline=None)
@given(repetitive, patterns)
def test_learns_the_merges_of_the_readable_trainer(text: str, pattern: str | None):
    assert learn_merges(pieces_of(text, pattern), 44) == train_bpe(text, 300, pattern)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="ab", max_size=80), st.integers(1, 40))
def test_learns_the_same_from_runs_and_alternations(text: str, n_times: int):
    """Without a pattern the text is one long piece, where new tokens stand side by side."""
    assert learn_merges({text: n_times}, 60) == train_bpe("\n".join([text] * n_times), 316, r"[^\n]+")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["the-verdict", "chinese"])
def test_learns_the_merges_of_the_readable_trainer_from_a_book(name: str):
    text = packaged(name).train[:5_000]
    assert learn_merges(pieces_of(text, GPT2_PATTERN), 144) == train_bpe(text, 400, GPT2_PATTERN)


@pytest.mark.parametrize("pieces", [{}, {"": 5}, {"a": 1}, {"ab": 1}, {"a": 9, "b": 9}])
def test_stops_where_no_pair_occurs_twice(pieces: dict[str, int]):
    assert learn_merges(pieces, 10) == []
