"""Right in unusual ways."""

from __future__ import annotations

import numpy as np

Pair = tuple[int, int]


def merge_pair_by_slices(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    out = list(ids)
    i = 0
    while i < len(out) - 1:
        if out[i : i + 2] == list(pair):
            out[i : i + 2] = [new_id]
        i += 1
    return out


def merge_pair_with_a_skip(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    out, skip = [], False
    for i, one in enumerate(ids):
        if skip:
            skip = False
        elif i + 1 < len(ids) and (one, ids[i + 1]) == pair:
            out.append(new_id)
            skip = True
        else:
            out.append(one)
    return out


def merge_pair_on_a_stack(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    stack: list[tuple[int, bool]] = []
    for one in ids:
        if stack and stack[-1] == (pair[0], False) and one == pair[1]:
            stack[-1] = (new_id, True)
        else:
            stack.append((one, False))
    return [one for one, _ in stack]


def merge_pair_recursively(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    for i in range(len(ids) - 1):
        if ids[i] == pair[0] and ids[i + 1] == pair[1]:
            return [*ids[:i], new_id, *merge_pair_recursively(ids[i + 2 :], pair, new_id)]
    return ids[:]


def merge_pair_by_an_iterator(ids: list[int], pair: Pair, new_id: int) -> tuple[int, ...]:
    def merged():
        rest = iter(ids)
        one = next(rest, None)
        while one is not None:
            following = next(rest, None)
            if (one, following) == pair:
                yield new_id
                one = next(rest, None)
            else:
                yield one
                one = following

    return tuple(merged())


def merge_pair_in_a_text_of_characters(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    # Each id is one character, and str.replace goes from left to right without overlap.
    text = "".join(map(chr, ids)).replace(chr(pair[0]) + chr(pair[1]), chr(new_id))
    return [ord(character) for character in text]


def merge_pair_in_numpy(ids: list[int], pair: tuple[int, int], new_id: int) -> np.ndarray:
    row = np.array(ids, dtype=np.int64)
    kept = np.ones(len(row), dtype=bool)
    i = 0
    while i + 1 < len(row):
        if row[i] == pair[0] and row[i + 1] == pair[1]:
            row[i], kept[i + 1] = new_id, False
            i += 1
        i += 1
    return row[kept]
