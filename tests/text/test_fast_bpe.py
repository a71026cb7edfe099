"""The fast encoder against the readable one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import regex
from hard_texts import SNIPPETS, texts
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.text import GPT2_PATTERN, GPT4_PATTERN, PATTERNS, Tokenizer, bpe_encode, packaged, train_bpe
from groundup.text.fast_bpe import WORDS, PieceCache, Ranks, WordCache, apply_merges, merge_short
from groundup.text.patterns import splitter

# Few letters give many ties, runs and overlaps.
repetitive = st.text(alphabet="aab c'1é中\n", max_size=60)
patterns = st.sampled_from([None, GPT2_PATTERN, GPT4_PATTERN])


def pieces_of(text: str, pattern: str | None) -> list[str]:
    return [text] if pattern is None else regex.findall(pattern, text)


def ranks_of(merges: list[tuple[int, int]]) -> dict[tuple[int, int], tuple[int, int]]:
    return {pair: (rank, 256 + rank) for rank, pair in enumerate(merges)}


@settings(max_examples=500, deadline=None)
@given(repetitive, repetitive, patterns)
def test_gives_the_ids_of_the_readable_encoder(learnt_from: str, text: str, pattern: str | None):
    merges = train_bpe(learnt_from * 2, 290, pattern)
    cache = PieceCache(range(256), ranks_of(merges))
    ids = [i for piece in pieces_of(text, pattern) for i in cache[piece]]
    assert ids == bpe_encode(text, merges, pattern)


@settings(max_examples=500, deadline=None)
@given(repetitive, repetitive)
def test_long_and_short_pieces_are_merged_alike(learnt_from: str, text: str):
    merges = train_bpe(learnt_from * 2, 290)
    ids = list(text.encode())
    assert merge_short(ids, ranks_of(merges)) == apply_merges(ids, ranks_of(merges)) == bpe_encode(text, merges)


@pytest.mark.parametrize("merge", [merge_short, apply_merges])
def test_a_rank_decides_before_a_position(merge: Callable[[list[int], Ranks], list[int]]):
    merges = [(98, 99), (97, 98)]  # bc was learnt before ab
    assert merge(list(b"abcab"), ranks_of(merges)) == [97, 256, 257]


def test_a_full_cache_starts_again_and_gives_the_same_ids():
    cache = PieceCache(range(256), ranks_of([(97, 98)]), max_pieces=2)
    assert [cache[piece] for piece in ("ab", "b", "ab", "c", "ab")] == [(256,), (98,), (256,), (99,), (256,)]
    assert len(cache) <= 2


# White space of every kind and length between few words.
spaced = st.lists(
    st.one_of(texts, st.sampled_from([*" \n\r\t\xa0\x1c\x85\u3000", "  ", "a", "1", ".", "'s"])), max_size=20
)


@pytest.mark.parametrize("name", PATTERNS)
@settings(max_examples=500, deadline=None)
@given(parts=spaced)
def test_words_put_together_have_the_pieces_of_the_whole_text(name: str, parts: list[str]):
    text = "".join(parts)
    words = WordCache(PieceCache(range(256), {}), splitter(name), max_words=3)
    pieces = splitter(name)(text)
    first, *rest = WORDS(text)
    assert [piece for word in [first, *(" " + word for word in rest)] for piece in splitter(name)(word)] == pieces
    assert list(words.encode(text)) == list(words.encode(text)) == list(text.encode())
    assert len(words) <= 3


@pytest.mark.parametrize("name", PATTERNS)
def test_words_have_the_ids_of_the_readable_encoder(name: str):
    text = "  ".join(SNIPPETS) + packaged("the-verdict").val[:2_000] + " " + "x" * 100
    merges = train_bpe(text, 330, PATTERNS[name])
    words = WordCache(PieceCache(range(256), ranks_of(merges)), splitter(name))
    pieces = splitter(name)(text)
    expected = [i for piece in pieces for i in bpe_encode(piece, merges)]
    assert list(words.encode(text)) == expected
    assert "x" * 100 not in words


def test_a_long_text_without_a_space_is_no_trap():
    text = packaged("shakespeare").train
    merges = Tokenizer.train(text, 757).merges
    one_word = "".join(filter(str.isalpha, text))[:200_000]
    start = time.perf_counter()
    ids = apply_merges(list(one_word.encode()), ranks_of(merges))
    # Looking for the best pair over and over would take hours; this takes a second, more on a busy machine.
    assert time.perf_counter() - start < 20
    assert len(ids) < len(one_word) / 1.5
