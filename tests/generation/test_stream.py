"""Text comes in whole characters, and nothing is shown that a stop string takes away."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from groundup.errors import ConfigError
from groundup.generation import Sample, before_stop, encode_prompt, generate, stream_text
from groundup.text import Tokenizer

letters = st.text("ab", max_size=12)


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place for place in set(places) if place < len(text)), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def until_first_complete(text: str, stop: list[str]) -> str:
    """Character by character: the text before the first stop string that is complete."""
    for end in range(len(text) + 1):
        ending = [s for s in stop if text[:end].endswith(s)]
        if ending:
            return text[: end - max(map(len, ending))]
    return text


@example("abb", ["abb", "b"], [])
@example("abb", ["abb", "b"], [1, 2])
@given(letters, st.lists(st.text("ab", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 12)))
def test_a_text_ends_before_the_first_stop_string_however_it_is_cut(
    text: str, stop: list[str], places: list[int]
) -> None:
    shown = list(before_stop(cut(text, places), stop))
    assert "".join(shown) == until_first_complete(text, stop)
    assert "" not in shown


@given(letters, st.text("ab", min_size=1, max_size=4))
def test_nothing_is_shown_that_may_be_the_beginning_of_a_stop_string_and_all_else_at_once(text: str, stop: str) -> None:
    given_so_far = ""

    def pieces():
        nonlocal given_so_far
        for character in text:
            given_so_far += character
            yield character

    shown = ""
    for piece in before_stop(pieces(), [stop]):
        shown += piece
        held = given_so_far[len(shown) :]
        at_end = len(given_so_far) == len(text)
        longest = max(n for n in range(len(stop)) if given_so_far.endswith(stop[:n]))
        assert at_end or len(held) == longest or stop in given_so_far


def test_a_stop_string_over_several_tokens_ends_the_text_and_the_model_stops_too() -> None:
    asked: list[str] = []

    def pieces():
        for piece in ["Yes", ".\n", "Q", ":", " more"]:
            asked.append(piece)
            yield piece

    assert list(before_stop(pieces(), ["\nQ:"])) == ["Yes", "."]
    assert asked == ["Yes", ".\n", "Q", ":"]


def test_what_only_looked_like_a_stop_string_is_shown_in_the_end() -> None:
    assert list(before_stop(["a\n", "Q", "uite", "\n"], ["\nQ:"])) == ["a", "\nQuite", "\n"]


@pytest.fixture(scope="module")
def model(make_model, tokenizer):
    return make_model(vocab_size=300, context_length=64, position="rope")


def forced(*ids: int, prompt_length: int) -> Sample:
    """A strategy that writes these tokens."""

    def force(logits: Tensor, so_far: Sequence[int]) -> Tensor:
        token = torch.tensor(ids[len(so_far) - prompt_length])
        return torch.full_like(logits, -math.inf).index_fill(0, token, 0.0)

    return Sample(filters=(force,))


@pytest.mark.parametrize("seed", range(3))
def test_the_pieces_together_are_the_decoded_tokens(model, tokenizer: Tokenizer, seed: int) -> None:
    strategy = Sample(temperature=1.5, seed=seed)
    pieces = list(stream_text(model, tokenizer, "the cat", strategy, max_tokens=50))
    options = {"max_tokens": 50, "eos_id": tokenizer.end_of_text, "vocab_size": tokenizer.vocab_size}
    ids = generate(model, tokenizer.encode("the cat"), strategy, **options)
    assert "".join(pieces) == tokenizer.decode(token for token in ids if token != tokenizer.end_of_text)
    assert len(pieces) > 2


def test_a_character_of_several_tokens_is_shown_whole(model, tokenizer: Tokenizer) -> None:
    text = "a好🌍b"
    ids = tokenizer.encode(text)
    strategy = forced(*ids, prompt_length=1)
    assert list(stream_text(model, tokenizer, "x", strategy, max_tokens=len(ids))) == ["a", "好", "🌍", "b"]


def test_half_a_character_at_the_end_is_one_replacement_character(model, tokenizer: Tokenizer) -> None:
    ids = [tokenizer.encode("a")[0], *tokenizer.encode("🌍")[:2]]
    strategy = forced(*ids, prompt_length=1)
    assert list(stream_text(model, tokenizer, "x", strategy, max_tokens=3)) == ["a", "\ufffd"]


def test_the_end_of_text_ends_it_and_is_not_shown(model, tokenizer: Tokenizer) -> None:
    assert tokenizer.end_of_text is not None
    ids = [*tokenizer.encode("ab"), tokenizer.end_of_text, *tokenizer.encode("c")]
    strategy = forced(*ids, prompt_length=1)
    assert "".join(stream_text(model, tokenizer, "x", strategy, max_tokens=10)) == "ab"


def test_a_stop_string_in_the_middle_of_what_is_written(model, tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("the cat sat on the mat")
    strategy = forced(*ids, prompt_length=1)
    shown = stream_text(model, tokenizer, "x", strategy, max_tokens=len(ids), stop=["t on"])
    assert "".join(shown) == "the cat sa"


def test_an_empty_prompt_begins_where_documents_begin(model, make_model, tokenizer: Tokenizer) -> None:
    assert encode_prompt(model, tokenizer, "") == [tokenizer.end_of_text]
    assert "".join(stream_text(model, tokenizer, "", Sample(), max_tokens=5))
    without = Tokenizer.train("the cat", 260, specials=())
    with pytest.raises(ConfigError) as caught:
        stream_text(model, without, "")
    assert caught.value.code == "CLI_PROMPT"


@pytest.mark.parametrize("prompt", ["a", "\x00", "\n", "é", "🌍", "\ufffd", " "])
def test_odd_prompts_are_prompts(model, tokenizer: Tokenizer, prompt: str) -> None:
    assert list(stream_text(model, tokenizer, prompt, Sample(), max_tokens=3))


def test_half_a_surrogate_pair_is_no_prompt(model, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError) as caught:
        stream_text(model, tokenizer, "a\udc80b")
    assert (caught.value.code, caught.value.status) == ("CLI_PROMPT", 2)


def test_a_long_prompt_is_an_error_or_is_cut(model, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError) as caught:
        stream_text(model, tokenizer, "xyz" * 200)
    assert caught.value.code == "CLI_LENGTH"
    assert list(stream_text(model, tokenizer, "xyz" * 200, truncate_left=True, max_tokens=2))


def test_an_empty_stop_string_is_an_error(model, tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match="stop string is empty"):
        stream_text(model, tokenizer, "x", stop=["a", ""])
