"""Whether a run fits into memory, by arithmetic, before any of it is taken.

Each parameter is kept as a weight, a gradient, and the optimizer's one or two moments, four bytes each. What a batch
needs comes on top, so that a run which passes may still be too large; one that does not pass cannot be right.

Read next: `step.py`.
"""

from __future__ import annotations

from ..errors import ConfigError
from ..model.config import parameter_count
from ..weights.memory import available_bytes
from .config import TrainConfig

COPIES = {"adamw": 4, "muon": 3}  # weight, gradient, moments
BYTES = 4  # of a float32, which parameters are kept in whatever the precision


def require_memory(config: TrainConfig) -> None:
    """Raise ConfigError CFG_MEMORY, with the estimate, when the machine cannot hold the parameters of a run."""
    n_parameters = parameter_count(config.model)
    needed, free = n_parameters * BYTES * COPIES[config.training.optimizer], available_bytes()
    if free is not None and needed > free:
        raise ConfigError(
            f"the model has {n_parameters:,} parameters: training needs {needed:,} bytes of memory, {free:,} are free",
            where="model",
            fix="set a smaller model.n_layers, model.d_model or model.vocab_size, or use a machine with more memory",
            code="CFG_MEMORY",
        )
