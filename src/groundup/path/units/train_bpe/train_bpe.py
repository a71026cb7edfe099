"""Learning merges from a text, right or with one of the known mistakes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import regex

from ....text.patterns import GPT2_PATTERN
from ...case import Call, Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..pairs.count_pairs import count_pairs
from ..pairs.merge_pair import merge_pair

Pair = tuple[int, int]
Chunks = list[tuple[list[int], int]]

WORDS = r"\w+|\W"


@reference
def train_bpe(text: str, vocab_size: int, pattern: str | None = None, *, wrong: Wrong = RIGHT) -> list[tuple[int, int]]:
    """Learn byte-pair merges from a text, in order; the first makes id 256, the next 257, up to vocab_size ids.

    With a pattern (for the regex package) no merge crosses the border of a match. The most frequent pair comes first,
    of equally frequent ones the smaller; it ends early when no pair occurs twice.
    """
    chunks = _chunks(text, pattern, wrong)
    first_id, n_merges = _numbering(chunks, vocab_size, wrong)
    least = _least_count(wrong)
    merges: list[Pair] = []
    counts: dict[Pair, int] = {}
    for new_id in range(first_id, first_id + n_merges):
        if not ("train_bpe-counted-once" in wrong and merges):
            counts = _counted(chunks, wrong)
        if "train_bpe-counted-once" in wrong and merges:
            del counts[merges[-1]]
        if not counts and "train_bpe-empty-fails" in wrong:
            raise ValueError("max() iterable argument is empty")
        best = _best(counts, merges, wrong)
        if best is None or counts[best] < least:
            break
        merges.append(best)
        if "train_bpe-not-merged" not in wrong:
            chunks = [(merge_pair(ids, best, new_id, wrong=wrong), n_times) for ids, n_times in chunks]
    return _returned(merges, chunks, first_id, wrong)


def _chunks(text: str, pattern: str | None, wrong: Wrong) -> Chunks:
    """The pieces of the text inside which pairs are merged, as ids, and how often each of them counts."""
    if "train_bpe-lower-case" in wrong:
        text = text.lower()
    if "train_bpe-stripped" in wrong:
        text = text.strip()
    pieces = _pieces(text, pattern, wrong)
    if wrong & {"train_bpe-overwritten", "train_bpe-last-piece", "train_bpe-encoded-text"}:
        return [(_ids(piece, wrong), 1) for piece in pieces]  # in the order of the text
    if "train_bpe-pieces-once" in wrong:
        pieces = list(dict.fromkeys(pieces))
    return [(_ids(piece, wrong), n_times) for piece, n_times in Counter(pieces).items()]


def _pieces(text: str, pattern: str | None, wrong: Wrong) -> list[str]:
    if "train_bpe-words-of-their-own" in wrong and pattern is None:
        return text.split()
    if "train_bpe-words-whatever" in wrong:
        return text.split()
    if "train_bpe-own-pattern" in wrong and pattern is None:
        pattern = GPT2_PATTERN
    if pattern is None or "train_bpe-pattern-ignored" in wrong:
        return [text]
    if "train_bpe-std-re" in wrong:
        return re.findall(pattern, text)
    if "train_bpe-splits-at-matches" in wrong:
        return regex.split(pattern, text)
    if "train_bpe-first-match" in wrong:
        return regex.findall(pattern, text)[:1]
    return regex.findall(pattern, text)


def _ids(piece: str, wrong: Wrong) -> list[int]:
    if "train_bpe-code-points" in wrong:
        return [ord(character) for character in piece]
    if "train_bpe-ascii-only" in wrong:
        return list(piece.encode("ascii", "ignore"))
    return list(piece.encode("utf-8"))


def _numbering(chunks: Chunks, vocab_size: int, wrong: Wrong) -> tuple[int, int]:
    """(the id of the first merge, how many merges there are at most)."""
    first_id, n_merges = 256, vocab_size - 256
    if "train_bpe-ids-from-257" in wrong:
        first_id = 257
    if "train_bpe-ids-from-255" in wrong:
        first_id = 255
    if "train_bpe-ids-from-0" in wrong:
        first_id = 0
    if "train_bpe-one-merge-less" in wrong:
        n_merges -= 1
    if "train_bpe-one-merge-more" in wrong:
        n_merges += 1
    if "train_bpe-vocab-size-merges" in wrong:
        n_merges = vocab_size
    if "train_bpe-alphabet-of-text" in wrong:
        first_id = len({byte for ids, _ in chunks for byte in ids})
        n_merges = vocab_size - first_id
    return first_id, n_merges


def _least_count(wrong: Wrong) -> int:
    if "train_bpe-merges-singles" in wrong:
        return 1
    return 3 if "train_bpe-stops-at-two" in wrong else 2


def _counted(chunks: Chunks, wrong: Wrong) -> dict[Pair, int]:
    """How often each pair occurs in all pieces."""
    counts: Counter[Pair] = Counter()
    if "train_bpe-counted-across" in wrong:
        everything = [one for ids, n_times in chunks for _ in range(n_times) for one in ids]
        return dict(count_pairs(everything, wrong=wrong))
    for ids, n_times in chunks:
        found = count_pairs(ids, wrong=wrong)
        if "train_bpe-overwritten" in wrong:
            counts = Counter({**counts, **found})
            continue
        if "train_bpe-last-piece" in wrong:
            counts = Counter()
        for pair, count in found.items():
            counts[pair] += count * n_times
    return dict(counts)


def _best(counts: dict[Pair, int], merges: list[Pair], wrong: Wrong) -> Pair | None:
    """The pair to be merged next; dictionaries keep the order in which their keys came first."""
    if "train_bpe-ties-by-bytes" in wrong:
        tokens = _tokens(merges)
        return min(counts, key=lambda pair: (-counts[pair], tokens[pair[0]], tokens[pair[1]]), default=None)
    if "train_bpe-ties-to-larger" in wrong:
        return max(counts, key=lambda pair: (counts[pair], pair), default=None)
    if "train_bpe-ties-to-first" in wrong:
        return max(counts, key=lambda pair: counts[pair], default=None)
    if "train_bpe-ties-to-last" in wrong:
        return max(reversed(counts), key=lambda pair: counts[pair], default=None)
    if "train_bpe-ties-by-right" in wrong:
        return min(counts, key=lambda pair: (-counts[pair], pair[1], pair[0]), default=None)
    if "train_bpe-rarest-of-all" in wrong:
        return min(counts, key=lambda pair: (counts[pair], pair), default=None)
    if "train_bpe-rarest" in wrong:
        often = [pair for pair in counts if counts[pair] >= _least_count(wrong)]
        return min(often, key=lambda pair: (counts[pair], pair), default=None)
    if "train_bpe-smallest-pair" in wrong:
        return min((pair for pair in counts if counts[pair] >= _least_count(wrong)), default=None)
    return min(counts, key=lambda pair: (-counts[pair], pair), default=None)


def _tokens(merges: list[Pair]) -> list[bytes]:
    tokens = [bytes([byte]) for byte in range(256)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def _returned(merges: list[Pair], chunks: Chunks, first_id: int, wrong: Wrong) -> Any:
    if "train_bpe-reversed" in wrong:
        return merges[::-1]
    if "train_bpe-sorted" in wrong:
        return sorted(merges)
    if "train_bpe-dictionary" in wrong:
        return {pair: first_id + i for i, pair in enumerate(merges)}
    if "train_bpe-ids-to-pairs" in wrong:
        return {first_id + i: pair for i, pair in enumerate(merges)}
    if "train_bpe-with-ids" in wrong:
        return [(pair, first_id + i) for i, pair in enumerate(merges)]
    if "train_bpe-byte-strings" in wrong:
        tokens = _tokens(merges)
        return [(tokens[left], tokens[right]) for left, right in merges]
    if "train_bpe-new-ids" in wrong:
        return [first_id + i for i in range(len(merges))]
    if "train_bpe-encoded-text" in wrong:
        return [one for ids, _ in chunks for one in ids]
    return merges


# --- cases ------------------------------------------------------------------------------------------------------------


def cases(draw: Draw) -> Iterator[Case]:
    """By hand: what is merged, ties, when it ends; then patterns, other scripts, random texts."""
    most = "the most frequent pair comes first"
    yield case(most, "abab", 257)
    yield case(most, "xyzabab", 257)
    yield case(most, "aaabdaaabac", 259)
    yield case(most, "low lower lowest, slow slower slowest", 266)
    yield case("merged tokens are merged again", "abcdabcdabcd", 260)
    yield case("merged tokens are merged again", "aaaaaaaa", 258)
    yield case("merged tokens are merged again", "hahahaha hahahaha", 270)
    yield from _ties(draw)
    yield from _ends(draw)
    yield from _with_pattern(draw)
    for text in ("你好 你好 你们好", "ééé été", "naïve Zoë, naïve Zoë", "🙂🙃🙂🙃 🙂🙃"):
        yield case("text is UTF-8 bytes", text, 256 + draw.randint(4, 12))
        yield case("text is UTF-8 bytes, with a pattern", text, 256 + draw.randint(4, 12), GPT2_PATTERN)
    for letters, n_words, n_merges in (
        ("ab", 12, 6),
        ("abc", 20, 9),
        ("abcd ", 15, 12),
        ("Aab  ", 25, 10),
        ("éa", 9, 7),
    ):
        yield case("any text", _words(draw, letters, n_words), 256 + n_merges)
        yield case("any text, with a pattern", _words(draw, letters, n_words), 256 + n_merges, GPT2_PATTERN)
    yield edge("without text there is nothing to learn", "", 260)
    yield edge("without text there is nothing to learn", "a", 260)
    yield edge("without text there is nothing to learn", "", 260, WORDS)
    yield edge("pattern given by name", "ab ab abab", vocab_size=258, pattern=r"\S+|\s+")


def _words(draw: Draw, letters: str, n_words: int) -> str:
    """Words of up to five letters, of which some come again and again."""
    known = ["".join(draw.choices(letters, k=draw.randint(1, 5))) for _ in range(4)]
    return " ".join(draw.choice(known) for _ in range(n_words))


def _ties(draw: Draw) -> Iterator[Case]:
    """Texts in which several pairs are equally frequent."""
    ties = "of equally frequent pairs the smaller one comes first"
    for text in ("cdcd abab", "abab cdcd", "azaz baba", "baba azaz", "abacab", "bbaabb"):
        yield case(ties, text, 257)
        yield case(ties, text, 259)
    yield case(ties, "abcb abcb", 259)
    yield case(ties, "abxabx cdxcdx xycd", 262)
    for _ in range(4):
        pairs = ["".join(draw.sample("abcdefgh", 2)) * 2 for _ in range(4)]
        yield case(ties, " ".join(pairs), 258)
    yield case(ties, "".join(draw.choices("abc", k=25)), 262)


def _ends(draw: Draw) -> Iterator[Case]:
    """Where the vocabulary is full, or nothing is left that occurs twice."""
    full = "vocab_size counts the 256 bytes too"
    text = "abababab cdcdcd efef"
    for vocab_size in (256, 257, 258, 259):
        yield case(full, text, vocab_size)
    enough = "it ends when no pair occurs twice"
    for text in ("abcdef", "abab", "abcabc", "aa", "aaa", "ababab"):
        yield case(enough, text, 300)
    yield case(enough, "".join(draw.choices("abcdefg", k=20)), 300)
    yield case(enough, "one two one", 300, WORDS)


def _with_pattern(draw: Draw) -> Iterator[Case]:
    """Patterns that match the whole text."""
    borders = "no merge crosses the border of a match"
    yield case(borders, "a b a b a b", 257, r"\S+|\s+")
    yield case(borders, "ab ab ab", 260, WORDS)
    yield case(borders, "xa bx xa bx a b a b a b", 262, r" ?\S+|\s+")
    yield case(borders, "aaaa", 258, r"[\s\S]")
    yield case(borders, "aabbaabb", 258, r"a+|b+")
    yield case(borders, "Hello hello, hello world! It's 2024, it's 2025.", 268, GPT2_PATTERN)
    yield case(borders, "  two  spaces   two  spaces\n\n", 266, GPT2_PATTERN)
    added = "the counts of all pieces are added up"
    yield case(added, "ab ab ab cdcd", 257, WORDS)
    yield case(added, "cdcd ab ab ab", 257, WORDS)
    yield case(added, "ab abab ab cdcdcd", 258, WORDS)
    yield case(added, "abc abc abd abd xbc xbc xbc", 259, WORDS)
    for letters in ("ab", "abc", "abcde"):
        yield case(added, _words(draw, letters, 14), 262, WORDS)
        yield case(borders, _words(draw, letters, 14), 262, r"\S+\s*|\s+")


EXAMPLE_SIZE = "vocab_size = 296"


def example() -> Call:
    """A larger one, for the time it takes."""
    return Call((_words(Draw(0), "abcdefgh", 500), 296))
