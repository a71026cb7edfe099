"""The numbers of the text on backpropagation."""

from __future__ import annotations

from typing import Any

from .backpropagate import backpropagate


def numbers() -> dict[str, Any]:
    """The sum x · y + x, forwards and backwards."""
    x, y = 2.0, 3.0
    result, (dx, dy) = backpropagate([("mul", 0, 1), ("add", 2, 0)], [x, y])
    return {"x": x, "y": y, "product": x * y, "result": result, "dx": dx, "dy": dy}


def prediction() -> float:
    """The gradient after ten doublings."""
    return backpropagate([("add", i, i) for i in range(10)], [1.0])[1][0]
