"""A small trained model that writes with the learner's parts, as far as they are there.

The model ships with the package: the preset `talk` trains it, and `scripts/talk_model.py` packs it. From the first
part that passes, a learner hears their own code in it, and sees how much of the work it does: every multiplication
belongs to whoever wrote the innermost line that asks for it.

Read next: `voices.py`.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ...generation import Sample, encode_prompt, generate
from ...model import Transformer
from ...text import Tokenizer
from ...training import Parts
from ...weights import load, load_tokenizer

SHIPPED = Path(__file__).parents[1] / "talk_model"
PROMPT = "ROMEO:"
TOKENS = 80

aten = torch.ops.aten


def shipped(parts: Parts | None = None) -> tuple[Transformer, Tokenizer]:
    """The model that ships, made of these parts, and its tokenizer."""
    return load(SHIPPED, dtype=torch.float32, parts=parts), load_tokenizer(SHIPPED)


def passed_parts(folder: Path, passed: set[str]) -> Parts:
    """The learner's parts, as far as they have passed; all others are the library's."""
    parts = Parts.from_folder(folder)
    library = {name: function for name, function in Parts.defaults().items() if name in parts.own - passed}
    return parts.with_functions(**library)


@dataclass
class Multiplications:
    """How many were made by whose code. by_part: those of the learner, by the function whose line asked for them."""

    total: int = 0
    by_part: Counter[str] = field(default_factory=Counter[str])

    @property
    def share(self) -> float:
        """The learner's, of all."""
        return self.by_part.total() / max(self.total, 1)


def talk(
    model: Transformer, tokenizer: Tokenizer, prompt: str, counts: Multiplications, seed: int = 0
) -> Iterator[str]:
    """Go on with the prompt, piece by piece, and count meanwhile. Raises what `encode_prompt` and `generate` do."""
    stream = tokenizer.stream()
    ids = encode_prompt(model, tokenizer, prompt)
    tokens = generate(model, ids, Sample(temperature=0.7, top_p=0.95, seed=seed), max_tokens=TOKENS)
    while True:
        with Counting(counts):  # not around the `yield`: what others do meanwhile is not counted
            token = next(tokens, None)
        if token is None:
            break
        yield stream.feed(token)
    yield stream.finish()


class Counting(TorchDispatchMode):
    """Counts the multiplications of all operations while it is entered."""

    def __init__(self, counts: Multiplications) -> None:
        super().__init__()
        self.counts = counts

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked, and count it."""
        result = func(*args, **(kwargs or {}))
        if n := n_multiplications(func.overloadpacket, args, result):
            self.counts.total += n
            if part := own_function():
                self.counts.by_part[part] += n
        return result


def own_function() -> str:
    """The learner's function that holds the innermost line of Python; "" where that line is the library's."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("own_"):  # as parts_folder.py names the modules
            return frame.f_code.co_name
        if module == "lent" or (module.startswith("groundup.") and module != __name__):
            return ""
        frame = frame.f_back
    return ""


def n_multiplications(operation: Any, args: Any, result: Any) -> int:
    """How many numbers are multiplied: in a product of matrices for each result as many as the inner axis is long."""
    if not isinstance(result, Tensor):
        return 0
    if operation in PRODUCTS:
        return result.numel() * args[PRODUCTS[operation]].shape[-1]
    return result.numel() if operation in ELEMENTWISE else 0


PRODUCTS = {aten.mm: 0, aten.bmm: 0, aten.addmm: 1, aten.baddbmm: 1, aten.linear: 0, aten.matmul: 0}  # -> the left one
ELEMENTWISE = {aten.mul, aten.mul_, aten.div, aten.div_, aten.pow, aten.square, aten.addcmul, aten.native_layer_norm}
