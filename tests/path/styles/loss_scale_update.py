"""Right in unusual ways."""

from __future__ import annotations

import math


def loss_scale_update_counting_first(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> tuple[float, int]:
    good_steps = 0 if found_inf else good_steps + 1
    if found_inf:
        scale *= 0.5
    elif good_steps == growth_interval:
        scale, good_steps = scale * 2, 0
    return scale, good_steps


def loss_scale_update_by_exponents(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> tuple[float, int]:
    grown = not found_inf and (good_steps + 1) // growth_interval > 0
    exponent = -1 if found_inf else int(grown)
    return math.ldexp(scale, exponent), 0 if exponent else good_steps + 1


def loss_scale_update_counting_down(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> list[float]:
    left = growth_interval - good_steps - 1
    match found_inf, left:
        case True, _:
            return [scale / 2.0, 0]
        case False, 0:
            return [scale + scale, 0]
        case _:
            return [scale, growth_interval - left]


def loss_scale_update_modulo(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> tuple[float, float]:
    if found_inf:
        return scale - scale / 2, 0
    counted = (good_steps + 1) % growth_interval
    return (scale * 2 if counted == 0 else scale), float(counted)


def loss_scale_update_by_arithmetic(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> tuple[float, int]:
    good = 1 - int(found_inf)
    full = int(good_steps >= growth_interval - 1)
    factor = 0.5 * (1 - good) + good * (1 + full)
    return scale * factor, good * (1 - full) * (good_steps + 1)


def loss_scale_update_by_table(
    scale: float, found_inf: bool, good_steps: int, growth_interval: int = 2000
) -> tuple[float, int]:
    outcomes = {"overflow": (0.5, 0), "growth": (2.0, 0), "good": (1.0, 1 + good_steps)}
    kind = "overflow" if found_inf else "growth" if good_steps + 1 > growth_interval - 1 else "good"
    factor, count = outcomes[kind]
    return factor * scale, count
