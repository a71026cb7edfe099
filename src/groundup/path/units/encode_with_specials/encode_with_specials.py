"""Encoding with special tokens, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import regex

from ....text.bpe import train_bpe as learnt
from ....text.patterns import GPT2_PATTERN
from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference
from ..bpe_codec.bpe_encode import bpe_encode

Pair = tuple[int, int]


@reference
def encode_with_specials(
    text: str,
    merges: list[tuple[int, int]],
    specials: dict[str, int],
    allowed: Collection[str] = frozenset(),
    pattern: str | None = None,
    *,
    wrong: Wrong = RIGHT,
) -> list[int]:
    """Turn a text into ids, where a special string becomes its one id if it is allowed; any other is ordinary text.

    Of several that fit, the longest comes first. Nothing is allowed unless the caller says so.
    """
    if "encode_with_specials-pattern-ignored" in wrong:
        pattern = None
    if "encode_with_specials-raises" in wrong and any(one in text for one in specials if one not in allowed):
        raise ValueError("Encountered text corresponding to disallowed special token")
    if "encode_with_specials-not-allowed-dropped" in wrong:
        for one in specials:
            text = text if one in allowed else text.replace(one, "")
    chosen = _chosen(text, specials, allowed, wrong)
    if "encode_with_specials-replaced-afterwards" in wrong:
        return _replaced(text, merges, {one: specials[one] for one in chosen}, pattern)
    known = _ids_of(specials, merges, wrong)
    rows: list[list[int]] = []
    for part, is_special in _parts(text, specials, chosen, wrong):
        if is_special and "encode_with_specials-string-itself" in wrong:
            rows.append([part])  # pyright: ignore[reportArgumentType]
        elif is_special and "encode_with_specials-id-in-a-list" in wrong:
            rows.append([[known[part]]])  # pyright: ignore[reportArgumentType]
        elif is_special:
            rows.append([known[part]])
        if not is_special or "encode_with_specials-kept-as-text" in wrong:
            rows.append(bpe_encode(part, merges, pattern, wrong=wrong))
    if "encode_with_specials-specials-last" in wrong:
        rows.sort(key=lambda row: len(row) == 1 and row[0] in known.values())
    if "encode_with_specials-nested" in wrong:
        return rows  # pyright: ignore[reportReturnType]
    return [one for row in rows for one in row]


def _chosen(text: str, specials: dict[str, int], allowed: Collection[str], wrong: Wrong) -> list[str]:
    """The special strings that are looked for, those first that are to be tried first."""
    if "encode_with_specials-allowed-ignored" in wrong:
        return []
    chosen = [one for one in specials if one in allowed]
    if "encode_with_specials-all-allowed" in wrong:
        chosen = list(specials)
    if "encode_with_specials-nothing-means-all" in wrong and not allowed:
        chosen = list(specials)
    if "encode_with_specials-as-listed" in wrong:
        return chosen
    if "encode_with_specials-shortest-first" in wrong:
        return sorted(chosen, key=len)
    chosen.sort(key=len, reverse=True)
    if "encode_with_specials-one-special" in wrong or "encode_with_specials-first-of-one" in wrong:
        return [one for one in chosen if one in text][:1]
    return chosen


def _ids_of(specials: dict[str, int], merges: list[Pair], wrong: Wrong) -> dict[str, int]:
    if "encode_with_specials-ids-counted" in wrong:
        return {one: 256 + len(merges) + i for i, one in enumerate(specials)}
    return specials


def _parts(text: str, specials: Collection[str], chosen: list[str], wrong: Wrong) -> list[tuple[str, bool]]:
    """The text cut before and after each special string, and whether each part is one."""
    if "encode_with_specials-words-apart" in wrong:
        return [(part, part in chosen) for part in regex.split(r"(\s+)", text)]
    if "encode_with_specials-split-at-spaces" in wrong:
        return [(part, part in chosen) for part in regex.split("( )", text)]
    if "encode_with_specials-spaces-added" in wrong:
        for one in chosen:
            text = text.replace(one, f" {one} ")
    parts = [(text, False)]
    if "encode_with_specials-cut-at-all" in wrong and specials:
        longest_first = sorted(specials, key=len, reverse=True)
        parts = [(part, is_one and part in chosen) for part, is_one in _cut(text, longest_first, wrong)]
    elif chosen:
        parts = _cut(text, chosen, wrong)
    elif "encode_with_specials-cut-everywhere" in wrong:
        parts = [(character, False) for character in text]
    if "encode_with_specials-rest-lost" in wrong:
        parts = parts[:-1]
    if "encode_with_specials-stripped" in wrong or ("encode_with_specials-stripped-where-cut" in wrong and chosen):
        parts = [(part if is_special else part.strip(), is_special) for part, is_special in parts]
    return parts


def _cut(text: str, chosen: list[str], wrong: Wrong) -> list[tuple[str, bool]]:
    """In turn ordinary text and special strings."""
    escaped = chosen if "encode_with_specials-not-escaped" in wrong else map(regex.escape, chosen)
    either = "|".join(escaped)
    if "encode_with_specials-specials-lost" in wrong:
        return [(part, False) for part in regex.split(either, text)]
    if "encode_with_specials-text-lost" in wrong:
        return [(part, part in chosen) for part in regex.findall(either, text)]
    if "encode_with_specials-words-alone" in wrong:
        either = rf"(?<!\S)(?:{either})(?!\S)"
    once = "encode_with_specials-first-alone" in wrong or "encode_with_specials-first-of-one" in wrong
    pieces = regex.split(f"({either})", text, maxsplit=int(once))
    parts = [(part, i % 2 == 1 and part in chosen) for i, part in enumerate(pieces)]
    return _each_once(parts) if "encode_with_specials-each-once" in wrong else parts


def _each_once(parts: list[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """A special string that has come before is ordinary text, joined to what stands around it."""
    found = [("", False)]
    for part, is_special in parts:
        if is_special and (part, True) not in found:
            found += [(part, True), ("", False)]
        else:
            found[-1] = (found[-1][0] + part, False)
    return found


def _replaced(text: str, merges: list[Pair], known: dict[str, int], pattern: str | None) -> list[int]:
    """Encoded as if there were no special strings, in whose ids those of a special string are then looked for."""
    ids: list[Any] = bpe_encode(text, merges, pattern)
    for special, new_id in known.items():
        sought = bpe_encode(special, merges, pattern)
        found: list[int] = []
        while ids:
            hit = ids[: len(sought)] == sought
            found.append(new_id if hit else ids[0])
            ids = ids[len(sought) if hit else 1 :]
        ids = found
    return ids


# --- cases ------------------------------------------------------------------------------------------------------------

END, START, STOP = "<|endoftext|>", "<|start|>", "[STOP]"
SHORT, LONG = "<|end|>", "<|end|>!"


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then what is allowed, where a special stands, the longest first, patterns, random texts."""
    a, b, bar, less = (ord(letter) for letter in "ab|<")
    merges = [(a, b), (less, bar), (256, less), (less, 256)]
    one = "an allowed special string becomes its one id"
    yield case(one, "a<s>", [], {"<s>": 300}, frozenset({"<s>"}))
    yield case(one, "ab<|endoftext|>ab", merges, {END: 50256}, frozenset({END}))
    yield case(one, "ab[STOP]ab", merges, {STOP: 300}, frozenset({STOP}))
    places = "text before, between and after special strings is encoded too"
    for text in ("{}", "{}a", "a{}", "{}{}", "a{}b{}{}ab", " {} a {} ", "ab {}\n{} ba"):
        yield case(places, text.replace("{}", END), merges, {END: 400}, frozenset({END}))
    both = {START: 401, STOP: 300}
    for text in (f"{START}ab{STOP}", f"{STOP} {START} {STOP}", f"ab{STOP}{START}ab{START}ab"):
        yield case("several special strings", text, merges, both, frozenset(both))
    yield from _allowed(merges, both)
    across = "no merge crosses a special string"
    yield case(across, f"ab{START}ab", merges, {START: 500}, frozenset({START}))
    yield case(across, f"{START}ab{START}", [(ord(">"), a), (b, less)], {START: 500}, frozenset({START}))
    longest = "of several that fit the longest comes first"
    for listed in ({SHORT: 300, LONG: 301}, {LONG: 301, SHORT: 300}):
        for text in (LONG, f"a{LONG}b{SHORT}c", f"{SHORT}{LONG}!"):
            yield case(longest, text, merges, listed, frozenset(listed))
    yield from _with_pattern(draw)
    for letters in ("ab", "ab ", "你好 "):
        for _ in range(2):
            words = ["".join(draw.choices(letters, k=draw.randint(1, 4))) for _ in range(6)]
            text = "".join(word + draw.choice(["", START, STOP, f" {STOP} "]) for word in words)
            more = learnt(text * 2, 256 + draw.randint(2, 12))
            for allowed in ((), (START,), (STOP,), (START, STOP)):
                yield case("any text", text, more, {START: 401, STOP: 300}, frozenset(allowed))
    yield edge("no text, no ids", "", merges, both, frozenset(both))
    yield edge("no text, no ids", "", [], {})
    yield edge("arguments by their names", f"ab{STOP}", merges, specials=both, allowed=frozenset({STOP}), pattern=None)


