"""Encoding on several cores: pieces of text go round to helper processes, and their ids come back in order.

Read next: `shards.py`, where the ids are kept.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tokenizer import Tokenizer
from .tokenizer_json import Reader
from .workers import Answer, Work, helpers, in_order, n_cores, serve

Ids = NDArray[Any]

BATCH = 1 << 18  # characters that go to a helper at once
BULK = 1 << 24  # characters that are worth the start of helpers, which takes as long as encoding some megabytes


def dtype_of(vocab_size: int) -> str:
    """The smallest kind of number that holds every id."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def encode_texts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Ids]:
    """The ids of each text."""
    kind = dtype_of(tokenizer.vocab_size)
    return [np.array(tokenizer.encode(text), dtype=kind) for text in texts]


def encode_batch(tokenizer: Tokenizer, texts: Sequence[str], n_workers: int | None = None) -> list[list[int]]:
    """The ids of each text as lists. n_workers: helper processes; None: one for each core, where that pays."""
    if n_workers is None:
        n_workers = n_cores() if n_cores() > 1 and sum(map(len, texts)) >= BULK else 0
    if n_workers == 0:
        return [tokenizer.encode(text) for text in texts]
    with encoders(tokenizer, n_workers) as encode:
        return [array.tolist() for _, ids in encode(batches_of(texts), list) for array in ids]


def batches_of(texts: Iterable[str]) -> Iterator[list[str]]:
    """The texts, as many together as are worth a question."""
    batch, size = list[str](), 0
    for text in texts:
        batch.append(text)
        size += len(text) + 100  # a thousand empty texts are some work too
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@contextlib.contextmanager
def encoders(tokenizer: Tokenizer, n_workers: int) -> Generator[Callable[..., Any]]:
    """A function (works, texts_of) -> (work, ids of its texts) of each, in the order of the works.

    Few works are taken before the first of them is given back; without helpers one.
    """
    if n_workers == 0:

        def encode_here(works: Iterable[Work], texts_of: Callable[[Work], Sequence[str]]) -> Iterator[Any]:
            return ((work, encode_texts(tokenizer, texts_of(work))) for work in works)

        yield encode_here
        return
    kind = dtype_of(tokenizer.vocab_size)
    with helpers(__name__, tokenizer.to_json().encode(), n_workers) as ask:

        def encode_all(works: Iterable[Work], texts_of: Callable[[Work], Sequence[str]]) -> Iterator[Any]:
            def encode(work: Work) -> list[Ids]:
                texts = list(texts_of(work))
                try:
                    question = json.dumps(texts, ensure_ascii=False).encode()
                except UnicodeEncodeError:
                    return encode_texts(tokenizer, texts)  # which tells what is wrong, and where
                return unpacked(ask(question), len(texts), kind)

            return in_order(works, encode, n_workers)

        yield encode_all


def packed(arrays: Sequence[Ids]) -> bytes:
    """The lengths of some arrays, and then the arrays."""
    lengths = np.array([len(array) for array in arrays], dtype=np.uint64)
    return b"".join([lengths.tobytes(), *(array.tobytes() for array in arrays)])


def unpacked(message: bytes, n_arrays: int, kind: str) -> list[Ids]:
    """The inverse of `packed`."""
    if n_arrays == 0:
        return []
    lengths = np.frombuffer(message, dtype=np.uint64, count=n_arrays)
    ids = np.frombuffer(message, dtype=kind, offset=lengths.nbytes)
    return np.split(ids, np.cumsum(lengths)[:-1].astype(np.int64))


def main() -> None:
    """A helper's work."""

    def make(first: bytes) -> Answer:
        tokenizer = Tokenizer(Reader("the tokenizer of a helper process").vocabulary(first))
        return lambda question: packed(encode_texts(tokenizer, json.loads(question)))

    serve(make)
