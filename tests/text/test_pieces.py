"""Texts in pieces encode as the whole."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hard_texts import texts
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import DataError
from groundup.text import Tokenizer, packaged, pieces
from groundup.text.patterns import PATTERNS
from groundup.text.pieces import Piece, cut

TOKENIZERS = {name: Tokenizer.train(packaged("the-verdict").train, 600, pattern=name) for name in PATTERNS}


@pytest.mark.parametrize("name", PATTERNS)
@given(text=texts, size=st.integers(1, 6))
def test_the_ids_of_the_pieces_are_those_of_the_whole(name: str, text: str, size: int) -> None:
    tokenizer = TOKENIZERS[name]
    pieces = small_pieces(text, size)
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.ends for piece in pieces] == [False] * (len(pieces) - 1) + [True] * bool(pieces)
    assert [i for piece in pieces for i in tokenizer.encode(piece.text)] == tokenizer.encode(text)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("corpus", ["the-verdict", "chinese"])
def test_the_ids_of_a_real_text_in_pieces_are_those_of_the_whole(name: str, corpus: str) -> None:
    text, tokenizer = packaged(corpus).val[:20_000], TOKENIZERS[name]
    for size in (10, 100, 1000):
        pieces = small_pieces(text, size)
        assert len(pieces) > len(text) / size / 2
        assert [i for piece in pieces for i in tokenizer.encode(piece.text)] == tokenizer.encode(text)


def test_a_cut_anywhere_changes_ids() -> None:
    """The teeth of the tests above: their texts do notice a cut at the wrong place."""
    text, tokenizer = packaged("the-verdict").val[:2000], TOKENIZERS["gpt4"]
    wrong = [text[start : start + 100] for start in range(0, len(text), 100)]
    assert [i for piece in wrong for i in tokenizer.encode(piece)] != tokenizer.encode(text)


@given(texts, st.lists(st.integers(0, 50)))
def test_where_a_text_is_cut_does_not_depend_on_how_it_came(text: str, places: list[int]) -> None:
    borders = [0, *sorted(places), len(text)]
    blocks = [text[start:end] for start, end in pairwise(borders)]
    assert small_pieces(text, 3) == small_pieces(text, 3, blocks)


def test_a_text_without_any_place_to_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONGEST_WORD", 1 << 10)
    monkeypatch.setattr(pieces, "PIECE", 1 << 5)
    with pytest.raises(DataError) as caught:
        list(cut(["-" * 5000], "dashes.txt"))
    assert (caught.value.code, caught.value.status) == ("DATA_WORD", 3)


def small_pieces(text: str, size: int, blocks: list[str] | None = None) -> list[Piece]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pieces, "PIECE", size)
        return list(cut([text] if blocks is None else blocks, "text"))
