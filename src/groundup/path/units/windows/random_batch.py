"""Drawing a batch of windows, right or with one of the known mistakes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import CORE, EDGE, Call, Case, Draw, Seed
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
    if "random_batch-first-missing" in wrong or "random_batch-one-earlier-where-it-fits" in wrong:
        first = 1
    if "random_batch-last-missing" in wrong or "random_batch-two-later-where-it-fits" in wrong:
        n -= 1
    if "random_batch-next-window-where-it-fits" in wrong:
        n -= length - 1
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
    if "random_batch-one-earlier-where-it-fits" in wrong or "random_batch-one-earlier" in wrong:
        return _slices(ids, positions - 1)
    if "random_batch-two-later-where-it-fits" in wrong or "random_batch-two-later" in wrong:
        return _slices(ids, positions + 2)
    if "random_batch-next-window-where-it-fits" in wrong or "random_batch-next-window" in wrong:
        return _slices(ids, positions + length)
    if "random_batch-not-shifted" in wrong:
        return ids[positions]
    if "random_batch-rolled" in wrong:
        return ids[positions].roll(-1, 1)
    if "random_batch-last-target-missing" in wrong:
        return torch.cat([ids[positions[:, 1:]], torch.full_like(positions[:, :1], -100)], 1)
    if "random_batch-other-starts" in wrong:
        positions = torch.randint(n - length, positions[:, :1].shape, generator=generator) + torch.arange(length)
    if "random_batch-last-target-alone" in wrong:
        return ids[positions[:, -1] + 1]  # (B,)
    return ids[positions + 1]  # (B, T)


def _slices(ids: Tensor, positions: Tensor) -> Tensor:
    """As most would cut them: what lies outside of the text is missing, and such rows cannot be stacked."""
    return torch.stack([ids[start : start + positions.shape[1]] for start in positions[:, 0].tolist()])


def _form(inputs: Tensor, targets: Tensor, wrong: Wrong) -> Any:
    """As two tensors of the right shape."""
    if "random_batch-one-window" in wrong:
        return inputs[0], targets[0]  # (T,)
    if "random_batch-transposed" in wrong:
        return inputs.movedim(-1, 0), targets.movedim(-1, 0)  # (T, B)
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
        yield _drawn("inputs and targets are (B, T), and targets are the inputs one token later", draw, n, b, t)
    for _ in range(6):
        yield _drawn(
            "inputs and targets are (B, T), and targets are the inputs one token later",
            draw,
            5000,
            draw.randint(2, 9),
            draw.randint(2, 9),
        )
    for n, b, t in ((800, 4, 4), (1000, 7, 7), (900, 3, 3)):  # square: a wrong axis fits
        yield _drawn("a row is a piece of the text: neighbouring tokens", draw, n, b, t)
    for n, b, t in ((4000, 20, 8), (9000, 40, 6), (5000, 12, 12)):
        yield _drawn("the starts in a batch are random, each row by itself", draw, n, b, t, asks="spread")
    for n, b, t in ((1000, 8, 4), (1000, 6, 6), (500, 8, 2)):
        yield _drawn("other seeds draw other windows", draw, n, b, t, asks="seeds", calls=2)
    shows = "every start from 0 to N - T - 1 is possible, the last one too, and none beyond"
    for n, b, t in ((200, 6, 150), (300, 8, 240)):
        yield _drawn(shows, draw, n, b, t)
    for starts, t in ((10, 2), (10, 3), (10, 9), (8, 30), (10, 1)):
        yield _drawn(shows, draw, starts + t, starts, t, asks="reach", calls=MANY)
    for n, b, t in ((1000, 8, 4), (2000, 4, 9)):
        yield _drawn("the same generator draws the same", draw, n, b, t, EDGE, asks="seeds", calls=2)


def _drawn(shows: str, draw: Draw, n: int, b: int, t: int, tier: str = CORE, *, asks: str = "", calls: int = 1) -> Case:
    """Calls with a text of n ids, none of which comes twice, so that each tells where it stands."""
    ids = torch.tensor(draw.sample(range(50_000), n))  # (N,)
    seeds = [draw.seed_value() for _ in range(calls if tier == CORE else 1)] * (1 if tier == CORE else calls)
    several = tuple(Call((ids, b, t, Seed(seed.number))) for seed in seeds)
    return Case(shows, several, tier, view=functools.partial(_seen, ids, (b, t), asks))


def _seen(ids: Tensor, shape: tuple[int, int], asks: str, seen: list[Observation]) -> dict[str, Any]:
    """What all correct ways of drawing have in common; of a wrong one, the first thing that is wrong.

    ids: what was drawn from, each of them once. asks: what is looked at besides the rows: how the starts are "spread"
    in a batch, which ones can be "reach"ed, what other "seeds" do.
    """
    place = {token: i for i, token in enumerate(ids.tolist())}
    starts: list[list[int]] = []
    for one in seen:
        inputs, targets = one["value"]
        if not (isinstance(inputs, Tensor) and isinstance(targets, Tensor)):
            return {"type": "no tensors"}
        if inputs.is_floating_point() or targets.is_floating_point():
            return {"dtype": "no whole numbers"}
        if inputs.shape == (shape[0], shape[1] + 1):
            return {"inputs": "one too long"}
        if not inputs.shape == targets.shape == shape:
            return {"inputs": list(inputs.shape), "targets": list(targets.shape)}
        if fault := _fault(_places(inputs, place), _places(targets, place)):
            return fault
        starts.append([place[token] for token in inputs[:, 0].tolist()])
    view: dict[str, Any] = {"targets": "1 later"}
    if any(not torch.equal(one["arguments"][0], ids) for one in seen):
        view["ids"] = "changed"
    same = len(seen) > 1 and all(one == starts[0] for one in starts)
    if asks == "spread" or (asks and all(_spread(one) != "various" for one in starts)):
        view["starts"] = _spread(starts[0])
    elif asks == "seeds" or same:
        view["two batches"] = "the same" if same else "others"
    elif asks == "reach":
        view["starts"] = sorted({start for one in starts for start in one})
    return view


def _places(tokens: Tensor, place: dict[int, int]) -> Tensor:
    """Where in the text each token stands; far before it for what does not come in the text."""
    return torch.tensor([[place.get(token, -1_000_000) for token in row] for row in tokens.tolist()])  # (B, T)


def _fault(at: Tensor, after: Tensor) -> dict[str, Any]:
    """What is wrong with the rows of a batch; {} for nothing. at, after: (B, T), where inputs and targets stand."""
    if bool((at.diff(dim=1) != 1).any()):
        return {"inputs": "neighbours stand in columns" if bool((at.diff(dim=0) == 1).all()) else "no neighbours"}
    shifts, length = after - at, at.shape[1]
    if bool((shifts == 1).all()):
        return {}
    if length > 1 and bool((shifts[:, :-1] == 1).all()):
        last = "the first of the row" if bool((shifts[:, -1] == 1 - length).all()) else "another"
        return {"targets": "1 later, but the last", "the last": last}
    usual = int(shifts.flatten().mode().values)
    if float((shifts == usual).double().mean()) < 0.6:  # near the end of the text some may be otherwise
        return {"targets": "elsewhere"}
    return {"targets": {0: "the inputs themselves", -1: "1 earlier", length: "T later"}.get(usual, f"{usual} later")}


def _spread(starts: list[int]) -> str:
    """How the starts of a batch lie: all the same, at equal distances, various."""
    distances = {later - earlier for earlier, later in itertools.pairwise(starts)}
    if len(starts) < 4 or len(distances) > 1:
        return "various"
    return "all the same" if distances == {0} else "at equal distances"
