"""The record of this chapter binds parts to each other as the model's does, and can be joined with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from groundup.generation import GenerationParts, beam_step
from groundup.model import ModelParts


@dataclass(frozen=True)
class Both(ModelParts, GenerationParts):
    """As `groundup.Parts` joins them."""


def flat(x: Tensor, dim: int = -1) -> Tensor:
    """A softmax that believes in nothing."""
    return torch.ones_like(x) / x.shape[dim]


def test_the_defaults_are_the_library_and_nothing_is_own() -> None:
    assert GenerationParts().own == frozenset()
    assert GenerationParts(greedy=lambda logits: logits.argmin(-1)).own == {"greedy"}


def test_an_own_beam_step_is_the_one_that_beam_search_calls() -> None:
    def worst(scores: np.ndarray, log_probs: np.ndarray, beams: int):
        return beam_step(scores, -log_probs, beams)

    parts = GenerationParts(beam_step=worst)
    ((text, _),) = parts.beam_search(lambda texts: np.log([[0.1, 0.9]] * len(texts)), [0], 1, 3)
    assert text == [0, 0, 0, 0]


def test_an_own_softmax_of_the_model_reaches_the_filters_too() -> None:
    x = torch.tensor([9.0, 0.0, 0.0, 0.0])
    assert Both().min_p_filter(x, 0.5).isfinite().tolist() == [True, False, False, False]
    assert Both(softmax=flat).min_p_filter(x, 0.5).isfinite().all()
    drawn = Both(softmax=flat).sample(x.expand(100, 4), torch.Generator().manual_seed(0))
    assert drawn.unique().numel() == 4
