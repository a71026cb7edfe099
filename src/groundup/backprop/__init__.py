"""Where do gradients come from? The book's GPT in NumPy, forward and every backward pass, by hand.

The files and functions have the names of `model/`, so that the two can be read side by side: each forward function is
followed by its backward pass, derived in the two or three lines of comment that stand in it. `dx` is the gradient of
the loss by x: how far the loss moves when x moves a little.

In reading order: `linear`, `attention`, `norm`, `feedforward`, `embedding`, `block`, `loss`, `transformer`,
`optimizer`, and `parts`. Nothing here knows torch.
"""

from .optimizer import train_step
from .parts import BackpropParts
from .transformer import gpt_backward, gpt_forward

__all__ = ["BackpropParts", "gpt_backward", "gpt_forward", "train_step"]
