"""The arithmetic of memory: as many parameters as the model has, as many activations as autograd keeps."""

from __future__ import annotations

import pytest
import torch
from small import BOOK, MODERN, random_ids, small_model
from torch import Tensor

from groundup.model import ModelConfig
from groundup.model.memory import activations_per_token, parameter_count
from groundup.training import Parts

VARIANTS: list[dict[str, object]] = [
    BOOK,
    MODERN,
    {"bias": False},
    {"position": "none", "tie_embeddings": False},
    {"position": "sinusoidal", "embedding_norm": True},
    {"norm": "rms", "n_kv_heads": 1, "d_head": 6, "qk_norm": True},
    {"feed_forward": "geglu", "bias": False, "d_ff": 24},
    {"feed_forward": "relu2", "d_ff": 24, "embedding_norm": True, "norm": "rms"},
]


@pytest.mark.parametrize("settings", VARIANTS)
def test_the_number_of_parameters_is_that_of_the_model_itself(settings: dict[str, object]) -> None:
    model = small_model(**settings)
    assert parameter_count(model.config) == sum(parameter.numel() for parameter in model.parameters())


def test_gpt2_s_parameters_are_counted() -> None:
    gpt2 = ModelConfig(vocab_size=50257, context_length=1024, n_layers=12, n_heads=12, d_model=768)
    assert parameter_count(gpt2) == 124_439_808


def numbers_kept(settings: dict[str, object], n_tokens: int) -> float:
    """How many float32 autograd keeps of a forward pass and its loss, besides the parameters."""
    model = small_model(Parts().fused(), context_length=n_tokens, **settings)
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, tuple[int, Tensor]] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if tensor.dtype == torch.float32 and storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    ids, targets = random_ids(3, n_tokens), random_ids(3, n_tokens, seed=1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = (
            Parts()
            .fused()
            .head_loss(model.train().hidden(ids), model.output_weight, targets, model.config.logit_soft_cap)
        )
        assert loss.requires_grad
    return sum(n_bytes for n_bytes, _ in kept.values()) / 4


@pytest.mark.parametrize("settings", [*VARIANTS, {"feed_forward": "swiglu", "bias": False}])
def test_the_activations_are_those_that_autograd_keeps(settings: dict[str, object]) -> None:
    n_tokens = 40
    config = small_model(context_length=n_tokens, **settings).config
    tables = (
        4 * n_tokens * config.head_width * config.n_layers if config.position == "rope" else 0
    )  # not for each token
    expected = 3 * n_tokens * activations_per_token(config) + tables
    assert numbers_kept(settings, n_tokens) == pytest.approx(expected, rel=0.01)
