"""The tokenizer's promises: the ids of Hugging Face tokenizers, no special token by accident, no half characters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tokenizers
from hard_texts import SNIPPETS, texts
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundup.errors import ConfigError, TokenizerError
from groundup.text import PATTERNS, Tokenizer, bpe_encode, packaged, train_bpe

TRAINED_ON = packaged("the-verdict").train + packaged("chinese").train[:20_000] + "".join(SNIPPETS) * 2
OURS = {name: Tokenizer.train(TRAINED_ON, 900, name, ["<|endoftext|>", "<|user|>"]) for name in PATTERNS}
OURS["gpt2 itself"] = Tokenizer.load("gpt2")


def theirs(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    other = tokenizers.Tokenizer.from_str(tokenizer.to_json())
    other.encode_special_tokens = True
    return other


THEIRS = {name: theirs(tokenizer) for name, tokenizer in OURS.items()}
each_tokenizer = pytest.mark.parametrize("name", OURS)


@each_tokenizer
@settings(max_examples=200, deadline=None)
@given(text=texts)
def test_ids_are_those_of_hugging_face_tokenizers(name: str, text: str):
    ids = OURS[name].encode(text)
    assert ids == THEIRS[name].encode(text, add_special_tokens=False).ids
    assert OURS[name].decode(ids) == text


@each_tokenizer
def test_ids_of_books_are_those_of_hugging_face_tokenizers(name: str):
    for book in ("shakespeare", "chinese", "the-verdict"):
        text = packaged(book).val
        assert OURS[name].encode(text) == THEIRS[name].encode(text, add_special_tokens=False).ids


@each_tokenizer
@settings(max_examples=200, deadline=None)
@given(ids=st.lists(st.integers(0, 899), max_size=20))
@example(ids=[169, 94])  # GPT-2: the first two bytes of a surrogate, which are two faults and not the beginning of one
def test_any_ids_decode_as_hugging_face_decodes_them_and_a_stream_adds_up_to_the_same(name: str, ids: list[int]):
    stream = OURS[name].stream()
    pieces = [stream.feed(i) for i in ids]
    rest = stream.finish()
    assert "".join(pieces) + rest == OURS[name].decode(ids)
    assert set(rest) <= {"�"}
    assert OURS[name].decode(ids) == THEIRS[name].decode(ids, skip_special_tokens=False)


@each_tokenizer
@given(text=st.text(alphabet="中é😀a\u0301", max_size=10))
def test_a_stream_never_shows_half_a_character(name: str, text: str):
    stream = OURS[name].stream()
    assert "�" not in "".join(stream.feed(i) for i in OURS[name].encode(text)) + stream.finish()


def test_a_stream_that_breaks_off_ends_with_one_replacement_character():
    tokenizer = Tokenizer.train("", 256, specials=[])
    stream = tokenizer.stream()
    assert [stream.feed(i) for i in "a😀".encode()[:4]] == ["a", "", "", ""]
    assert (stream.finish(), stream.finish()) == ("�", "")


def disguised(special: str) -> dict[str, str]:
    """A special token's text as it may come from outside."""
    middle = len(special) // 2
    return {
        "whole": special,
        "in a sentence": f"a {special}b",
        "doubled": special * 2,
        "split": f"{special[:middle]}{special}{special[middle:]}",  # whole again once the inner one is taken out
        "zero-width": "\u200b".join(special),
        "full-width": "".join(chr(ord(c) + 0xFEE0) for c in special),
    }


@each_tokenizer
def test_t4_a_text_never_becomes_a_special_token_by_itself(name: str):
    tokenizer = OURS[name]
    for special in tokenizer.specials:
        for text in disguised(special).values():
            ids = tokenizer.encode(text)
            assert not set(ids) & set(tokenizer.specials.values())
            assert tokenizer.decode(ids) == text
            # Cut anywhere into two messages, neither holds one, and the ids of both together do not either.
            for cut in range(len(text)):
                parts = [*tokenizer.encode(text[:cut]), *tokenizer.encode(text[cut:])]
                assert not set(parts) & set(tokenizer.specials.values())
                assert tokenizer.decode(parts) == text


@each_tokenizer
def test_t4_teeth_a_tokenizer_that_looks_for_special_tokens_finds_them(name: str, monkeypatch: pytest.MonkeyPatch):
    tokenizer = OURS[name]
    monkeypatch.setattr(tokenizer, "_allowed_specials", lambda allowed: list(tokenizer.specials))
    for special, i in tokenizer.specials.items():
        for kind, text in disguised(special).items():
            assert (i in tokenizer.encode(text)) == (kind not in ("zero-width", "full-width"))


