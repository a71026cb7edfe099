"""Small tensors, configs and models for the tests, the same at every run."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from groundup.model import ModelConfig, ModelParts, Transformer

DTYPES = [torch.float32, torch.float64, torch.bfloat16]

# The shape of the book's model and that of its successors: every setting differs.
BOOK: dict[str, Any] = {"position": "learned", "norm": "layer", "feed_forward": "gelu", "bias": True}
MODERN: dict[str, Any] = {
    **{"position": "rope", "norm": "rms", "feed_forward": "swiglu", "bias": False, "qk_norm": True, "n_kv_heads": 2},
    **{"tie_embeddings": False, "logit_soft_cap": 3.0},
}


def generator(seed: int = 0) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def random_tensor(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def random_ids(*shape: int, vocab_size: int = 13, seed: int = 0) -> Tensor:
    """Token ids."""
    return torch.randint(vocab_size, shape, generator=generator(seed))


def small_config(**settings: Any) -> ModelConfig:
    """A model of a few thousand parameters."""
    shape = {"vocab_size": 13, "context_length": 10, "n_layers": 2, "d_model": 16, "n_heads": 4}
    return ModelConfig(**shape | settings)


def small_model(parts: ModelParts | None = None, **settings: Any) -> Transformer:
    """A model whose weights are large enough that every one of them, biases too, shows in the logits."""
    model = Transformer(small_config(**settings), parts)
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            centre = 1.0 if parameter.dim() == 1 else 0.0
            parameter.copy_(centre + 0.3 * random_tensor(*parameter.shape, seed=i))
    return model.eval()
