"""What a GPT is made of, from one linear layer to the whole model.

Read in this order: `config` (what tells models apart), `embedding`, `position`, `linear`, `attention`, `dropout`,
`norm`, `feedforward`, `block`, `transformer`, and last `parts`, the seam through which anybody's own version of a part
gets into the model.
"""

from .config import ModelConfig
from .parts import ModelParts
from .transformer import Transformer

__all__ = ["ModelConfig", "ModelParts", "Transformer"]