def test_a_special_token_is_one_id_where_allowed():
    tokenizer = OURS["gpt2"]
    end, user = tokenizer.specials["<|endoftext|>"], tokenizer.specials["<|user|>"]
    assert (tokenizer.end_of_text, tokenizer.vocab_size) == (end, user + 1)
    text = "a<|endoftext|><|user|>b"
    assert tokenizer.encode(text, allowed="all") == [*tokenizer.encode("a"), end, user, *tokenizer.encode("b")]
    only_one = tokenizer.encode(text, allowed={"<|endoftext|>"})
    assert end in only_one and user not in only_one
    assert tokenizer.decode(only_one) == text
    with pytest.raises(TokenizerError, match="TOK_SPECIAL"):
        tokenizer.encode(text, allowed={"<|system|>"})


@each_tokenizer
def test_allowed_specials_are_found_as_hugging_face_finds_them(name: str):
    other = tokenizers.Tokenizer.from_str(OURS[name].to_json())
    for text in ("a<|endoftext|>b", "<|endoftext|><|endoftext|>", " <|endoftext|> x<|user|>\n", "<|endoftext|"):
        assert OURS[name].encode(text, allowed="all") == other.encode(text, add_special_tokens=False).ids


def test_our_layout_is_bytes_then_merges_then_specials_and_the_readable_encoder_agrees():
    text = packaged("the-verdict").train[:8_000]
    tokenizer = Tokenizer.train(text, 400)
    merges = train_bpe(text, 399, PATTERNS["gpt2"])
    assert tokenizer.merges == merges
    assert tokenizer.encode(text[:3_000]) == bpe_encode(text[:3_000], merges, PATTERNS["gpt2"])
    assert tokenizer.specials == {"<|endoftext|>": 256 + len(merges)}
    assert tokenizer.vocab_size == 400


def test_gpt2_gives_the_published_ids():
    cases = json.loads((Path(__file__).parent / "data" / "gpt2-cases.json").read_text("utf-8"))["cases"]
    for case in cases:
        assert OURS["gpt2 itself"].encode(case["text"], allowed="all") == case["ids"]
        assert OURS["gpt2 itself"].decode(case["ids"]) == case["text"]


def test_several_texts_are_counted_together_but_never_joined():
    assert Tokenizer.train(["ab", "ab"], 300).merges == [(97, 98)]
    assert Tokenizer.train(["a", "b", "a", "b"], 300).merges == []
    assert Tokenizer.train(["ab ab", "ab"], 300).merges == Tokenizer.train("ab ab ab", 300).merges[:1]


def test_a_tokenizer_is_found_by_file_folder_run_directory_or_name(tmp_path: Path):
    tokenizer = OURS["gpt4"]
    tokenizer.save(tmp_path / "tokenizer")
    for where in (tmp_path, tmp_path / "tokenizer", tmp_path / "tokenizer" / "tokenizer.json", str(tmp_path)):
        assert Tokenizer.load(where).sha256 == tokenizer.sha256
    assert Tokenizer.load("gpt2").vocab_size == 50_257


@pytest.mark.parametrize("name", ["nowhere", "gpt3", "x" * 5_000, "a\nb", ""])
def test_a_missing_tokenizer_is_a_wrong_request(tmp_path: Path, name: str):
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.load(tmp_path / name)
    assert (caught.value.code, caught.value.status) == ("PATH", 2)
    assert re.search(r"\n.*\n.*gpt2", str(caught.value))
    assert len(str(caught.value)) < 500


def test_the_hash_tells_tokenizers_apart():
    assert len({tokenizer.sha256 for tokenizer in OURS.values()}) == len(OURS)
    assert Tokenizer.train("abab", 300).sha256 == Tokenizer.train("abab", 300).sha256


@pytest.mark.parametrize(
    "arguments",
    [
        {"vocab_size": 256},
        {"vocab_size": 300, "pattern": "gpt3"},
        {"vocab_size": 300, "specials": ["<a>", "<a>"]},
        {"vocab_size": 300, "specials": [""]},
        {"vocab_size": 300, "specials": ["ab"]},
    ],
)
def test_what_cannot_be_trained_is_refused(arguments: dict[str, object]):
    with pytest.raises(ConfigError):
        Tokenizer.train("abab", **arguments)


@pytest.mark.parametrize("i", [-1, 900, 10**20])
def test_an_id_that_is_not_there_is_named(i: int):
    with pytest.raises(TokenizerError, match=rf"no token {i}.*TOK_ID"):
        OURS["gpt2"].decode([1, i])


def test_half_a_surrogate_pair_is_named():
    with pytest.raises(TokenizerError, match=r"U\+D83D.*TOK_TEXT"):
        OURS["gpt2"].encode("a \ud83d b")
    with pytest.raises(TokenizerError, match="TOK_TEXT"):
        Tokenizer.train("a \ud83d b", 300)
