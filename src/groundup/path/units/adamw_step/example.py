"""The numbers of the text on AdamW."""

from __future__ import annotations

from typing import Any

import torch

from .adamw_step import adamw_step

LR, DECAY, BETAS = 0.1, 0.5, (0.9, 0.95)


def numbers() -> dict[str, Any]:
    """Two steps of one weight, with all that happens on the way."""
    param, m, v = torch.ones(1), torch.zeros(1), torch.zeros(1)
    rows: dict[str, list[float]] = {}
    for step, slope in ((1, 0.5), (2, -0.3)):
        before = param.item()
        adamw_step(param, torch.tensor([slope]), m, v, step, LR, betas=BETAS, weight_decay=DECAY)
        m_full, v_full = m.item() / (1 - BETAS[0] ** step), v.item() / (1 - BETAS[1] ** step)
        row = {
            "grad": slope,
            "before": before,
            "shrunk": before * (1 - LR * DECAY),
            "m": m.item(),
            "v": v.item(),
            "m_full": m_full,
            "v_full": v_full,
            "update": m_full / v_full**0.5,
            "after": param.item(),
        }
        for name, number in row.items():
            rows.setdefault(name, []).append(number)
    return {"lr": LR, "decay": DECAY} | rows


def prediction() -> float:
    """How far the first step moves a weight with a gradient of a thousandth."""
    param, m, v = torch.zeros(1, dtype=torch.float64), torch.zeros(1).double(), torch.zeros(1).double()
    adamw_step(param, torch.tensor([0.001], dtype=torch.float64), m, v, 1, 0.01, weight_decay=0.0)
    return round(abs(param.item()), 6)
