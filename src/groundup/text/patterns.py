"""How text is cut before BPE: merges stay inside a piece, so that no token joins the end of one word to the next.

A pattern names the kinds of pieces: a word with the space before it, a number, a run of signs, white space. GPT-2's
and GPT-4's are given twice. As the book writes them they are texts for the `regex` package, and `train_bpe` and
`bpe_encode` take them. But what is a letter? `regex` follows the newest Unicode version, and the `tokenizers` library
that serving engines use follows 16.0, so that thousands of characters fall on different sides. A tokenizer must cut a
text the same way everywhere and for ever, so `splitter` spells the classes out, from the table in
data/unicode-16.txt. It is also the faster one: Python's `re` looks a character up in a bit map.

Read next: `fast_bpe.py`, which learns and applies merges inside the pieces.
Source: Radford et al. 2019 (GPT-2), section 2.2; OpenAI's tiktoken, cl100k_base (GPT-4).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).with_name("data")

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT4_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {"gpt2": GPT2_PATTERN, "gpt4": GPT4_PATTERN}


@functools.cache
def splitter(name: str) -> Callable[[str], list[str]]:
    """The function that cuts a text into the pieces of a named pattern; joined, they are the text again."""
    # "Low" characters are the first 65,536. Python's `re` keeps no bit map for the "high" ones and tries range after
    # range, so they stand in sets of their own, which a look-ahead keeps it from trying on all the others.
    low_letters, high_letters = unicode_ranges("L")
    low_numbers, high_numbers = unicode_ranges("N")
    spaces = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"  # the property White_Space
    high = r"\U00010000-\U0010ffff"
    high_letter = f"(?=[{high}])[{high_letters}]"
    high_number = f"(?=[{high}])[{high_numbers}]"
    high_sign = f"(?=[{high}])[^{high_letters}{high_numbers}]"
    # The outer repeats give nothing back either, since nothing after them can fail. They may not say so: Python before
    # 3.11.5 matches a possessive repeat of a group wrongly (CPython issue 106052).
    letters = f"(?:[{low_letters}]++|{high_letter})+"
    numbers = f"(?:[{low_numbers}]++|{high_number})+"
    signs = f"(?:[^{spaces}{low_letters}{low_numbers}{high}]++|{high_sign})+"

    if name == "gpt2":
        kinds = ["'(?:[sdmt]|ll|ve|re)", f" ?{letters}", f" ?{numbers}", f" ?{signs}"]
    else:
        kinds = [
            "'(?:[sSſdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])",  # ignoring case, the long s of old print is an s
            rf"(?:[^\r\n{low_letters}{low_numbers}{high}]|{high_sign})?{letters}",
            f"(?:[{low_numbers}]|{high_number}){{1,3}}",
            rf" ?{signs}[\r\n]*",
            rf"[{spaces}]*[\r\n]+",
        ]
    # Of several spaces the last belongs to the word after them.
    kinds += [f"[{spaces}]+(?![^{spaces}])", f"[{spaces}]+"]
    return re.compile("|".join(kinds)).findall


@functools.cache
def end_of_word() -> re.Pattern[str]:
    """Finds a place where any text may be cut, whatever the pattern: after a letter that no letter follows, or a digit.

    A piece that holds a letter goes on only with letters, and one that holds a digit with digits; and nothing in such a
    piece or before it looks further than one character on. So the pieces of the two parts are those of the whole.
    """
    letters, numbers = ("".join(unicode_ranges(category)) for category in "LN")
    return re.compile(f"[{letters}](?![{letters}])|[{numbers}](?![{numbers}])")


def unicode_ranges(category: str) -> tuple[str, str]:
    """The characters of a category as the inside of a `re` set: the low ones, and the high ones from U+10000 up."""
    low, high = "", ""
    for line in (DATA / "unicode-16.txt").read_text("ascii").splitlines():
        name, *ranges = line.split(" ")
        if name != category:
            continue
        for first, _, last in (item.partition("-") for item in ranges):
            characters = rf"\U{first:0>8}-\U{last or first:0>8}"
            if len(first) <= 4:
                low += characters
            else:
                high += characters
    return low, high
