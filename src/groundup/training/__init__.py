"""How does it learn? By small steps downhill, each of them in this chapter.

In reading order: `config` (everything that decides a run), `loss`, `schedule`, `clipping`, `accumulation`, `precision`,
`side_by_side` (each core a part of the batch), `optimizers` and `flat_optimizer`, `train_step` (the book's), `by_hand`
(gradients from the chapter `backprop`), `parts` (all parts in one record), `data`,
`memory` (whether it fits), `state`, `step`, `diagnose` (where a number went bad), `run_directory`, `metrics`,
`signals`, `loop`, `curve`, and `run`, where it all comes together.
"""

from .config import TrainConfig, load_config, preset_names
from .parts import Parts, TrainingParts
from .run import TrainResult, train

__all__ = ["Parts", "TrainConfig", "TrainResult", "TrainingParts", "load_config", "preset_names", "train"]
