"""Accumulation: a large batch on a small machine.

A batch that does not fit into memory is cut into micro-batches whose gradients are added up. Two things are easy to get
wrong. The mean over all tokens is not the mean of the micro-batches' means unless all hold the same number of tokens:
so sums are added, and divided once, at the end. And floating-point addition depends on its order, so that the same
batch on one, two or four processes would train different models: so the sums are added along a fixed tree.

    micro-batch   0   1   2   3   4   5   6   7
                  └─+─┘   └─+─┘   └─+─┘   └─+─┘      the carries of a binary counter:
                    └───+───┘       └───+───┘        two sums of the same size become one
                        └───────+───────┘

With two processes the left half of the tree is grown by one and the right half by the other; the additions stay the
same, and so does the result, to the last bit.

Read next: `side_by_side.py`.
Source: Higham 1993, "The accuracy of floating point summation", on pairwise summation, whose error is smaller too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

Gradients = list[Tensor | None]  # one for each parameter; None where nothing reached it
MicroBatch = TypeVar("MicroBatch")


def accumulate_gradients(
    loss_fn: Callable[[MicroBatch], tuple[Tensor, int]], params: Sequence[Tensor], micro_batches: Sequence[MicroBatch]
) -> float:
    """Leave in .grad the gradient of the mean loss over all tokens of all micro-batches; returns that mean.

    loss_fn(micro_batch) -> (the sum of its losses, its number of tokens). What was in .grad before is dropped.
    """
    tree = TreeSum()
    sums: list[Tensor] = []
    n_tokens = 0
    is_whole = len(micro_batches) == 1  # then the mean is known at once, and needs no second pass over the gradients
    take_gradients(params)
    for micro_batch in micro_batches:
        loss_sum, n = loss_fn(micro_batch)
        (loss_sum / max(n, 1) if is_whole else loss_sum).backward()
        tree.add(take_gradients(params))
        sums.append(loss_sum.detach())  # read at the end: no wait for a GPU between two micro-batches
        n_tokens += int(n)

    for param, grad in zip(params, tree.total(), strict=False):
        param.grad = grad if grad is None or is_whole else grad.div_(max(n_tokens, 1))
    return math.fsum(loss_sum.item() for loss_sum in sums) / max(n_tokens, 1)


def take_gradients(params: Sequence[Tensor]) -> Gradients:
    """The gradients of all parameters, taken out of .grad, which is None afterwards."""
    taken = [param.grad for param in params]
    for param in params:
        param.grad = None
    return taken


class TreeSum:
    """A sum of lists of gradients that is always added in the same order, however the work is shared.

    Works like a binary counter: at any time there is at most one partial sum of 1, 2, 4, … lists, so that n lists need
    the memory of log2(n) + 1, and one list needs none but its own. Takes the lists over and adds in place.
    """

    def __init__(self) -> None:
        self._partial: list[tuple[int, Gradients]] = []  # pairs of a number of lists and their sum

    def add(self, gradients: Gradients, count: int = 1) -> None:
        """Add one list, or the total of `count` lists that another tree has added (count: a power of two)."""
        while self._partial and self._partial[-1][0] == count:
            gradients = _add_in_place(self._partial.pop()[1], gradients)
            count *= 2
        self._partial.append((count, gradients))

    def total(self) -> Gradients:
        """The sum of all lists, empty if there were none. The tree is empty afterwards."""
        total: Gradients = []
        while self._partial:  # the smallest is the last; a power of two leaves only one
            larger = self._partial.pop()[1]
            total = _add_in_place(larger, total) if total else larger
        return total


def _add_in_place(earlier: Gradients, later: Gradients) -> Gradients:
    return [_sum(a, b) for a, b in zip(earlier, later, strict=True)]


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a.add_(b)
