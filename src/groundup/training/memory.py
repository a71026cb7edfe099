"""Whether a run fits into memory, by arithmetic, before any of it is taken.

Each parameter is kept as a weight, a gradient, and the optimizer's one or two moments. What a batch needs comes on top:
the activations that the backward pass waits for, and while it runs the new gradients. The first are most when it
begins, and all gone when it ends; the second grow from nothing to one number for each parameter. So the peak is at one
of the two ends.

    always      weights + gradients + moments
    beginning   activations + the logits three times, or twice and the gradient of the output layer's weight
    end         new gradients, and the embedding's once more where the output layer shares it

The tensors are counted exactly; what the process takes is more. A layer also makes tensors that it frees at once, and
the C library seldom finds the hole that one leaves fit for the next: a quarter of the activations is added for that.
`benchmarks/training_memory.py` holds the arithmetic against what a step really takes.

Read next: `state.py`.
"""

from __future__ import annotations

import math

from ..errors import ConfigError
from ..model.memory import activations_per_token, parameter_count
from ..weights.memory import available_bytes
from .config import TrainConfig

BYTES = 4  # of a float32, which parameters are kept in whatever the precision
HOLES = 1.25  # what layers take of the process's memory, over what their tensors hold


def lasting_bytes(config: TrainConfig) -> int:
    """What a run holds all the time: weights, gradients and moments."""
    model = config.model
    n_parameters = parameter_count(model)
    n_moments = 2 * n_parameters
    if config.training.optimizer == "muon":  # one moment for all but tables
        n_tables = model.vocab_size * (1 if model.tie_embeddings else 2)
        n_tables += model.context_length if model.position == "learned" else 0
        n_moments = n_parameters + n_tables * model.d_model
    return BYTES * (2 * n_parameters + n_moments)


def peak_bytes(config: TrainConfig, n_cores: int = 1) -> int:
    """The most that a training step takes in float32 with the fast parts.

    n_cores: how many of them take a part of the batch by themselves (`side_by_side.py`).
    """
    model, training = config.model, config.training
    n_parameters = parameter_count(model)
    size = training.micro_batch_size or training.batch_size
    n_tokens = size * model.context_length
    n_logits, n_head = n_tokens * model.vocab_size, model.vocab_size * model.d_model
    # The loss keeps one set of logits and makes two for its gradient; then the last, and a copy of it turned for the
    # product, make the weight's (`kernels/linear.py`). Sets this large are mapped one by one, and leave no holes.
    beginning = math.ceil(HOLES * (n_tokens * activations_per_token(model) - n_logits))
    beginning += max(3 * n_logits, 2 * n_logits + n_head)

    end = n_cores * (n_parameters + (n_head if model.tie_embeddings else 0))
    if n_cores > 1:
        end += n_cores * n_parameters  # each core lays its gradients end to end
    n_micro_batches = training.batch_size // size
    if n_micro_batches > 1:  # partial sums (`accumulation.py`) wait all the while
        sums = n_parameters * math.ceil(math.log2(n_micro_batches))
        beginning, end = beginning + sums, end + sums
    return lasting_bytes(config) + BYTES * max(beginning, end)


def require_memory(config: TrainConfig) -> None:
    """Raise ConfigError CFG_MEMORY, with the estimate, when the machine cannot hold what a run or its steps take."""
    needed, free = lasting_bytes(config), available_bytes()
    if free is not None and needed > free:
        raise ConfigError(
            f"the model has {parameter_count(config.model):,} parameters: training needs {needed:,} bytes of memory, "
            f"{free:,} are free",
            where="model",
            fix="set a smaller model.n_layers, model.d_model or model.vocab_size, or use a machine with more memory",
            code="CFG_MEMORY",
        )
    for_a_step = peak_bytes(config) - needed
    if config.training.precision != "float32":  # about half of it is kept in two bytes
        for_a_step //= 2
    if free is not None and needed + for_a_step > free:
        size = config.training.micro_batch_size or config.training.batch_size
        raise ConfigError(
            f"a step with {size:,} sequences at once needs {needed + for_a_step:,} bytes of memory, {free:,} are free",
            where="training",
            fix="set a smaller training.micro_batch_size or model.context_length, or a smaller model",
            code="CFG_MEMORY",
        )
