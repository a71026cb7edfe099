"""The one Transformer equals GPT-2, Llama and Qwen3 as transformers computes them.

tests/data/reference holds tiny random models of each family with their logits, hidden states, gradients and greedy
continuation; its LICENCE.md says how they were made. The tolerance is 1e-4: the values themselves were computed in
float32, by another order of operations.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from groundup.kernels import fuse
from groundup.model import ModelParts, Transformer
from groundup.training.clipping import clip_gradients
from groundup.training.optimizers import adamw_step
from groundup.weights import load
from groundup.weights.families import FAMILIES

REFERENCE = Path(__file__).parents[1] / "data" / "reference"
MODELS = ["gpt2", "llama", "llama-tied", "qwen3"]
PARTS = {"plain": ModelParts(), "fused": fuse(ModelParts())}
TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def golden(name: str, file: str = "golden") -> dict[str, Tensor]:
    return load_file(REFERENCE / name / f"{file}.safetensors")


def under_our_names(name: str, theirs: dict[str, Tensor], n_layers: int) -> dict[str, Tensor]:
    """Tensors with transformers' names (parameters, gradients) as the model names them."""
    family = FAMILIES[json.loads((REFERENCE / name / "config.json").read_text())["model_type"]]
    return family.to_ours({family.plain_name(key): value for key, value in theirs.items()}, n_layers)


def loss_of(model: Transformer, values: dict[str, Tensor]) -> Tensor:
    """The mean loss of the next token; labels of -100 do not count."""
    logits = model(values["input_ids"])[:, :-1]
    return functional.cross_entropy(logits.flatten(0, 1), values["labels"][:, 1:].flatten())


@pytest.fixture(params=PARTS)
def parts(request: pytest.FixtureRequest) -> ModelParts:
    return PARTS[request.param]


@pytest.mark.parametrize("name", MODELS)
def test_logits_and_hidden_states_are_those_of_transformers(name: str, parts: ModelParts) -> None:
    values, record = golden(name), {}
    model = load(REFERENCE / name, parts=parts)
    with torch.no_grad():
        logits = model(values["input_ids"], record=record)
    torch.testing.assert_close(logits, values["logits"], **TOLERANCE)
    log_probs = logits[:, :-1].log_softmax(-1).gather(-1, values["input_ids"][:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(log_probs, values["token_logprobs"], **TOLERANCE)
    n_layers = model.config.n_layers
    places = ["embedded", *(f"h.{i}.out" for i in range(n_layers - 1)), "ln_f"]
    for i, place in enumerate(places):
        torch.testing.assert_close(record[place], values[f"hidden.{i}"], **TOLERANCE)


@pytest.mark.parametrize("name", MODELS)
def test_loss_and_every_gradient_are_those_of_transformers(name: str, parts: ModelParts) -> None:
    values = golden(name)
    model = load(REFERENCE / name, parts=parts)
    loss = loss_of(model, values)
    loss.backward()
    torch.testing.assert_close(loss.detach().reshape(1), values["loss"], **TOLERANCE)
    theirs = {key.removeprefix("grad."): value for key, value in values.items() if key.startswith("grad.")}
    expected = under_our_names(name, theirs, model.config.n_layers)
    found = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert found.keys() == expected.keys()
    for key, gradient in found.items():
        torch.testing.assert_close(gradient, expected[key], **TOLERANCE, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", MODELS)
def test_the_greedy_continuation_is_that_of_transformers(name: str, parts: ModelParts) -> None:
    values = golden(name)
    model, ids = load(REFERENCE / name, parts=parts), values["greedy_input"]
    with torch.no_grad():
        while ids.shape[1] < values["greedy_output"].shape[1]:
            ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], dim=1)
    assert ids.tolist() == values["greedy_output"].tolist()


def test_three_adamw_steps_lead_to_the_same_weights(parts: ModelParts) -> None:
    values, trained = golden("llama"), golden("llama", "trained")
    model = load(REFERENCE / "llama", parts=parts)
    parameters = dict(model.named_parameters())
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()}
    losses, norms = [], []
    for step in (1, 2, 3):
        model.zero_grad()
        loss = loss_of(model, values)
        loss.backward()
        losses.append(loss.item())
        norms.append(clip_gradients([p.grad for p in parameters.values()], 0.5))
        with torch.no_grad():
            for name, p in parameters.items():
                adamw_step(p, p.grad, *moments[name], step, 0.01)
    torch.testing.assert_close(torch.tensor(losses), trained.pop("losses"), **TOLERANCE)
    torch.testing.assert_close(torch.tensor(norms), trained.pop("grad_norms"), **TOLERANCE)
    # Adam divides by the gradient's own size: where that is nearly zero, rounding alone decides about part of a step.
    # A tenth of one step (lr is 0.01) is allowed for that; a missing decay or correction moves every weight by more.
    for name, expected in under_our_names("llama", trained, model.config.n_layers).items():
        torch.testing.assert_close(parameters[name].detach(), expected, rtol=0, atol=1e-3)
