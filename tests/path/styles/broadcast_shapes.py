"""Right in unusual ways."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import torch


def broadcast_shapes_zip_longest(a: tuple, b: tuple) -> tuple:
    out = []
    for x, y in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if y in (x, 1):
            out.append(x)
        elif x == 1:
            out.append(y)
        else:
            raise ValueError(f"{a} and {b}")
    return tuple(out[::-1])


def broadcast_shapes_of_numpy(a: tuple, b: tuple) -> tuple:
    import numpy as np

    return np.broadcast_shapes(a, b)


def broadcast_shapes_recursive(a: tuple, b: tuple) -> tuple:
    if not a or not b:
        return a or b
    if a[-1] != b[-1] and a[-1] != 1 and b[-1] != 1:
        raise ValueError
    return (*broadcast_shapes_recursive(a[:-1], b[:-1]), b[-1] if a[-1] == 1 else a[-1])


def broadcast_shapes_by_index(a: tuple, b: tuple) -> list[int]:
    if len(a) < len(b):
        a, b = b, a
    result = list(a)
    for i in range(1, len(b) + 1):
        if a[-i] == 1:
            result[-i] = b[-i]
        elif b[-i] not in (1, a[-i]):
            raise ValueError("no")
    return result


def broadcast_shapes_by_sets(a: tuple, b: tuple) -> tuple:
    n = max(len(a), len(b))
    sizes: list[Any] = []
    for x, y in zip((1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b), strict=False):
        distinct = {x, y} - {1}
        if len(distinct) > 1:
            raise ValueError(distinct)
        sizes.append(distinct.pop() if distinct else 1)
    return tuple(sizes)


def broadcast_shapes_by_adding_arrays(a: tuple, b: tuple) -> tuple:
    import numpy as np

    return (np.zeros(a) + np.zeros(b)).shape


def broadcast_shapes_of_torch(a: tuple, b: tuple) -> tuple:
    try:
        return torch.broadcast_shapes(a, b)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
