"""The parts of byte-pair encoding, judged by what they promise and by small cases worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.text import (
    GPT2_PATTERN,
    bpe_decode,
    bpe_encode,
    count_pairs,
    encode_with_specials,
    merge_pair,
    pack_documents,
    train_bpe,
)

few_ids = st.lists(st.integers(0, 3), max_size=30)


def test_every_adjacent_position_counts_overlapping_too():
    assert count_pairs([1, 1, 1, 2]) == {(1, 1): 2, (1, 2): 1}
    assert count_pairs([7]) == count_pairs([]) == {}


def test_merging_goes_from_left_to_right_without_overlap():
    assert merge_pair([1, 1, 1], (1, 1), 9) == [9, 1]
    assert merge_pair([1, 2, 1, 2, 1], (1, 2), 9) == [9, 9, 1]


@given(few_ids)
def test_a_merge_undone_gives_the_ids_back_and_leaves_no_pair(ids: list[int]):
    before = list(ids)
    merged = merge_pair(ids, (1, 2), 9)
    assert ids == before
    assert [part for i in merged for part in ([1, 2] if i == 9 else [i])] == ids
    assert (1, 2) not in count_pairs(merged)


@given(few_ids)
def test_pair_counts_add_up_to_the_adjacent_positions(ids: list[int]):
    assert sum(count_pairs(ids).values()) == max(0, len(ids) - 1)


def test_training_takes_the_most_frequent_pair_and_the_smaller_of_equals():
    # ab, cd and da stand twice, bc once: (97, 98) is the smallest of the pairs of bytes.
    assert train_bpe("cdabcdab", 258) == [(97, 98), (99, 100)]
    assert train_bpe("abcdcdcd", 257) == [(99, 100)]


def test_training_stops_when_no_pair_occurs_twice():
    assert train_bpe("aaa", 300) == [(97, 97)]
    assert train_bpe("abc", 300) == []
    assert train_bpe("", 300) == []
    assert train_bpe("abab", 256) == []


def test_with_a_pattern_no_merge_crosses_the_border_of_a_match():
    def learnt(pattern: str | None) -> set[str]:
        merges = train_bpe("one two one two one two", 300, pattern)
        return {bpe_decode([256 + i], merges) for i in range(len(merges))}

    assert any(" " in token[1:] for token in learnt(None))
    assert not any(" " in token[1:] for token in learnt(GPT2_PATTERN))
    assert " two" in learnt(GPT2_PATTERN)


MERGES = train_bpe("the cat sat on the mat, 那只猫坐在垫子上" * 2, 290)


@given(st.text(), st.sampled_from([None, GPT2_PATTERN]))
def test_decoding_an_encoding_gives_the_text_back(text: str, pattern: str | None):
    assert bpe_decode(bpe_encode(text, MERGES, pattern), MERGES) == text


def test_merges_are_applied_in_the_order_in_which_they_were_learnt():
    merges = [(98, 99), (97, 98)]  # bc first, then ab
    assert bpe_encode("abc", merges) == [97, 256]
    assert bpe_encode("ab", merges) == [257]


def test_bytes_that_are_no_text_become_the_replacement_character():
    assert bpe_decode([0xE4, 0xBD], []) == "�"
    assert bpe_decode([0xE4, 0xBD, 0xA0], []) == "你"


SPECIALS = {"<|end|>": 300, "<|end|>!": 301}


@pytest.mark.parametrize(
    ("allowed", "ids"),
    [
        (frozenset(), list(b"a<|end|>!")),
        ({"<|end|>"}, [97, 300, 33]),
        ({"<|end|>", "<|end|>!"}, [97, 301]),
    ],
)
def test_a_special_string_is_an_id_only_where_allowed_and_the_longest_wins(allowed: set[str], ids: list[int]):
    assert encode_with_specials("a<|end|>!", [], SPECIALS, allowed) == ids


def test_the_text_around_a_special_is_encoded_by_itself():
    merges = train_bpe("abab", 257)
    assert encode_with_specials("ab<|end|>ab<|end|>", merges, SPECIALS, {"<|end|>"}) == [256, 300, 256, 300]
    assert encode_with_specials("", merges, SPECIALS, {"<|end|>"}) == []


def test_parts_use_the_parts_that_they_are_given():
    def count_only_the_letter_b(ids: list[int]) -> dict[tuple[int, int], int]:
        return {pair: count for pair, count in count_pairs(ids).items() if 98 in pair}

    def never_merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
        return ids

    assert train_bpe("aaaaab aab", 257, count_pairs=count_only_the_letter_b) == [(97, 98)]
    assert train_bpe("aaaa", 258, merge_pair=never_merge) == [(97, 97), (97, 97)]
    assert bpe_encode("aa", [(97, 97)], merge_pair=never_merge) == [97, 97]
    nothing = encode_with_specials("ab<|end|>", [], SPECIALS, {"<|end|>"}, bpe_encode=lambda text, merges, pattern: [])
    assert nothing == [300]


def test_documents_are_joined_with_an_end_after_each_and_cut_into_full_blocks():
    assert pack_documents([[1, 2], [3], [4, 5]], eos_id=0, block=3) == [[1, 2, 0], [3, 0, 4]]
    assert pack_documents([[1, 2]], eos_id=0, block=3) == [[1, 2, 0]]
    assert pack_documents([], eos_id=0, block=3) == []
