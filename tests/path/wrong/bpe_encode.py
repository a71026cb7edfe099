"""Wrong implementations of bpe_encode as learners write them: (source, what must be named)."""

from __future__ import annotations

WRONG = [
    (
        """
import regex
def _merge(w, pair, new):
    o, i = [], 0
    while i < len(w):
        if i + 1 < len(w) and (w[i], w[i+1]) == pair:
            o.append(new); i += 2
        else:
            o.append(w[i]); i += 1
    return o
def bpe_encode(text, merges, pattern=None):
    ranks = {tuple(p): 256 + i for i, p in enumerate(merges)}
    out = []
    for piece in (regex.findall(pattern, text) if pattern else [text]):
        ids = list(piece.encode("utf-8"))
        while len(ids) > 1:
            pair = min(zip(ids, ids[1:]), key=lambda p: ranks.get(p, 0))
            if pair not in ranks:
                break
            ids = _merge(ids, pair, ranks[pair])
        out.extend(ids)
    return out
""",
        "smaller than all others",
    ),
]
