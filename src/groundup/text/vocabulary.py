"""The vocabulary: what each id stands for, and the merges that lead there.

    0 … 255     the bytes
    256 …       one id for each merge, in the order in which they were learnt
    then        special tokens, which only their exact name stands for

is the order of the vocabularies that are trained here. Others number their ids differently, so nothing below relies on
it. Tokens are bytes, but files hold characters. GPT-2's way out is an alphabet of 256 visible characters, one for each
byte: a space is written Ġ, a newline Ċ, and a token is a short string that can be read.

Read next: `tokenizer_json.py`, the file that holds a vocabulary.
Source: Radford et al. 2019 (GPT-2), the code's alphabet.
"""

from __future__ import annotations

import lzma
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bpe import N_BYTES, Pair
from .patterns import DATA

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Vocabulary:
    """All that decides which ids a text has: two equal vocabularies encode alike."""

    tokens: tuple[bytes, ...]  # what each id stands for
    merges: tuple[Pair, ...]  # pairs of ids, the first learnt first
    specials: Mapping[str, int]
    pattern: str  # a name in patterns.PATTERNS

    def ordinary_ids(self) -> dict[bytes, int]:
        """The id of each token that is not special."""
        special_ids = set(self.specials.values())
        return {token: i for i, token in enumerate(self.tokens) if i not in special_ids}

    def problem(self) -> str | None:
        """The first thing that is wrong with it, or None."""
        ordinary = self.ordinary_ids()
        if len(ordinary) + len(self.specials) < len(self.tokens):
            twice = next(token for i, token in enumerate(self.tokens) if ordinary.get(token, i) != i)
            return f"the token {shown(twice)} has more than one id"
        for byte in range(N_BYTES):
            if bytes([byte]) not in ordinary:
                return f"no id stands for the byte 0x{byte:02x}"
        for special in self.specials:
            if not special or from_shown(special) in ordinary:
                return f"the special token {special!r} is empty, or an ordinary token is written like it"
        seen: set[Pair] = set()
        for number, (left, right) in enumerate(self.merges, start=1):
            for part in (self.tokens[left], self.tokens[right], self.tokens[left] + self.tokens[right]):
                if part not in ordinary:
                    return f"merge {number} has {shown(part)}, which is no ordinary token of the vocabulary"
            if (left, right) in seen:
                return f"merge {number} stands in the list twice"
            seen.add((left, right))
        return None


def trained_vocabulary(merges: Sequence[Pair], specials: Sequence[str], pattern: str) -> Vocabulary:
    """The vocabulary of freshly learnt merges: bytes, merges, special tokens."""
    tokens = [bytes([byte]) for byte in range(N_BYTES)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    ids = {special: len(tokens) + i for i, special in enumerate(specials)}
    tokens += [special.encode("utf-8") for special in specials]
    return Vocabulary(tuple(tokens), tuple(merges), ids, pattern)


def gpt2_vocabulary() -> Vocabulary:
    """GPT-2's 50,257 ids, from the 50,000 merges that come with the package."""
    # GPT-2 numbers the bytes by their characters in the alphabet, so the visible ones come first.
    names = sorted(ALPHABET)
    ids = {name: i for i, name in enumerate(names)}
    merges: list[Pair] = []
    for line in lzma.decompress((DATA / "gpt2-merges.txt.xz").read_bytes()).decode("utf-8").splitlines():
        left, right = line.split(" ")
        merges.append((ids[left], ids[right]))
        ids[left + right] = len(names)
        names.append(left + right)
    tokens = [bytes(map(BYTE_OF.__getitem__, name)) for name in names]
    return Vocabulary((*tokens, END_OF_TEXT.encode()), tuple(merges), {END_OF_TEXT: len(tokens)}, "gpt2")


def byte_alphabet() -> str:
    """The character that stands for each byte: itself where it is visible, otherwise the next one from 256 up."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(N_BYTES, 2 * N_BYTES))
    return "".join(chr(byte if byte in visible else next(others)) for byte in range(N_BYTES))


ALPHABET = byte_alphabet()
BYTE_OF = {character: byte for byte, character in enumerate(ALPHABET)}


def shown(token: bytes) -> str:
    """A token written in the alphabet."""
    return "".join(map(ALPHABET.__getitem__, token))


def from_shown(name: str) -> bytes | None:
    """The token that is written `name`, or None if a character of it is not in the alphabet."""
    return bytes(map(BYTE_OF.__getitem__, name)) if BYTE_OF.keys() >= set(name) else None
