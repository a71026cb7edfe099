"""How does it learn?

In reading order: `config` (everything that decides a run), `loss`, `schedule`, `clipping`, `accumulation`, `precision`,
`optimizers` and `flat_optimizer`, `train_step` (the book's), `parts` (all parts in one record), `data`, `step`,
`signals`, `run_directory`, `curve`, and `loop`, where it all comes together.
"""

from .config import TrainConfig, load_config, preset_names
from .loop import TrainResult, train
from .parts import Parts, TrainingParts

__all__ = ["Parts", "TrainConfig", "TrainResult", "TrainingParts", "load_config", "preset_names", "train"]
