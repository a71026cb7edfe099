"""Wrong implementations of train_bpe as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import regex as re
def train_bpe(text, vocab_size, pattern=None):
    chunks = re.findall(pattern, text) if pattern else [text]
    chunks = [list(c.encode("utf-8")) for c in chunks]
    merges = []
    for new_id in range(256, vocab_size):
        counts = {}
        for c in chunks:
            for p in zip(c, c[1:]):
                counts[p] = counts.get(p, 0) + 1
        if not counts:
            break
        best = max(counts, key=counts.get)
        if counts[best] < 2:
            break
        new = []
        for c in chunks:
            o, i = [], 0
            while i < len(c):
                if i < len(c) - 1 and (c[i], c[i+1]) == best:
                    o.append(new_id); i += 2
                else:
                    o.append(c[i]); i += 1
            new.append(o)
        chunks = new
        merges.append(best)
    return merges
""",
        "seen first",
    ),
    (
        """
import regex
from collections import Counter
def _merge(w, pair, new):
    o, i = [], 0
    while i < len(w):
        if i + 1 < len(w) and (w[i], w[i+1]) == pair:
            o.append(new); i += 2
        else:
            o.append(w[i]); i += 1
    return o
def train_bpe(text, vocab_size, pattern=None):
    words = [[ord(c) for c in text]]
    merges = []
    for new_id in range(256, vocab_size):
        counts = Counter()
        for w in words:
            counts.update(zip(w, w[1:]))
        if not counts:
            break
        best = min(counts, key=lambda p: (-counts[p], p))
        if counts[best] < 2:
            break
        words = [_merge(w, best, new_id) for w in words]
        merges.append(best)
    return merges
""",
        "pattern is ignored.*code points|code points.*pattern is ignored",
    ),
]
