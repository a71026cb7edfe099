"""Right in unusual ways."""

from __future__ import annotations

import functools
import itertools
import operator

import numpy as np


def pack_documents_by_a_buffer(documents: list[list[int]], eos_id: int, block: int) -> list[list[int]]:
    blocks: list[list[int]] = []
    buffer: list[int] = []
    for document in documents:
        for one in [*document, eos_id]:
            buffer.append(one)
            if len(buffer) == block:
                blocks.append(buffer)
                buffer = []
    return blocks


def pack_documents_by_an_iterator(documents: list[list[int]], eos_id: int, block: int) -> list[tuple[int, ...]]:
    row = itertools.chain.from_iterable(itertools.chain(document, [eos_id]) for document in documents)
    return list(zip(*[row] * block, strict=False))


def pack_documents_by_index(documents: list[list[int]], eos_id: int, block: int) -> tuple[list[int], ...]:
    row = functools.reduce(operator.add, ([*document, eos_id] for document in documents), [])
    n_blocks = len(row) // block
    return tuple([row[i * block + j] for j in range(block)] for i in range(n_blocks))


def pack_documents_from_what_is_left(documents: list[list[int]], eos_id: int, block: int) -> list[list[int]]:
    row: list[int] = []
    blocks: list[list[int]] = []
    for document in documents:
        row = row + document
        row.append(eos_id)
        while len(row) >= block:
            blocks.append(row[:block])
            del row[:block]
    return blocks


def pack_documents_all_then_the_full_ones(documents: list[list[int]], eos_id: int, block: int) -> list[list[int]]:
    row = [one for document in documents for one in (*document, eos_id)]
    pieces = [row[start : start + block] for start in range(0, len(row), block)]
    return [piece for piece in pieces if len(piece) == block]


def pack_documents_in_numpy(documents: list[list[int]], eos_id: int, block: int) -> np.ndarray:
    row = [token for document in documents for token in (*document, eos_id)]
    n = len(row) // block
    return np.array(row[: n * block], dtype=int).reshape(n, block)
