"""What stages have to tell, in words that a face may translate."""

from __future__ import annotations

from groundup.report import Sentence


def test_a_sentence_is_its_english_text_and_can_be_said_in_another_language() -> None:
    sentence = Sentence("{steps:,} steps in {path}", steps=1380, path="{a}")
    assert sentence == "1,380 steps in {a}"  # braces in a value are no fields
    assert sentence.translated({"{steps:,} steps in {path}": "{path}：{steps:,} 步"}.__getitem__) == "{a}：1,380 步"
