"""Where do gradients come from? The book's GPT in NumPy, forward and every backward pass, by hand.

The files and functions have the names of `model/`, so that the two can be read side by side: each forward function is
followed by its backward pass, derived in the two or three lines of comment that stand in it. `dx` is the gradient of
the loss by x: how far the loss moves when x moves a little.

In reading order: `first_steps` (what the others take for granted), `linear`, `attention`, `norm`, `feedforward`,
`embedding`, `block`, `loss`, `transformer`, `optimizer`, `gradient_check` (is a backward pass right?), `parts`, and
`trace` (watch the gradient on its way back).
Nothing here knows torch.
"""

from .gradient_check import check_gradients, check_table, numerical_gradient
from .optimizer import train_step
from .parts import BackpropParts
from .trace import trace_gradients, trace_table
from .transformer import gpt_backward, gpt_forward

__all__ = [
    "BackpropParts",
    "check_gradients",
    "check_table",
    "gpt_backward",
    "gpt_forward",
    "numerical_gradient",
    "trace_gradients",
    "trace_table",
    "train_step",
]