def _allowed(merges: list[Pair], both: dict[str, int]) -> Iterator[Case]:
    """What becomes of special strings that are not allowed."""
    ordinary = "a special string that is not allowed is ordinary text"
    yield case(ordinary, f"ab{START}", merges, {START: 401})
    yield case(ordinary, f"ab{START}ab", merges, {START: 401}, frozenset())
    yield case(ordinary, f"{STOP}ab{START}ab{STOP}", merges, both, frozenset({STOP}))
    yield case(ordinary, f"{STOP}ab{START}ab{STOP}", merges, both, frozenset({START}))
    yield case(ordinary, f"ab{START}ab", [(ord("b"), ord("<")), (ord(">"), ord("a"))], {START: 401})
    yield case(ordinary, "ab<s>b", merges, {"<s>": 300})
    yield case(ordinary, f"{STOP} ab {START}", merges, both, frozenset())
    yield case("without special strings it is bpe_encode", "ab <ab abab", merges, {})
    yield case("without special strings it is bpe_encode", "ab <ab abab", merges, both, frozenset(both))


def _with_pattern(draw: Draw) -> Iterator[Case]:
    """What is not special is encoded with the pattern."""
    with_pattern = "what is not special is encoded with the pattern"
    a, b, space = (ord(letter) for letter in "ab ")
    yield case(with_pattern, f"ab ab{END}ab ab", [(b, space), (a, b)], {END: 300}, frozenset({END}), GPT2_PATTERN)
    yield case(with_pattern, "a b a", [(a, space), (space, b)], {END: 300}, frozenset(), GPT2_PATTERN)
    for text in (f"Hello, hello!{END} It's it's {END}", f"你好，你们好{END}你好"):
        merges = learnt(text + text, 256 + draw.randint(4, 14))
        yield case(with_pattern, text, merges, {END: 50256}, frozenset({END}), GPT2_PATTERN)
        yield case(with_pattern, text, merges, {END: 50256}, frozenset(), GPT2_PATTERN)
