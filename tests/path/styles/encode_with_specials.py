"""Right in unusual ways. What is not special is left to the library's bpe_encode."""

from __future__ import annotations

from collections.abc import Collection

import regex

from groundup.text.bpe import bpe_encode

Pair = tuple[int, int]


def encode_with_specials_by_searching(
    text: str,
    merges: list[Pair],
    specials: dict[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
) -> list[int]:
    ids: list[int] = []
    start = i = 0
    by_length = sorted(set(specials) & set(allowed), key=lambda special: -len(special))
    while i < len(text):
        special = next((special for special in by_length if text.startswith(special, i)), None)
        if special is None:
            i += 1
            continue
        ids += [*bpe_encode(text[start:i], merges, pattern), specials[special]]
        start = i = i + len(special)
    return ids + bpe_encode(text[start:], merges, pattern)


def encode_with_specials_recursively(
    text: str,
    merges: list[Pair],
    specials: dict[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
) -> list[int]:
    # The longest special string cuts the whole text, then the next one what is left of it.
    if not text:
        return []
    left = [special for special in specials if special in allowed]
    if not left:
        return bpe_encode(text, merges, pattern)
    longest = max(left, key=len)
    rest = set(left) - {longest}
    ids: list[int] = []
    for i, part in enumerate(text.split(longest)):
        ids += [specials[longest]] * (i > 0)
        ids += encode_with_specials_recursively(part, merges, specials, rest, pattern)
    return ids


def encode_with_specials_by_finditer(
    text: str,
    merges: list[Pair],
    specials: dict[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
) -> tuple[int, ...]:
    names = sorted((special for special in allowed if special in specials), key=len, reverse=True)
    either = "|".join(map(regex.escape, names)) or r"(?!)"
    ids: list[int] = []
    end = 0
    for match in regex.finditer(either, text):
        ids.extend(bpe_encode(text[end : match.start()], merges, pattern))
        ids.append(specials[match.group()])
        end = match.end()
    ids.extend(bpe_encode(text[end:], merges, pattern))
    return tuple(ids)


def encode_with_specials_with_marks(
    text: str,
    merges: list[Pair],
    specials: dict[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
) -> list[int]:
    # Each special string is first replaced by a character from the private area.
    marks: dict[str, int] = {}
    for i, special in enumerate(sorted(specials, key=len, reverse=True)):
        if special in allowed:
            marks[chr(0xE000 + i)] = specials[special]
            text = text.replace(special, chr(0xE000 + i))
    ids: list[int] = []
    for part in regex.split("([\ue000-\uf8ff])", text):
        ids += [marks[part]] if part in marks else bpe_encode(part, merges, pattern)
    return ids
