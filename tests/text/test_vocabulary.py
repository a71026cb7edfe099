"""What each id stands for."""

from __future__ import annotations

import dataclasses

import pytest

from groundup.text.vocabulary import ALPHABET, Vocabulary, from_shown, gpt2_vocabulary, shown, trained_vocabulary

SOUND = trained_vocabulary([(97, 98), (256, 99)], ["<|endoftext|>"], "gpt2")


def test_the_alphabet_has_one_visible_character_for_each_byte():
    assert len(set(ALPHABET)) == 256
    assert all(character.isprintable() and not character.isspace() for character in ALPHABET)
    assert shown(b" the\n") == "ĠtheĊ"
    assert from_shown(shown(bytes(range(256)))) == bytes(range(256))
    assert from_shown("a b") is None


def test_a_trained_vocabulary_is_bytes_then_merges_then_specials():
    assert SOUND.tokens[:256] == tuple(bytes([byte]) for byte in range(256))
    assert SOUND.tokens[256:] == (b"ab", b"abc", b"<|endoftext|>")
    assert SOUND.specials == {"<|endoftext|>": 258}
    assert SOUND.problem() is None


def test_gpt2_has_its_fifty_thousand_ids():
    vocabulary = gpt2_vocabulary()
    assert len(vocabulary.tokens) == 50_257
    assert vocabulary.specials == {"<|endoftext|>": 50_256}
    assert vocabulary.tokens[15496] == b"Hello" and vocabulary.tokens[995] == b" world"
    assert vocabulary.problem() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens": (*SOUND.tokens[:257], b"ab", b"<|endoftext|>")}, "ab has more than one id"),
        ({"tokens": (b"zz", *SOUND.tokens[1:])}, "byte 0x00"),
        ({"merges": ((97, 98), (97, 99))}, "merge 2 has ac"),
        ({"merges": ((97, 98), (97, 98))}, "merge 2 stands in the list twice"),
        ({"merges": ((97, 98), (258, 99))}, "merge 2"),
        ({"specials": {"a": 258}}, "'a'"),
        ({"specials": {"": 258}}, "empty"),
    ],
)
def test_a_fault_is_named(change: dict[str, object], words: str):
    faulty: Vocabulary = dataclasses.replace(SOUND, **change)
    assert words in (faulty.problem() or "")
