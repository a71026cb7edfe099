"""Small models of every kind, and a small tokenizer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from groundup.model import ModelConfig, ModelParts, Transformer
from groundup.text import Tokenizer

TINY = {"vocab_size": 23, "context_length": 12, "n_layers": 2, "d_model": 16, "n_heads": 4}


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Transformer]:
    """A model of random weights, in float64, so that another order of additions changes no token."""

    def make(parts: ModelParts | None = None, seed: int = 0, **settings: object) -> Transformer:
        model = Transformer(ModelConfig(**TINY | settings), parts).double()
        model.init_weights(torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(4)  # first weights are small: a model that is sure of something is a better test
        return model.eval()

    return make


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """256 bytes, some merges, and the end of text."""
    return Tokenizer.train("the cat sat on the mat; the dog sat on the log. " * 20, vocab_size=280)
