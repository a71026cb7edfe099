"""After stage 1: the learner's tokenizer learns from real text, English and Chinese, or from a text of their own.

The same functions meet two scripts. An English letter is one byte in UTF-8 and most words are frequent, so merges
soon make words; a Chinese character is three bytes, and the first merges do no more than put characters together again.
A tokenizer that learnt from one of them has nothing to offer to the other: how many bytes a token stands for shows it.

Read next: `reversal.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...text.bpe import N_BYTES
from ...text.corpus import packaged
from ...text.patterns import GPT2_PATTERN

Function = Callable[..., Any]

USED = ("train_bpe", "bpe_encode", "bpe_decode")
MERGES = 300
LEARNT_BYTES = 24_000  # of text: the plain algorithm reads all of it for every merge
SENTENCES = {
    "english": "The tokenizer cuts this sentence into the pieces that it has learnt.",
    "chinese": "分词器把这句话切成它学到的片段。",
}


@dataclass(frozen=True)
class Cut:
    """What a tokenizer that learnt from one text does with a sentence."""

    learnt_from: str
    n_merges: int
    seconds: float
    longest: list[str]  # of the tokens that it learnt
    bytes_per_token: dict[str, float]  # of each sentence
    pieces: dict[str, list[str]]
    same: bool  # whether decoding gives every sentence back


def texts(own: Mapping[str, str]) -> dict[str, str]:
    """What is learnt from: English, Chinese, and the learner's own text where there is one."""
    known = {"english": packaged("the-verdict").train, "chinese": packaged("chinese").train} | dict(own)
    return {name: first_bytes(text, LEARNT_BYTES) for name, text in known.items()}


def first_bytes(text: str, n: int) -> str:
    """The text's beginning, of at most n bytes."""
    return text.encode("utf-8")[:n].decode("utf-8", errors="ignore")


def learn_to_cut(parts: Callable[[str], Function], name: str, text: str, sentences: Mapping[str, str]) -> Cut:
    """Let the learner's functions learn merges from a text, and cut the sentences. parts: a part by its name."""
    train_bpe, bpe_encode, bpe_decode = (parts(one) for one in USED)
    began = time.perf_counter()
    merges = train_bpe(text, N_BYTES + MERGES, GPT2_PATTERN)
    seconds = time.perf_counter() - began
    ids = {key: bpe_encode(sentence, merges, GPT2_PATTERN) for key, sentence in sentences.items()}
    tokens = spelt(merges)
    return Cut(
        learnt_from=name,
        n_merges=len(merges),
        seconds=seconds,
        longest=sorted((token for token in tokens[N_BYTES:] if "\\x" not in token), key=len, reverse=True)[:8],
        bytes_per_token={key: len(sentences[key].encode()) / max(len(ids[key]), 1) for key in sentences},
        pieces={key: [tokens[token] for token in ids[key]] for key in sentences},
        same=all(bpe_decode(ids[key], merges) == sentences[key] for key in sentences),
    )


def spelt(merges: Sequence[Sequence[int]]) -> list[str]:
    r"""The text of every token; bytes that are no character by themselves are written as \xe5."""
    tokens = [bytes([byte]) for byte in range(N_BYTES)]
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return [token.decode("utf-8", errors="backslashreplace") for token in tokens]
