"""Side by side: each core takes a part of the batch through the whole model by itself.

Usually all cores work on one operation, meet at its end, and go on to the next. A small model has a thousand operations
a step, each a fraction of a millisecond, and at every meeting one core waits for the other. So let each core take some
sequences of the batch through the model, forward and backward, and meet once, when the gradients are added up. The
numbers are those of micro-batches (`accumulation.py`), the order of the additions is as fixed, and Python's lock does
not matter, since torch lets go of it while it computes.

For a large model it is the other way round: an operation is long, meetings are rare, and a gradient for each core would
cost memory.

Read next: `precision.py`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from torch import Tensor

from .accumulation import MicroBatch, TreeSum

MOST_PARAMETERS = 4_000_000  # of a model that is small in this sense


@functools.cache
def helpers(n: int) -> ThreadPoolExecutor:
    """The threads, each with one core of its own; made at the first step, as a thread costs more than an operation."""
    return ThreadPoolExecutor(n, thread_name_prefix="step", initializer=functools.partial(torch.set_num_threads, 1))


def accumulate_side_by_side(
    loss_fn: Callable[[MicroBatch], tuple[Tensor, int]],
    params: Sequence[Tensor],
    micro_batches: Sequence[MicroBatch],
    *,
    n_cores: int,
) -> float:
    """`accumulate_gradients`, n_cores micro-batches at a time."""

    def gradients_of(micro_batch: MicroBatch) -> tuple[float, int, Tensor]:
        loss_sum, n_tokens = loss_fn(micro_batch)
        grads = torch.autograd.grad(loss_sum, params, materialize_grads=True, allow_unused=True)
        return loss_sum.item(), n_tokens, torch.cat([grad.reshape(-1) for grad in grads])

    tree, sums, n_tokens = TreeSum(), list[float](), 0
    waiting = iter(micro_batches)
    while group := list(itertools.islice(waiting, n_cores)):
        futures = [helpers(n_cores).submit(gradients_of, micro_batch) for micro_batch in group]
        wait(futures)  # all of them, also when one fails: nothing may go on behind the caller's back
        for loss_sum, n, flat in [future.result() for future in futures]:
            tree.add([flat])
            sums.append(loss_sum)
            n_tokens += n
    (total,) = tree.total()
    assert total is not None
    total.div_(max(n_tokens, 1))
    for param, grad in zip(params, total.split([param.numel() for param in params]), strict=True):
        param.grad = grad.view(param.shape)
    return math.fsum(sums) / max(n_tokens, 1)
