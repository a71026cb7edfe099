"""Drawing a batch of windows, right or with one of the known mistakes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import EDGE, Call, Case, Draw, Seed, case
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

MANY = 25  # calls, after which every one of ten starts has come, but for one time in 10^10


@reference
def random_batch(
    ids: Tensor, batch_size: int, context_length: int, generator: torch.Generator, *, wrong: Wrong = RIGHT
) -> tuple[Tensor, Tensor]:
    """Windows that start anywhere, and the same one token later.

    ids: (N,) -> inputs (B, T), targets (B, T). Each of the N - T starts that leave room for the targets is possible.
    """
    if "random_batch-sizes-exchanged" in wrong:
        batch_size, context_length = context_length, batch_size
    starts = _starts(len(ids) - context_length, len(ids), batch_size, context_length, generator, wrong)  # (B, 1)
    length = context_length - ("random_batch-too-short" in wrong)
    positions = starts + torch.arange(length)  # (B, T)
    if "random_batch-scattered" in wrong:
        positions = torch.randint(len(ids) - context_length, (batch_size, length), generator=generator)  # (B, T)
    inputs = ids[positions]  # (B, T)
    if "random_batch-too-long" in wrong:
        inputs = ids[starts + torch.arange(length + 1)]
    return _form(inputs, _targets(ids, positions, generator, wrong), wrong)


def _starts(n: int, n_ids: int, batch_size: int, length: int, generator: torch.Generator, wrong: Wrong) -> Tensor:
    """Where the windows start. n: the starts that leave room for the targets."""
    rows = 1 if "random_batch-one-start" in wrong else batch_size
    if "random_batch-always-the-same" in wrong:
        generator = seeded_generator(0)
    first = 0
    if "random_batch-first-missing" in wrong:
        first = 1
    if "random_batch-last-missing" in wrong:
        n = max(n - 1, 1)
    if "random_batch-one-beyond" in wrong:
        n += 1
    if "random_batch-anywhere" in wrong:
        n = n_ids
    if "random_batch-in-order" in wrong:
        return torch.arange(batch_size)[:, None] % n  # (B, 1)
    if "random_batch-generator-ignored" in wrong:
        return torch.randint(first, n, (rows, 1)).expand(batch_size, 1)  # (B, 1)
    if "random_batch-multiples" in wrong:
        drawn = torch.randint((n - 1) // length + 1, (rows, 1), generator=generator)
        return drawn * length  # (B, 1)
    return torch.randint(first, n, (rows, 1), generator=generator).expand(batch_size, 1)  # (B, 1)


def _targets(ids: Tensor, positions: Tensor, generator: torch.Generator, wrong: Wrong) -> Tensor:
    """What should come after each token."""
    n, length = len(ids), positions.shape[1]
    if "random_batch-not-shifted" in wrong:
        return ids[positions]
    if "random_batch-one-earlier" in wrong:
        return ids[positions - 1]
    if "random_batch-two-later" in wrong:
        return ids[(positions + 2).clamp(max=n - 1)]
    if "random_batch-next-window" in wrong:
        return ids[(positions + length).clamp(max=n - 1)]
    if "random_batch-other-starts" in wrong:
        positions = torch.randint(n - length, positions[:, :1].shape, generator=generator) + torch.arange(length)
    if "random_batch-last-target-alone" in wrong:
        return ids[positions[:, -1] + 1]  # (B,)
    return ids[positions + 1]  # (B, T)


def _form(inputs: Tensor, targets: Tensor, wrong: Wrong) -> Any:
    """As two tensors of the right shape."""
    if "random_batch-one-window" in wrong:
        return inputs[0], targets[0]  # (T,)
    if "random_batch-transposed" in wrong:
        return inputs.T, targets.T  # (T, B)
    if "random_batch-flat" in wrong:
        return inputs.flatten(), targets.flatten()  # (B*T,)
    if "random_batch-list" in wrong:
        return list(inputs), list(targets)
    if "random_batch-floats" in wrong:
        return inputs.float(), targets.float()
    return inputs, targets


def cases(draw: Draw) -> Iterator[Case]:
    """Long texts, for what a row is; then every start of short ones; then chance. B is never above N - T."""
    for n, b, t in ((500, 2, 3), (500, 4, 2), (900, 3, 5), (2000, 4, 8), (900, 5, 3), (700, 1, 6), (600, 3, 1)):
        yield _one("targets are the inputs one token later", draw, n, b, t)
    for n, b, t in ((800, 4, 4), (1000, 7, 7), (900, 3, 3)):  # square: a wrong axis fits
        yield _one("a row is a piece of the text: neighbouring tokens", draw, n, b, t)
    for n, b, t in ((400, 20, 8), (3000, 40, 6)):
        yield _one("every row has a start of its own", draw, n, b, t)
    for n, b, t in ((1000, 8, 4), (1000, 6, 6), (500, 8, 2)):
        ids = _text(draw, n)
        calls = tuple(Call((ids, b, t, draw.seed_value())) for _ in range(2))
        yield Case("other seeds draw other windows", calls, view=_view(ids, b, t))
    for starts, t in ((10, 2), (10, 3), (10, 9), (8, 30), (10, 1)):
        ids = _text(draw, starts + t)
        calls = tuple(Call((ids, starts, t, draw.seed_value())) for _ in range(MANY))
        shows = "every start from 0 to N - T - 1 is possible, the last one too, and none beyond"
        yield Case(shows, calls, view=_view(ids, starts, t, starts=True))
    for n, b, t in ((1000, 8, 4), (2000, 4, 9)):
        ids, seed = _text(draw, n), draw.seed_value()
        calls = tuple(Call((ids, b, t, Seed(seed.number))) for _ in range(2))
        yield Case("the same generator draws the same", calls, EDGE, view=_view(ids, b, t, repeats=True))


def _text(draw: Draw, n: int) -> Tensor:
    """Ids none of which comes twice, so that each tells where it stands."""
    return torch.tensor(draw.sample(range(50_000), n))  # (N,)


def _one(shows: str, draw: Draw, n: int, b: int, t: int) -> Case:
    ids = _text(draw, n)
    return case(shows, ids, b, t, draw.seed_value(), view=_view(ids, b, t))


def _view(ids: Tensor, b: int, t: int, *, starts: bool = False, repeats: bool = False) -> Any:
    return functools.partial(_drawn, ids, (b, t), starts, repeats)


def _drawn(
    ids: Tensor, shape: tuple[int, int], starts: bool, repeats: bool, seen: list[Observation]
) -> dict[str, Any]:
    """What all correct ways of drawing have in common; of a wrong one, the first thing that is wrong.

    ids: what was drawn from, each of them once. starts: also where windows started. repeats: the seed was the same.
    """
    place = {token: i for i, token in enumerate(ids.tolist())}
    drawn: list[list[int]] = []
    for one in seen:
        inputs, targets = one["value"]
        if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
            return {"type": "no tensors"}
        if inputs.is_floating_point() or targets.is_floating_point():
            return {"dtype": "no whole numbers"}
        if not inputs.shape == targets.shape == shape:
            return {"inputs": list(inputs.shape), "targets": list(targets.shape)}
        if fault := _row_fault(inputs, targets, place):
            return fault
        drawn.append([place[token] for token in inputs[:, 0].tolist()])
    view: dict[str, Any] = {"targets": "1 later", "starts in a batch": _kind(drawn)}
    if any(not torch.equal(one["arguments"][0], ids) for one in seen):
        view["ids"] = "changed"
    if len(seen) > 1 and shape[0] > 1 and view["starts in a batch"] == "various":
        same = all(one == drawn[0] for one in drawn)
        view["batches"] = "the same" if same else "others"
        if starts and not same:
            view["starts"] = sorted({start for one in drawn for start in one})
    return view


def _row_fault(inputs: Tensor, targets: Tensor, place: dict[int, int]) -> dict[str, Any]:
    """What is wrong with the rows of a batch; {} for nothing."""
    at = torch.tensor([[place[token] for token in row] for row in inputs.tolist()])  # (B, T)
    after = torch.tensor([[place[token] for token in row] for row in targets.tolist()])  # (B, T)
    if bool((at.diff(dim=1) != 1).any()):
        return {"inputs": "neighbours stand in columns" if bool((at.diff(dim=0) == 1).all()) else "no neighbours"}
    shift = int((after - at)[0, 0].item())
    if shift != 1 or bool((after - at != 1).any()):
        wanted = {0: "the inputs themselves", -1: "1 earlier", 2: "2 later", at.shape[1]: "T later"}
        agree = float((after - at == shift).double().mean()) > 0.9  # at the end of the text there is no more room
        return {"targets": wanted.get(shift, f"{shift} later") if agree else "elsewhere"}
    return {}


def _kind(drawn: list[list[int]]) -> str:
    """How the starts in a batch lie: all the same, in order, various."""
    rows = [one for one in drawn if len(one) > 2]
    if rows and all(len(set(one)) == 1 for one in rows):
        return "all the same"
    if rows and all(one == list(range(one[0], one[0] + len(one))) for one in rows):
        return "one after the other"
    return "various"
