"""After stage 5: one model, many voices: what each way of choosing makes of the same model, and the tree of a beam.

The model is the last one that was trained in the workspace; where there is none, the one that ships with the package.

Read next: `placement.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...generation import AnyStrategy
from ...generation.cache import NextLogits
from ...generation.compare import standard_strategies
from ...generation.parts import GenerationParts
from ...model.transformer import Transformer
from ...text import Tokenizer
from ...training import Parts
from ...weights import has_checkpoints, load, load_tokenizer
from .talk import SHIPPED

BEAMS, DEEP = 3, 6  # of the tree that is drawn: a wider or deeper one fills the screen


def last_model(folder: Path, parts: Parts) -> tuple[Path, Transformer, Tokenizer]:
    """The last trained run of a workspace, or the model that ships, made of these parts."""
    runs = [path for path in folder.glob("runs/*") if has_checkpoints(path / "checkpoints")]
    where = max(runs, key=lambda run: run.stat().st_mtime, default=SHIPPED)
    return where, load(where, dtype=torch.float32, parts=parts), load_tokenizer(where)


def voices() -> dict[str, AnyStrategy]:
    """The ways of choosing that the learner's own parts make, by name."""
    return {
        name: strategy
        for name, strategy in standard_strategies().items()
        if not name.startswith(("contrast", "typical"))
    }


@dataclass
class Node:
    """A text that was alive in a beam. score: its log-probability; best: it is on the way to the winner."""

    token: int
    score: float
    best: bool = False
    children: dict[int, Node] = field(default_factory=dict)


def beam_tree(model: Transformer, prompt: Sequence[int], vocab_size: int, parts: GenerationParts) -> Node:
    """Every text that was alive in a beam search, as a tree that begins with the prompt's last token."""
    root = Node(prompt[-1], 0.0, best=True)
    next_logits = NextLogits(model, vocab_size=vocab_size, cached=False)
    known: dict[tuple[int, ...], Any] = {}  # the log-probabilities after each text

    def next_log_probs(texts: Any) -> Any:
        asked = [tuple(int(token) for token in text) for text in texts]
        with torch.inference_mode():
            known.update({text: next_logits(text).double().log_softmax(-1).numpy() for text in asked})
        return np.stack([known[text] for text in asked])

    found = parts.beam_search(next_log_probs, list(prompt), BEAMS, DEEP)
    ended = [tuple(int(token) for token in text) for text, _score in found]
    for text in (*known, *ended):
        node = root
        for i in range(len(prompt), len(text)):
            score = node.score + float(known[text[:i]][text[i]])
            node = node.children.setdefault(text[i], Node(text[i], score))
            node.best = node.best or text == ended[0]
    return root


def drawn_tree(node: Node, decode: Callable[[int], str], before: str = "") -> Iterator[tuple[str, str, Node]]:
    """(the branches before it, its text, the node) of each line, the most probable child first."""
    children = sorted(node.children.values(), key=lambda child: -child.score)
    for child in children:
        is_last = child is children[-1]
        yield before + ("└─ " if is_last else "├─ "), decode(child.token), child
        yield from drawn_tree(child, decode, before + ("   " if is_last else "│  "))
