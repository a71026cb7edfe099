"""Dropout, right or with one of its known mistakes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ....randomness import seeded_generator
from ...case import EDGE, Call, Case, Draw, Seed, case, edge
from ...observe import Observation
from ...reference import RIGHT, Wrong, reference

BIN = 0.05  # rates are looked at this coarsely: seven standard deviations or more, to either side


@reference
def dropout(
    x: Tensor, p: float, training: bool = True, generator: torch.Generator | None = None, *, wrong: Wrong = RIGHT
) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p).

    x: any shape; returns its shape and dtype. Not training, or p = 0: x itself. p = 1: zeros.
    """
    if generator is not None and "dropout-generator-ignored" in wrong:
        generator = None
    if "dropout-always-the-same" in wrong:
        generator = seeded_generator(0)
    if "dropout-training-inverted" in wrong:
        training = not training
    if not training and "dropout-training-ignored" not in wrong:
        return x * (1 - p) if "dropout-scaled-at-test" in wrong else x
    if p == 0 or "dropout-nothing-dropped" in wrong:
        return x
    if p >= 1 and "dropout-nan-at-one" not in wrong and "dropout-p-keeps" not in wrong:
        return torch.zeros_like(x)
    kept = _kept(x, p, generator, wrong)  # (…)
    if "dropout-changes-input" in wrong:
        x *= kept
    out = x * kept / _divisor(p, wrong)
    if "dropout-detached" in wrong:
        return out.detach()
    return out.float() if "dropout-float32" in wrong and x.dtype == torch.bfloat16 else out


def _kept(x: Tensor, p: float, generator: torch.Generator | None, wrong: Wrong) -> Tensor:
    """Which elements stay."""
    shape = x.shape
    if "dropout-whole-rows" in wrong:
        shape = (*x.shape[:-1], 1)
    if "dropout-same-in-each-row" in wrong:
        shape = x.shape[-1:]
    drawn = torch.rand(shape, generator=generator)  # (…)
    if "dropout-normal-numbers" in wrong:
        drawn = torch.randn(shape, generator=generator)  # (…)
    if "dropout-p-keeps" in wrong or "dropout-drops-the-rest" in wrong:
        return drawn < p
    return drawn >= p


def _divisor(p: float, wrong: Wrong) -> float:
    """What the elements that stay are divided by."""
    if "dropout-not-scaled" in wrong or "dropout-scaled-at-test" in wrong:
        return 1.0
    if "dropout-scaled-down" in wrong:
        return 1 / (1 - p)
    if "dropout-divided-by-p" in wrong or "dropout-p-keeps" in wrong:
        return p
    return 1 - p


def cases(draw: Draw) -> Iterator[Case]:
    """What is not random, then rates, scales and gradients of larger tensors, then repeatability."""
    for shape in ((3,), (2, 3), (2, 3, 4)):
        yield case("p = 0 changes nothing", draw.tensor(*shape), 0.0, True)
    for p, generator in ((0.5, None), (0.25, draw.seed_value())):
        x = draw.tensor(100, 200).abs() + 0.5
        view = functools.partial(_dropped, x)
        yield case("without training nothing changes", x, p, training=False, view=view, generator=generator)
    yield case("p = 0 changes nothing", draw.tensor(4, 5), 0.0)
    rate = "a fraction p becomes 0, the rest is scaled by 1/(1 - p)"
    for shape, p in (((2, 100, 200), 0.1), ((200, 200), 0.5), ((100, 200), 0.65), ((5, 4, 10, 100), 0.25)):
        for extra in ((), (True, draw.seed_value())):
            x = draw.tensor(*shape).abs() + 0.5  # (…)
            yield case(rate, x, p, *extra, view=functools.partial(_dropped, x))
    x = draw.tensor(100, 200).abs() + 0.5
    yield case("the gradient flows where the value stays", x, 0.4, gradients=True, view=functools.partial(_dropped, x))
    for p in (0.25, 0.5):
        x, seed, other = draw.tensor(20, 30).abs() + 0.5, draw.seed_value(), draw.seed_value()
        yield Case("each call drops others", (Call((x, p)), Call((x, p))), view=_same)
        calls = Call((x, p, True, seed)), Call((x, p, True, other))
        yield Case("each call drops others", calls, view=_same)
        calls = tuple(Call((x, p), {"training": True, "generator": Seed(seed.number)}) for _ in range(2))
        yield Case("the same generator drops the same", calls, EDGE, view=_same)
    for shape in ((3,), (2, 3)):
        yield edge("p = 1 gives zeros", draw.tensor(*shape), 1.0)
    yield edge("p = 1 gives zeros", draw.tensor(2, 3), 1.0, gradients=True)
    yield edge("p = 1 without training changes nothing", draw.tensor(2, 3), 1.0, False)
    for dtype in (torch.float64, torch.bfloat16):
        x = draw.tensor(100, 200, dtype=dtype).sign()
        yield edge("keeps the dtype", x, 0.5, view=functools.partial(_dropped, x))
        yield edge("keeps the dtype", draw.tensor(2, 3, dtype=dtype), 0.0)


def _dropped(x: Tensor, seen: list[Observation]) -> dict[str, Any]:
    """What all correct ways of dropping have in common. x: what went in, without zeros."""
    out = seen[0]["value"]
    ratios = (out.double() / x.double())[out != 0]
    view = {
        "dropped": _rate((out == 0).reshape(-1, x.shape[-1])),
        "scale": [float(ratios.min()), float(ratios.max())],
        "result": f"{str(out.dtype).removeprefix('torch.')} {tuple(out.shape)}",
        "x is still the same": torch.equal(seen[0]["arguments"][0], x),
    }
    if "gradients" in seen[0]:
        gradient = seen[0]["gradients"][0]
        view["gradient"] = "none" if gradient is None else _rate((gradient == 0).reshape(-1, x.shape[-1]))
    return view


def _rate(dropped: Tensor) -> float | str:
    """The fraction that is dropped; or what is dropped together, where it is not each number by itself."""
    rate = float(dropped.double().mean())
    in_columns = float((dropped[1:] & dropped[:-1]).double().mean())
    in_rows = float((dropped[:, 1:] & dropped[:, :-1]).double().mean())
    if max(in_columns, in_rows) > rate**2 + 0.04:  # rate² are neighbours by chance
        return "the same in each row" if in_columns > in_rows else "whole rows"
    return round(round(rate / BIN) * BIN, 4)


def _same(seen: list[Observation]) -> bool:
    """Whether two calls gave the same."""
    return torch.equal(seen[0]["value"], seen[1]["value"])
