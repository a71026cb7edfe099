"""The numbers of the text on mixed precision."""

from __future__ import annotations

from typing import Any

START, STEP, STEPS = 1.5, 0.003, 1000
GRADIENT, SCALE = 2e-8, 65536
INPUT = 257.0  # bfloat16 has 256 and 258


def numbers() -> dict[str, Any]:
    """A weight that takes small steps in both dtypes, and a gradient that float16 loses and a scale saves."""
    import torch

    narrow, wide = torch.tensor(START, dtype=torch.bfloat16), torch.tensor(START)
    seen: list[tuple[float, float]] = []
    for _ in range(STEPS):
        narrow, wide = narrow + STEP, wide + STEP
        seen.append((narrow.item(), wide.item()))
    scaled = torch.tensor(GRADIENT * SCALE, dtype=torch.float16)
    return {
        "start": START,
        "step": STEP,
        "spacing": torch.finfo(torch.bfloat16).eps,  # of the numbers from 1 to 2
        "narrow_one": seen[0][0],
        "wide_one": seen[0][1],
        "narrow": seen[-1][0],
        "wide": seen[-1][1],
        "scale": SCALE,
        "gradient": GRADIENT,
        "lost": torch.tensor(GRADIENT, dtype=torch.float16).item(),
        "scaled": scaled.item(),
        "saved": scaled.float().item() / SCALE,
        "input": INPUT,
    }


def prediction() -> float:
    """What a layer with a weight of 1 makes of the input."""
    import torch

    from .mixed_precision_linear import mixed_precision_linear

    return mixed_precision_linear(torch.tensor([INPUT]), torch.ones(1, 1)).item()
