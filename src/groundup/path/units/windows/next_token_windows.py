"""Cutting a text into windows, right or with one of the known mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ...case import Case, Draw, case, edge
from ...reference import RIGHT, Wrong, reference


@reference
def next_token_windows(ids: Tensor, context_length: int, stride: int, *, wrong: Wrong = RIGHT) -> tuple[Tensor, Tensor]:
    """Windows of T ids, each with the same one token later.

    ids: (N,) -> inputs (W, T), targets (W, T). A window starts at every multiple of `stride`, as long as it fits.
    """
    if "next_token_windows-arguments-exchanged" in wrong:
        context_length, stride = stride, context_length
    t = context_length - ("next_token_windows-too-short" in wrong)
    starts = _starts(len(ids), context_length, _step(context_length, stride, wrong), wrong)  # (W,)
    if "next_token_windows-two-later-where-it-fits" in wrong:
        starts = starts[starts + t + 1 < len(ids)]
    if "next_token_windows-next-window-where-it-fits" in wrong:
        starts = starts[starts + 2 * t <= len(ids)]
    if not len(starts):
        raise RuntimeError("there is no window to stack")  # as torch.stack says; with right starts there always is one
    at = starts[:, None] + torch.arange(t)  # (W, T)
    if "next_token_windows-padded" in wrong:
        ids = torch.cat([ids, ids.new_zeros(t + 1)])
    inputs = ids[at]  # (W, T)
    if "next_token_windows-inputs-without-targets" in wrong:
        inputs = ids.unfold(0, t, _step(context_length, stride, wrong))
    if "next_token_windows-too-long" in wrong:
        inputs = ids[starts[:, None] + torch.arange(t + 1)]
    return _form(inputs, _targets(ids, at, wrong), wrong)


def _step(context_length: int, stride: int, wrong: Wrong) -> int:
    """How far it is from one start to the next."""
    if "next_token_windows-stride-ignored" in wrong:
        return 1
    if "next_token_windows-stride-is-context" in wrong:
        return context_length
    if "next_token_windows-stride-is-gap" in wrong:
        return context_length + stride
    if "next_token_windows-stride-is-overlap" in wrong:
        return max(context_length - stride, 1)
    return stride


def _starts(n: int, t: int, step: int, wrong: Wrong) -> Tensor:
    """Where the windows start."""
    starts = torch.arange(0, max(n - t, 0), step)  # (W,)
    if "next_token_windows-last-missing" in wrong:
        starts = torch.arange(0, max(n - t - 1, 0), step)  # (W,)
    if "next_token_windows-one-too-many" in wrong:
        starts = torch.arange(0, n - t + 1, step)  # (W,)
    if "next_token_windows-padded" in wrong:
        starts = torch.arange(0, n - 1, step)  # (W,)
    if "next_token_windows-tail-moved-back" in wrong and starts[-1] + t < n - 1:
        starts = torch.cat([starts, torch.tensor([n - t - 1])])
    if "next_token_windows-first-skipped" in wrong:
        starts = starts[1:]
    if "next_token_windows-from-one" in wrong:
        starts = torch.arange(1, max(n - t, 1), step)  # (W,)
    if "next_token_windows-first-alone" in wrong:
        starts = starts[:1]
    return starts


def _targets(ids: Tensor, at: Tensor, wrong: Wrong) -> Tensor:
    """What should come after each token. at: (W, T), where the inputs stand."""
    if "next_token_windows-two-later-where-it-fits" in wrong or "next_token_windows-two-later" in wrong:
        return _slices(ids, at + 2)
    if "next_token_windows-next-window-where-it-fits" in wrong or "next_token_windows-next-window" in wrong:
        return _slices(ids, at + at.shape[1])
    if "next_token_windows-not-shifted" in wrong:
        return ids[at]
    if "next_token_windows-rolled" in wrong:
        return ids[at].roll(-1, 1)
    if "next_token_windows-last-target-missing" in wrong:
        return torch.cat([ids[at[:, 1:]], torch.full_like(ids[at[:, :1]], -100)], 1)
    if "next_token_windows-last-target-alone" in wrong:
        return ids[at[:, -1] + 1]  # (W,)
    return ids[at + 1]  # (W, T)


def _slices(ids: Tensor, at: Tensor) -> Tensor:
    """As most would cut them: what lies behind the text is missing, and such rows cannot be stacked."""
    return torch.stack([ids[start : start + at.shape[1]] for start in at[:, 0].tolist()])


def _form(inputs: Tensor, targets: Tensor, wrong: Wrong) -> Any:
    """As two tensors of the right shape."""
    if "next_token_windows-exchanged" in wrong:
        return targets, inputs
    if "next_token_windows-transposed" in wrong:
        return inputs.movedim(-1, 0), targets.movedim(-1, 0)  # (T, W)
    if "next_token_windows-flat" in wrong:
        return inputs.flatten(), targets.flatten()  # (W*T,)
    if "next_token_windows-list" in wrong:
        return list(inputs), list(targets)
    if "next_token_windows-floats" in wrong:
        return inputs.float(), targets.float()
    return inputs, targets


def cases(draw: Draw) -> Iterator[Case]:
    """By hand, then lengths that fit exactly or by one not, overlaps, gaps and squares. One window fits at least."""
    later = "inputs and targets are (W, T), and targets are the inputs one token later"
    starts = "windows start at 0, stride, 2 · stride …; those that do not fit with their last target are left out"
    small = torch.arange(11, 18)
    yield _case(later, small[:5], 3, 9)
    yield _case(starts, small[:5], 2, 2)
    for t, stride in ((3, 3), (3, 1), (2, 4), (4, 2)):
        yield _case(starts, small, t, stride)
    for n, t, stride in ((8, 4, 4), (9, 4, 4), (10, 4, 4), (7, 3, 2), (8, 3, 2), (12, 5, 3), (13, 5, 3)):
        yield _case(starts, _text(draw, n), t, stride)
    for n, t, stride in ((40, 6, 6), (41, 5, 2), (37, 4, 9), (60, 7, 1), (30, 1, 1), (31, 1, 3), (50, 8, 5)):
        yield _case(later, _text(draw, n), t, stride)
    for n, t, stride in ((13, 4, 3), (10, 3, 3), (9, 5, 1), (16, 4, 4), (17, 4, 4)):  # some square: a wrong axis fits
        yield _case("a row is a piece of the text: neighbouring tokens", _text(draw, n), t, stride)
    yield edge("T + 1 tokens are one window", _text(draw, 5), 4, 3, dtype_counts=False)
    yield edge("a stride longer than the text leaves one window", _text(draw, 9), 4, 20, dtype_counts=False)
    yield edge("other whole numbers", _text(draw, 20).to(torch.int32), 4, 3, dtype_counts=False)


def _case(shows: str, ids: Tensor, context_length: int, stride: int) -> Case:
    return case(shows, ids, context_length, stride, dtype_counts=False)


def _text(draw: Draw, n: int) -> Tensor:
    """Ids none of which comes twice, and none of which is 0."""
    return torch.tensor(draw.sample(range(1, 50_000), n))  # (N,)
