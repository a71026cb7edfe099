"""Right in unusual ways."""

from __future__ import annotations

import codecs

Pair = tuple[int, int]


def bpe_decode_recursively(ids: list[int], merges: list[Pair]) -> str:
    def spelt(one: int) -> bytes:
        if one < 256:
            return bytes([one])
        left, right = merges[one - 256]
        return spelt(left) + spelt(right)

    return b"".join(spelt(one) for one in ids).decode(errors="replace")


def bpe_decode_by_undoing_merges(ids: list[int], merges: list[Pair]) -> str:
    row = list(ids)
    for new_id in reversed(range(256, 256 + len(merges))):
        row = [half for one in row for half in (merges[new_id - 256] if one == new_id else [one])]
    return bytearray(row).decode("utf-8", "replace")


def bpe_decode_on_a_stack(ids: list[int], merges: list[Pair]) -> str:
    found, stack = bytearray(), list(reversed(ids))
    while stack:
        one = stack.pop()
        if one > 255:
            stack += reversed(merges[one - 256])
        else:
            found.append(one)
    return str(found, "utf-8", "replace")


def bpe_decode_piece_by_piece(ids: list[int], merges: list[Pair]) -> str:
    vocabulary = {i: bytes((i,)) for i in range(256)}
    for i, pair in enumerate(merges):
        vocabulary[256 + i] = vocabulary[pair[0]] + vocabulary[pair[1]]
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return "".join(decoder.decode(vocabulary[one]) for one in ids) + decoder.decode(b"", final=True)
