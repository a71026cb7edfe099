"""Texts that are hard to cut: what people write, and what they do not."""

from __future__ import annotations

from hypothesis import strategies as st

SNIPPETS = [
    # words and numbers
    "The quick brown fox", "I'll we've THEY'RE he'd it's", " don't", "3.14159 1,000,000 ½ Ⅷ ٣٤٥ 二〇二六",
    "滚滚长江东逝水，浪花淘尽英雄。", "紅樓夢「好了歌」", "ひらがな カタカナ", "한국어", "हिन्दी", "ไทย", "שלום",
    "def f(x):\n    return x ** 2\n", "for(i=0;i<10;i++){\r\n\t}", "...!?\n\n", "<|endoftext|>",
    # characters made of several: emoji, combining marks
    "😀\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308\U0001f1e8\U0001f1f3", "e\u0301\u0302 a\u0301\u0301 ñ",
    # invisible ones
    "\x00\x01\x1b[31m\x7f\x85", "\u200b\u200d\ufeff\u2028\u2029", " \t\n\r\x0b\x0c\xa0\u1680\u2003\u202f\u3000",
    "\x1c\x1d\x1e\x1f", "\u180e", "\r\n\r\n", "   \n  x",
    # unassigned, private, assigned since Unicode 17, and letters and numbers above U+FFFF
    "\u0378\U000e0fff\U0010ffff\ue000", "\u088f\U00010940\U00018e00\U0003d000\U00011de0", "𠀀𝟘𝒜",
    # what ignoring case does
    "'ſ 'S 'Ll 'RE", "ŉ ß \ufb06 \ufb00 \u212a",
]  # fmt: skip

# Most of a text is made of the snippets or of their characters; single characters of every kind come between.
texts = st.lists(
    st.one_of(
        st.sampled_from(SNIPPETS),
        st.sampled_from(sorted(set("".join(SNIPPETS)))),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=12,
).map("".join)
