"""The chapter's door, and how little it loads."""

from __future__ import annotations

import subprocess
import sys


def test_a_tokenizer_works_without_torch():
    code = """
import sys
from groundup.text import Tokenizer, packaged
Tokenizer.train(packaged("the-verdict").train, 300).encode("a")
print([name for name in ("torch", "tokenizers", "tiktoken") if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
