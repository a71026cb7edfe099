"""A case: what a part is called with, and what of the call is looked at.

The judge draws the cases of a part anew each time, from a seed, so that nobody can know their answers before. A case
travels to the process that runs the learner's code, and so it is made of values alone: tensors, arrays, numbers, texts,
lists. A generator travels as its seed, a function (`next_logits` of `generate_tokens`, say) as its name in `stubs.py`.
What several calls share (a cache, an optimizer's state) is `Kept`.

Neither torch nor NumPy is needed here: a part of plain Python is judged without waiting for them.

Read next: `deferred.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..randomness import seeded_generator

if TYPE_CHECKING:
    import numpy as np
    import torch

CORE, EDGE = "core", "edge"


@dataclass(frozen=True)
class Seed:
    """A torch.Generator, made from this seed where the call is."""

    number: int


@dataclass(frozen=True)
class Stub:
    """A function that the part is given, by its name in `stubs.py`, with what it is made from."""

    name: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Kept:
    """One and the same object in all calls of a case that give it this name. value: what it is at first."""

    name: str
    value: Any


@dataclass(frozen=True)
class Call:
    """One call. gradients: also look at the gradients by every floating-point tensor among the arguments.

    trained: the arguments (by position) whose tensors are parameters. They require a gradient, and there is one in
    their `.grad` from before; what is there after the call is compared, None being the same as zeros.
    """

    arguments: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    gradients: bool = False
    trained: tuple[int, ...] = ()


@dataclass(frozen=True)
class Case:
    """One or several calls of a part, and the property that they show, in the field's words.

    tier: CORE is what the book needs, EDGE what is left when that is right. view: what is compared, made from the
    observed calls; the returned values and the gradients themselves when it is not given. changes: the arguments (by
    position) that the part is meant to change in place, and which are compared too.
    tolerance: relative to the largest expected number.
    """

    shows: str
    calls: tuple[Call, ...]
    tier: str = CORE
    view: Callable[[list[Any]], Any] | None = None
    changes: tuple[int, ...] = ()
    tolerance: float = 2e-5
    dtype_counts: bool = True


class Draw(random.Random):
    """Random values for cases, all from one seed."""

    def tensor(self, *shape: int, scale: float = 1.0, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Normal numbers with this standard deviation."""
        import torch

        generator = seeded_generator(self.getrandbits(62))
        drawn = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        return drawn.to(dtype or torch.float32)

    def ids(self, *shape: int, below: int) -> torch.Tensor:
        """Whole numbers from 0 to below - 1."""
        import torch

        return torch.randint(below, shape, generator=seeded_generator(self.getrandbits(62)))

    def mask(self, *shape: int, allowed: float = 0.5) -> torch.Tensor:
        """True in about this share of the places."""
        import torch

        return torch.rand(shape, generator=seeded_generator(self.getrandbits(62))) < allowed

    def array(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        """Normal numbers with this standard deviation, in NumPy."""
        import numpy as np

        return scale * np.random.default_rng(self.getrandbits(62)).standard_normal(shape)

    def numbers(self, n: int, scale: float = 1.0) -> list[float]:
        """Normal numbers in a list."""
        return [self.gauss(0.0, scale) for _ in range(n)]

    def seed_value(self) -> Seed:
        """A generator."""
        return Seed(self.getrandbits(31))


def case(shows: str, *arguments: Any, tier: str = CORE, gradients: bool = False, **options: Any) -> Case:
    """A case of one call. Options of Case and of Call by their names; all other keywords go to the part."""
    of_case = {name: options.pop(name) for name in ("view", "changes", "tolerance", "dtype_counts") if name in options}
    trained = options.pop("trained", ())
    return Case(shows, (Call(arguments, options, gradients, trained),), tier, **of_case)


def edge(shows: str, *arguments: Any, **options: Any) -> Case:
    """A case that the book does not need."""
    return case(shows, *arguments, tier=EDGE, **options)
